"""Data sets of photos processed in known ways: built in shards, or processed while they are read.

Both have the same bytes and labels.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
