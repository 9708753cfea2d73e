from .comparison import Comparison, compare
from .results import NoSuchScore, Results, load_results
from .scoring import ScoreOptions, score
from .training import TraceCallback

__all__ = [
    "Comparison",
    "NoSuchScore",
    "Results",
    "ScoreOptions",
    "TraceCallback",
    "compare",
    "load_results",
    "score",
]
