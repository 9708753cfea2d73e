"""Simulated cameras: the same scene through many cameras with exact labels, so that trace and scene can be separated.

``simcams_photos`` and ``simpairs_photos`` are photo sets that are rendered when they are read; ``camtrace build
simcams`` writes them to disk in the form of FlickrExif and PairCams.
Formulas and limits: docs/reference/simulated-cameras.md.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
