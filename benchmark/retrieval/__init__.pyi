from .lost import Distracted, nearest_of_own_type
from .pairs import PairAnswers, pair_retrieval

__all__ = [
    "Distracted",
    "PairAnswers",
    "nearest_of_own_type",
    "pair_retrieval",
]
