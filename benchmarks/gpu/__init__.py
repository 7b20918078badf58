"""Memory, speed and utilisation of training on one GPU, beside the estimates (see `__main__`)."""
