"""Bytes -> acquisition record -> labels: Exif by an allow-list, devices, attributes.

Never position, serial numbers or names.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
