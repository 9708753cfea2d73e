from .photo_set import HUB_SPLITS, QUESTION_COLUMNS, SPLITS, UNLABELLED, Labels, PhotoSet
from .source import Head, MemorySource, PhotoSource, Stamp, hash64, photo_digest, rank_within
from .stamps import RememberedFacts, file_stamp

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
    "RememberedFacts",
    "Stamp",
    "file_stamp",
    "hash64",
    "photo_digest",
    "rank_within",
]
