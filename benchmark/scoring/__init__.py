"""Encoders x photo sets x tasks -> results: one run behind ``score``, ``sweep`` and ``erase``.

A failed photo, task or encoder is recorded and does not end the run.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
