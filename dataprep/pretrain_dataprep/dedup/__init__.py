"""Duplicates: signatures, bands, edges, clusters."""
