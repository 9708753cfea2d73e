"""Process pools, sandboxes and guards: how work is done in other processes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
