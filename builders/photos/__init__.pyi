from .columns import class_codes, column_of, first_column, labels_of
from .photo_set import CLUSTER, HUB_SPLITS, QUESTION_COLUMNS, SPLITS, UNLABELLED, Labels, PhotoSet
from .source import Head, MemorySource, PhotoSource, Stamp, hash64, photo_digest, rank_within
from .stamps import FactCache, file_stamp

__all__ = [
    "CLUSTER",
    "HUB_SPLITS",
    "QUESTION_COLUMNS",
    "SPLITS",
    "UNLABELLED",
    "FactCache",
    "Head",
    "Labels",
    "MemorySource",
    "PhotoSet",
    "PhotoSource",
    "Stamp",
    "class_codes",
    "column_of",
    "file_stamp",
    "first_column",
    "hash64",
    "labels_of",
    "photo_digest",
    "rank_within",
]
