"""Results as data: their schema and forms, result files and answers by photo, published scores, and summaries.

This package knows no task by its name: ``Questions`` say what scores mean.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
