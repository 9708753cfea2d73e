"""``evaluate`` metric: the kNN set-ups of one processing parameter, from one table of embedded views."""

# Indented: evaluate reads imports at the margin, and would ask users to install a package of another name.
try:
    from benchmark.metrics.metric import metric_class
except ImportError as error:
    raise ImportError("this metric needs the package camtrace: pip install 'camtrace[encoders]'") from error

KnnSetups = metric_class("knn_setups", "camtrace/knn_setups")
