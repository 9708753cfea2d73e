"""Compiled kernels with the results of the stages."""
