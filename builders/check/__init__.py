"""Checks of a built folder: whether its files, rows and images agree with its labels.

``camtrace build check`` (``cli.py``) calls ``check_folder``, which checks every split.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
