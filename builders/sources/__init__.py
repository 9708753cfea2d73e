"""Sources of photos, one module per kind of data.

``builders.data_specs`` is the registry of kinds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
