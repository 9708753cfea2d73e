"""``camtrace erase``: fit an eraser on train photos, choose on held-out ones, freeze it, measure it on unseen ones.

The protocol is the code's: what an eraser is measured on it has never seen, by id, by picture, by owner or scene.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
