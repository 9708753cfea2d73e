"""Results to a data set of results on the Hub, to its leaderboard, and, where asked for, to the models' own pages."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
