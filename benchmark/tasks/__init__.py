"""The tasks: named questions about embeddings, in one module per family; ``registry.py`` lists them all.

A task defines its views, its arithmetic, its answers and the meaning of its metrics.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
