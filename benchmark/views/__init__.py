"""Photo -> view: the arrays that encoders receive, one per photo and processing.

A photo is decoded once for all of its views and all encoders of a pass.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
