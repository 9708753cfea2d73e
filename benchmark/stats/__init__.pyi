from .association import correlation_ratio, cramers_v, ratio_p_value, table_p_value
from .intervals import (
    Difference,
    holm,
    independent_rank_intervals,
    paired_difference,
    photo_interval,
    photo_intervals,
    rank_intervals,
    standard_error,
)
from .resampling import LEVEL

__all__ = [
    "LEVEL",
    "Difference",
    "correlation_ratio",
    "cramers_v",
    "holm",
    "independent_rank_intervals",
    "paired_difference",
    "photo_interval",
    "photo_intervals",
    "rank_intervals",
    "ratio_p_value",
    "standard_error",
    "table_p_value",
]
