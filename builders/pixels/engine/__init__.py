"""The exact engine: the pixels of Pillow's processings and resizes, by vector kernels that numba compiles.

A JPEG round trip here has no entropy coding, which is lossless; the rest is integer arithmetic, equal bit for bit.
Without numba only ``selection.py`` is imported.
"""
