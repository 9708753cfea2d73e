"""Uncertainty: every interval, p-value and resampling of the benchmark.

Pure functions on arrays of values by photo.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
