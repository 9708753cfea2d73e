"""Pair retrieval, as a pure function on arrays.

Every target's rank among distractors of its own and of the query's camera type.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
