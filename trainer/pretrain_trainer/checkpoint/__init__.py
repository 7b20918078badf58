"""Checkpoints: whole or not there at all."""
