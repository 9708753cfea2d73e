"""Banks: embeddings on disk under a complete key, the pass that fills them, and the gates before a pass.

This package knows encoders and views, but not tasks: a bank serves every task that needs its views.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
