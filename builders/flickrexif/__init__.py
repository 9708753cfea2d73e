"""FlickrExif: search (Flickr API) -> fetch (photos) -> build (labels, splits, Parquet).

Every step stores its work in one folder of state and resumes from there.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
