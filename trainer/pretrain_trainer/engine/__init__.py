"""The process group, the optimiser and DeepSpeed's engine."""
