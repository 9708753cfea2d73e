"""Photos processed in known ways as a data set: built in shards, or made while it is read.

Both give the same bytes and labels.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
