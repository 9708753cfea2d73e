from .cells import GroupCells, cells_text, group_cells, print_cells
from .columns import COLUMN_OPTIONS, ColumnSources, class_codes, column_of, first_column, is_path_source, labels_of
from .photo_set import CLUSTER, HUB_SPLITS, NEAR_DUPLICATES, QUESTION_COLUMNS, SPLITS, UNLABELLED, Labels, PhotoSet
from .source import Head, MemorySource, NoPictures, PhotoSource, Stamp, hash64, photo_digest, rank_within
from .stamps import FactCache, file_stamp

__all__ = [
    "CLUSTER",
    "COLUMN_OPTIONS",
    "HUB_SPLITS",
    "NEAR_DUPLICATES",
    "QUESTION_COLUMNS",
    "SPLITS",
    "UNLABELLED",
    "ColumnSources",
    "FactCache",
    "GroupCells",
    "Head",
    "Labels",
    "MemorySource",
    "NoPictures",
    "PhotoSet",
    "PhotoSource",
    "Stamp",
    "cells_text",
    "class_codes",
    "column_of",
    "file_stamp",
    "first_column",
    "group_cells",
    "hash64",
    "is_path_source",
    "labels_of",
    "photo_digest",
    "print_cells",
    "rank_within",
]
