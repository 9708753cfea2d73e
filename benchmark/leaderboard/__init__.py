"""Results in, a static site out: ``camtrace leaderboard --results DIR|REPO --output SITE``."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
