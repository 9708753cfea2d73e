"""Pair retrieval, as pure functions on arrays: each photo looks for another photo of its scene, by another camera.

Two types of cameras are one pair of groups; any number of groups makes a matrix of them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
