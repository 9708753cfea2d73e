"""PairCams: pairs of photos of one subject by a phone and by an older camera.

From the study's files or anybody's folder to a data set.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
