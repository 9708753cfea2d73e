"""Erasers: maps of embeddings that take out what a reader could tell of a label, and leave the rest near itself.

Closed forms of streamed first and second moments, an adversary that is trained, and controls. Pure functions on arrays.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
