"""A built folder, or its recipe, to the Hub.

A dry run until it is told to push; pixels only where their rights allow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
