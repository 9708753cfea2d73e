from .pairs import PairAnswers, pair_retrieval

__all__ = [
    "PairAnswers",
    "pair_retrieval",
]
