"""Comparisons: run against run, and run against the published study.

Reads results and answers; computes no embedding.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
