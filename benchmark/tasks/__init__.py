"""The questions: one file a family, ``registry.py`` names them all.

A task owns its views, its arithmetic, its answers and what its metrics mean.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
