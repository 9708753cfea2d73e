"""Photos of one data set in a fixed order: ids, labels, splits, and a way to the original bytes of each.

Where photos come from (a folder, a Hub data set, the bundled sample) is ``builders.data_specs``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
