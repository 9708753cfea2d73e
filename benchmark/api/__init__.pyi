from .comparison import Comparison, compare
from .item_comparison import ItemComparison, compare_items
from .results import NoSuchScore, Results, load_results
from .scoring import ScoreOptions, score
from .training import TraceCallback

__all__ = [
    "Comparison",
    "ItemComparison",
    "NoSuchScore",
    "Results",
    "ScoreOptions",
    "TraceCallback",
    "compare",
    "compare_items",
    "load_results",
    "score",
]
