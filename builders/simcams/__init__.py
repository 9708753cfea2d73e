"""Cameras as software: the same scene through many cameras, labels exact, so that trace and scene can be told apart.

``simcams_photos`` and ``simpairs_photos`` are photo sets that render when read; ``camtrace build simcams`` writes
them to disk in the form of FlickrExif and PairCams. Formulas and limits: docs/reference/simulated-cameras.md.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
