"""Embeddings on disk under a complete key: the pass that makes them, and the gate that low precision must pass.

Knows encoders and views, not tasks: a bank answers for any question that asks for its views.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
