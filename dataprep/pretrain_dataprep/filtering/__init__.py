"""Filters that need a model: languages, quality, perplexity, toxicity."""
