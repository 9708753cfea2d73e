from .order import hash64, photo_digest, rank_within
from .photo_set import HUB_SPLITS, QUESTION_COLUMNS, SPLITS, UNLABELLED, Labels, PhotoSet
from .source import Head, MemorySource, PhotoSource, Stamp

__all__ = [
    "HUB_SPLITS",
    "QUESTION_COLUMNS",
    "SPLITS",
    "UNLABELLED",
    "Head",
    "Labels",
    "MemorySource",
    "PhotoSet",
    "PhotoSource",
    "Stamp",
    "hash64",
    "photo_digest",
    "rank_within",
]
