"""Uncertainty: the one owner of every interval, p-value and resampling in this package.

Pure functions on arrays of values by photo.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
