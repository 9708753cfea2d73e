from .comparing import Comparison, compare
from .scored import Results
from .scoring import score

__all__ = [
    "Comparison",
    "Results",
    "compare",
    "score",
]
