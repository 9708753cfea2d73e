"""Robustness against a group that is given (scanner, site, camera), as pure functions on arrays.

Neighbours in four boxes, the robustness index, its chance, average performance drop, and clustering score.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
