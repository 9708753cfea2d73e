from .groups import GivenSplits, GroupKind, check_given_splits, perceptual_hashes, photo_groups, split_guard
from .limits import Choice, Limits, class_limits
from .make import LEFT_OUT, Sizes, Splits, balance, make_splits
from .near_duplicates import NO_HASH, near_duplicate_groups, near_pairs, photo_hash
from .report import ValidationReport, chi_square, cramers_v, validate, without_empty
from .tables import SplitTable, read_split_file, tables_of, text_column

__all__ = [
    "LEFT_OUT",
    "NO_HASH",
    "Choice",
    "GivenSplits",
    "GroupKind",
    "Limits",
    "Sizes",
    "SplitTable",
    "Splits",
    "ValidationReport",
    "balance",
    "check_given_splits",
    "chi_square",
    "class_limits",
    "cramers_v",
    "make_splits",
    "near_duplicate_groups",
    "near_pairs",
    "perceptual_hashes",
    "photo_groups",
    "photo_hash",
    "read_split_file",
    "split_guard",
    "tables_of",
    "text_column",
    "validate",
    "without_empty",
]
