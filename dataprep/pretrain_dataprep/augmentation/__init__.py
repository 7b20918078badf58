"""New documents made of given ones."""
