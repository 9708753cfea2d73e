"""Publishes a built folder, or its recipe, on the Hub.

Without ``--push`` it is a dry run. Pixels are uploaded only if their licence allows it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
