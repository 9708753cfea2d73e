"""The exact engine: the pixels of Pillow's processings and resizes, made by vector kernels that numba compiles.

A JPEG round trip leaves out entropy coding, which is lossless; the rest is integer arithmetic that is repeated bit for
bit. Nothing here is imported where numba is absent (``selection.py`` decides).
"""
