"""Decoding, processing parameters, masks, headers of image files, and the exact engine.

Pillow is the definition; everything faster equals it bit for bit.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
