"""How arithmetic uses this machine: threads, matrix products by the faster BLAS, compiled kernels, batch sizes.

Knows nothing of photos or encoders.
"""
