"""Encoders x tasks -> results: the command that most people run.

A failed photo, task or encoder is a row, never the end of the run.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
