"""Objectives: from windows of tokens to batches, as pure functions of (seed, sample index, window)."""
