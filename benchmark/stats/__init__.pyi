from .association import correlation_ratio, ratio_p_value, table_p_value
from .chance import EffectSize, against_chance, effect_size
from .intervals import photo_interval, photo_intervals, standard_error
from .multiplicity import holm
from .paired import Difference, paired_difference
from .pairs import Deviations, pair_p_values, unit_deviations
from .permutation import NullRange, null_range
from .ranks import Ranks, independent_p_values, independent_rank_intervals, rank_intervals, ranks_of_pairs
from .resampling import LEVEL, Interval
from .shares import Ends, independent_difference, wilson_interval
from .units import CLUSTER_COLUMNS, NO_COLUMNS, ErrorUnits, error_units, joint_units, single_units

__all__ = [
    "CLUSTER_COLUMNS",
    "LEVEL",
    "NO_COLUMNS",
    "Deviations",
    "Difference",
    "EffectSize",
    "Ends",
    "ErrorUnits",
    "Interval",
    "NullRange",
    "Ranks",
    "against_chance",
    "correlation_ratio",
    "effect_size",
    "error_units",
    "holm",
    "independent_difference",
    "independent_p_values",
    "independent_rank_intervals",
    "joint_units",
    "null_range",
    "pair_p_values",
    "paired_difference",
    "photo_interval",
    "photo_intervals",
    "rank_intervals",
    "ranks_of_pairs",
    "ratio_p_value",
    "single_units",
    "standard_error",
    "table_p_value",
    "unit_deviations",
    "wilson_interval",
]
