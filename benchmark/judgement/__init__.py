"""Judgement: answers *yes*, *no* or *undecided* about scores, and the sentences that say so.

No other package compares a score with chance or a p-value with a level, and none writes a sentence that does.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
