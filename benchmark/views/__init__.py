"""A photo becomes arrays for encoders, under one processing each.

Decoded once for all its views and all encoders of a pass.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
