"""Data specifications: the registry of kinds of data, and the photos that a specification names."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
