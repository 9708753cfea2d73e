"""Many encoders on the same photos: shared passes, estimates beforehand, rows for what failed.

Each row is a result of its own that a plain run would give.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
