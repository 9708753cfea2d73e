from .counts import PairCounts, count_pairs, held_bytes
from .groups import (
    COLLECTIONS_OF,
    RANKS,
    GroupRecall,
    Median,
    group_recall,
    median_chance,
    median_cosine,
    median_recall,
    recall_bytes,
)
from .pair_answers import COLLECTIONS, PairAnswers
from .two_types import nearest_of_same_type, pair_retrieval

__all__ = [
    "COLLECTIONS",
    "COLLECTIONS_OF",
    "RANKS",
    "GroupRecall",
    "Median",
    "PairAnswers",
    "PairCounts",
    "count_pairs",
    "group_recall",
    "held_bytes",
    "median_chance",
    "median_cosine",
    "median_recall",
    "nearest_of_same_type",
    "pair_retrieval",
    "recall_bytes",
]
