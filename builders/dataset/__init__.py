"""Data sets on disk: numbered Parquet shards that resume, their cards, and the rights of their photos.

Knows rows and features, not where photos come from.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
