"""The Python API: ``score``, its ``Results`` and their ``Comparison``, and ``TraceCallback``.

It shares the run of the command ``camtrace score``; ``camtrace.py`` exports these names.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
