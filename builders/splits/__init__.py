"""Train, validation and test that share nothing, and the report that proves it.

Stratified by class, grouped by scene or owner, free of near-duplicates.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
