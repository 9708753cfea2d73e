"""Audit of a data set: whether its label is confounded with codec, size or camera; and repairs.

Photo -> features -> scan (resumable blocks) -> counts -> questions -> ``Audit`` -> page.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
