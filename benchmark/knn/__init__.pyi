from .answers import SPD, WORST, KnnAnswers, Setup, TieRule, setup_shares
from .jitter import jittered
from .query_views import Nearest, ViewAnswers, cosine_distances, flipped_by, knn_of_views, nearest, worst_of
from .setups import knn_setups
from .similarity import KINDS, Histogram, Similarities, histogram, similarities, similarity_counts

__all__ = [
    "KINDS",
    "SPD",
    "WORST",
    "Histogram",
    "KnnAnswers",
    "Nearest",
    "Setup",
    "Similarities",
    "TieRule",
    "ViewAnswers",
    "cosine_distances",
    "flipped_by",
    "histogram",
    "jittered",
    "knn_of_views",
    "knn_setups",
    "nearest",
    "setup_shares",
    "similarities",
    "similarity_counts",
    "worst_of",
]
