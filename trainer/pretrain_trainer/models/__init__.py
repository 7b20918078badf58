"""Layers, model families, loss."""
