"""Where documents come from: listing, chunks, readers by format."""
