"""Uncertainty: the one owner of every interval, p-value and resampling in this package.

Pure functions on arrays of values by photo.
"""
