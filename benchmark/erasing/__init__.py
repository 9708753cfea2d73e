"""Erasers: affine maps that remove a trace from embeddings.

An eraser is fitted on train photos, its options are chosen on held-out ones, and its effect is measured on photos that
it has not seen: other ids, pictures, owners and scenes.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
