"""What people hold in Python: ``score``, the ``Results`` that it gives, and their ``Comparison``.

The same core as the command ``camtrace score``; ``camtrace.py`` hands these names on.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
