"""The scores in the form of the ``evaluate`` library: thin faces over this package's pure functions.

``from benchmark.metrics import TraceProbe`` and ``evaluate.load("benchmark/metrics/trace_probe")`` are the same metric;
``evaluate.load("OWNER/trace_probe")`` is it from a Space, and needs this package installed (``pip install camtrace``).
"""

from benchmark.metrics.knn_setups.knn_setups import KnnSetups
from benchmark.metrics.pair_retrieval.pair_retrieval import PairRetrieval
from benchmark.metrics.scores import knn_setup_scores, pair_scores, probe_scores
from benchmark.metrics.trace_probe.trace_probe import TraceProbe

__all__ = ["KnnSetups", "PairRetrieval", "TraceProbe", "knn_setup_scores", "pair_scores", "probe_scores"]
