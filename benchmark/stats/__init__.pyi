from .association import correlation_ratio, ratio_p_value, table_p_value
from .chance import EffectSize, against_chance, effect_size
from .intervals import photo_interval, photo_intervals, standard_error
from .multiplicity import holm
from .paired import Difference, paired_difference
from .permutation import NullRange, null_range
from .ranks import Ranks, independent_rank_intervals, rank_intervals
from .resampling import LEVEL, Interval
from .shares import Ends, independent_difference, wilson_interval

__all__ = [
    "LEVEL",
    "Difference",
    "EffectSize",
    "Ends",
    "Interval",
    "NullRange",
    "Ranks",
    "against_chance",
    "correlation_ratio",
    "effect_size",
    "holm",
    "independent_difference",
    "independent_rank_intervals",
    "null_range",
    "paired_difference",
    "photo_interval",
    "photo_intervals",
    "rank_intervals",
    "ratio_p_value",
    "standard_error",
    "table_p_value",
    "wilson_interval",
]
