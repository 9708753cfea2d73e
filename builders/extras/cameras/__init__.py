"""Real camera sets: each scene by many cameras. Layout of folders, archives and tables -> captures -> photo set."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
