"""Compiled kernels with the same results as the stages, bit for bit."""
