"""``evaluate`` metric: the kNN set-ups of one processing parameter, from one table of embedded views."""

# Indented: evaluate would take the package's name from an import at the margin and tell users to install another one.
try:
    from benchmark.metrics.metric import metric_class
except ImportError as error:
    raise ImportError("this metric needs the package camtrace: pip install 'camtrace[encoders]'") from error

KnnSetups = metric_class("knn_setups", "camtrace/knn_setups")
