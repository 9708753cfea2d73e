"""Where photos come from, one file a kind.

``builders.data_specs`` above this room is the registry of kinds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
