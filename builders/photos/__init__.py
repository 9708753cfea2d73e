"""Photos of one data set in a fixed order: ids, labels, splits, and the original bytes of each.

``builders.data_specs`` opens a photo set from a folder, a Hub data set or the bundled sample.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
