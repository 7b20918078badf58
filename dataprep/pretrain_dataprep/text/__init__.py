"""What is done with the text of documents: UTF-8 bytes in, UTF-8 bytes and numbers out."""
