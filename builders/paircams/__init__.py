"""PairCams: a data set of pairs of photos of one subject, by a phone and by an older camera.

It is built from the study's files or from a folder of pairs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
