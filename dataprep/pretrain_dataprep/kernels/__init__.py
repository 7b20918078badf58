"""Hot loops, compiled by Numba: buffers and numbers in, numbers out. What they mean is said where they are called."""
