"""Any systems compared on the same items: tables and logs -> items that all have -> differences, ranks and a gate."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
