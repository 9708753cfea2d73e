from .results import Comparison, Results, compare
from .scoring import score
from .training import TraceCallback

__all__ = [
    "Comparison",
    "Results",
    "TraceCallback",
    "compare",
    "score",
]
