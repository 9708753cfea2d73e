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
    "holm",
    "independent_rank_intervals",
    "paired_difference",
    "photo_interval",
    "photo_intervals",
    "rank_intervals",
    "standard_error",
]
