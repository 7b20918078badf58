"""How fast data is prepared, beside datatrove, datasketch, rensa, text-dedup and the bare tokenizer."""
