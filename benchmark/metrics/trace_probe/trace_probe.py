"""``evaluate`` metric: accuracy of a linear probe, with chance and an interval that resamples photos."""

# Indented: evaluate reads imports at the margin, and would ask users to install a package of another name.
try:
    from benchmark.metrics.metric import metric_class
except ImportError as error:
    raise ImportError("this metric needs the package camtrace: pip install 'camtrace[encoders]'") from error

TraceProbe = metric_class("trace_probe", "camtrace/trace_probe")
