"""Spikes and NaN: how they are noticed and what is done."""
