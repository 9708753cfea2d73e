"""Work in other processes and under limits: pools, sandboxes, guards, deadlines and a budget of memory."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
