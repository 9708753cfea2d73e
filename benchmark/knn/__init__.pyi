from .answers import SPD, WORST, KnnAnswers, Setup, TieRule, flipped_by, setup_shares, worst_of
from .boxes import Box, BoxLists, VotesOfLists, box_neighbours, votes_of
from .jitter import extremes_of_jitters, jittered
from .keys import NOTHING, unpack_indices
from .query_views import ROUNDING, Nearest, ViewAnswers, cosine_distances, knn_of_views, nearest
from .search import Embeddings
from .setups import knn_setups, part_of
from .similarity import KINDS, Histogram, Similarities, histogram, similarities, similarity_counts

__all__ = [
    "KINDS",
    "NOTHING",
    "ROUNDING",
    "SPD",
    "WORST",
    "Box",
    "BoxLists",
    "Embeddings",
    "Histogram",
    "KnnAnswers",
    "Nearest",
    "Setup",
    "Similarities",
    "TieRule",
    "ViewAnswers",
    "VotesOfLists",
    "box_neighbours",
    "cosine_distances",
    "extremes_of_jitters",
    "flipped_by",
    "histogram",
    "jittered",
    "knn_of_views",
    "knn_setups",
    "nearest",
    "part_of",
    "setup_shares",
    "similarities",
    "similarity_counts",
    "unpack_indices",
    "votes_of",
    "worst_of",
]
