from .comparing import Comparison, compare
from .scored import Results
from .scoring import score
from .training import TraceCallback

__all__ = [
    "Comparison",
    "Results",
    "TraceCallback",
    "compare",
    "score",
]
