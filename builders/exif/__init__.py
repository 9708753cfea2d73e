"""Bytes -> acquisition record -> labels: Exif by an allow-list, devices, attributes.

Positions, serial numbers and names are never read.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
