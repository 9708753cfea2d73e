"""Loads encoders of any library: a specification goes in, an ``Encoder`` comes out.

Importing this package imports neither torch nor any model library; ``load_encoder`` imports what its spec needs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
