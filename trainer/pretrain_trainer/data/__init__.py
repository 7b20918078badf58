"""The token files and the order in which training reads them."""
