"""Verdicts of the filter presets beside datatrove's own filters."""
