"""``evaluate`` metric: does a photo find the other photo of its subject, or the photos of its own kind of camera?"""

# Indented: evaluate would take the package's name from an import at the margin and tell users to install another one.
try:
    from benchmark.metrics.metric import metric_class
except ImportError as error:
    raise ImportError("this metric needs the package camtrace: pip install 'camtrace[encoders]'") from error

PairRetrieval = metric_class("pair_retrieval", "camtrace/pair_retrieval")
