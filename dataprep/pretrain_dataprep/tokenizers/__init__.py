"""Tokenizers: training one, taking a given one, encoding."""
