"""Scores as metrics of the ``evaluate`` library: thin classes over pure functions.

``from benchmark.metrics import TraceProbe`` and ``evaluate.load("benchmark/metrics/trace_probe")`` give one metric.
``evaluate.load("OWNER/trace_probe")`` loads it from a Space, and needs ``pip install 'camtrace[encoders]'``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
