from .answers import SPD, WORST, KnnAnswers, Setup, TieRule, setup_shares
from .setups import knn_setups
from .similarity import KINDS, Histogram, Similarities, histogram, similarities, similarity_counts

__all__ = [
    "KINDS",
    "SPD",
    "WORST",
    "Histogram",
    "KnnAnswers",
    "Setup",
    "Similarities",
    "TieRule",
    "histogram",
    "knn_setups",
    "setup_shares",
    "similarities",
    "similarity_counts",
]
