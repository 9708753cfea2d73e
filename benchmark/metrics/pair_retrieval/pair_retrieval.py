"""``evaluate`` metric: whether a photo retrieves the other photo of its subject, or photos of its type of camera."""

# Indented: evaluate reads imports at the margin, and would ask users to install a package of another name.
try:
    from benchmark.metrics.metric import metric_class
except ImportError as error:
    raise ImportError("this metric needs the package camtrace: pip install 'camtrace[encoders]'") from error

PairRetrieval = metric_class("pair_retrieval", "camtrace/pair_retrieval")
