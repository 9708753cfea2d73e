"""The scores in the form of the ``evaluate`` library: thin faces over this package's pure functions.

``from benchmark.metrics import TraceProbe`` and ``evaluate.load("benchmark/metrics/trace_probe")`` are the same metric;
``evaluate.load("OWNER/trace_probe")`` is it from a Space, and needs ``pip install 'camtrace[encoders]'``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
