from .duplicates import (
    POLICIES,
    RECORD,
    DuplicatePolicy,
    Guarded,
    default_policy,
    guarded_by,
    with_duplicates_on_one_side,
)
from .groups import (
    NEAR_LIMIT,
    Fingerprints,
    GivenSplits,
    GroupKind,
    check_given_splits,
    fingerprints,
    near_duplicate_column,
    near_duplicate_names,
    photo_groups,
)
from .limits import Choice, Limits, class_limits
from .make import LEFT_OUT, Sizes, Splits, balance, make_splits
from .near_duplicates import NO_HASH, near_duplicate_groups, near_pairs, photo_hash, small_photo
from .report import ValidationReport, chi_square, cramers_v, validate, without_empty
from .tables import SplitTable, read_split_file, tables_of, text_column
from .variants import VARIANTS, photo_variants

__all__ = [
    "LEFT_OUT",
    "NEAR_LIMIT",
    "NO_HASH",
    "POLICIES",
    "RECORD",
    "VARIANTS",
    "Choice",
    "DuplicatePolicy",
    "Fingerprints",
    "GivenSplits",
    "GroupKind",
    "Guarded",
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
    "default_policy",
    "fingerprints",
    "guarded_by",
    "make_splits",
    "near_duplicate_column",
    "near_duplicate_groups",
    "near_duplicate_names",
    "near_pairs",
    "photo_groups",
    "photo_hash",
    "photo_variants",
    "read_split_file",
    "small_photo",
    "tables_of",
    "text_column",
    "validate",
    "with_duplicates_on_one_side",
    "without_empty",
]
