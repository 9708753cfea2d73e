"""Comparisons of results: run with run, and run with the published study. No embedding is computed."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
