"""A built folder as a stranger reads it: are its files, rows and images what their labels promise?

``camtrace build check`` (``command.py``); ``check_folder`` asks every split.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
