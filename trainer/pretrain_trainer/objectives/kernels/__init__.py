"""Compiled loops over windows. All randomness is a function of a sample's key and a counter."""
