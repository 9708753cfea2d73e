"""Publishes results to a data set of results on the Hub, to its leaderboard and, if requested, to pages of models."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
