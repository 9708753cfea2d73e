from .comparison import Comparison, compare
from .results import NoSuchScore, Results, load_results
from .scoring import score
from .training import TraceCallback

__all__ = [
    "Comparison",
    "NoSuchScore",
    "Results",
    "TraceCallback",
    "compare",
    "load_results",
    "score",
]
