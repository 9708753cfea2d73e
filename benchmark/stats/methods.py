"""Version of the methods of intervals and p-values."""

METHODS = 4
"""Recorded in results as ``environment.statistics``. Raised by one whenever the same answers would get another interval
or p-value, so that results of older versions are not taken for edited ones."""
