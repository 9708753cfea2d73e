"""``evaluate`` metric: what a linear probe read, with chance and an interval that resamples photos."""

# Indented: evaluate would take the package's name from an import at the margin and tell users to install another one.
try:
    from benchmark.metrics.metric import metric_class
except ImportError as error:
    raise ImportError("this metric needs the package camtrace: pip install 'camtrace[encoders]'") from error

TraceProbe = metric_class("trace_probe", "camtrace/trace_probe")
