from .definitions import CITATION, DEFINITIONS, Definition
from .knn_setups.knn_setups import KnnSetups
from .metric import metric_class
from .pair_retrieval.pair_retrieval import PairRetrieval
from .scores import knn_setup_scores, pair_scores, probe_scores
from .trace_probe.trace_probe import TraceProbe

__all__ = [
    "CITATION",
    "DEFINITIONS",
    "Definition",
    "KnnSetups",
    "PairRetrieval",
    "TraceProbe",
    "knn_setup_scores",
    "metric_class",
    "pair_scores",
    "probe_scores",
]
