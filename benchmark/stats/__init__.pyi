from .association import correlation_ratio, ratio_p_value, table_p_value
from .bootstrap import bootstrap_interval
from .flips import mcnemar
from .intervals import (
    Difference,
    Ends,
    independent_difference,
    paired_difference,
    photo_interval,
    photo_intervals,
    standard_error,
    wilson_interval,
)
from .leave_one_out import Jackknife, jackknife, statistic_interval, statistic_of
from .methods import METHODS
from .one_sided import p_above, p_below
from .ranks import (
    Deviations,
    Ranks,
    independent_p_values,
    pair_p_values,
    rank_intervals,
    ranks_of_pairs,
    unit_deviations,
)
from .resampling import LEVEL, Interval, t_quantile
from .significance import (
    EffectSize,
    NullRange,
    against_chance,
    effect_size,
    holm,
    null_range,
    upper_p_value,
)
from .units import (
    CLUSTER_COLUMNS,
    ErrorUnits,
    effective_number,
    error_units,
    joint_units,
    single_units,
    units_of_pairs,
)

__all__ = [
    "CLUSTER_COLUMNS",
    "LEVEL",
    "METHODS",
    "Deviations",
    "Difference",
    "EffectSize",
    "Ends",
    "ErrorUnits",
    "Interval",
    "Jackknife",
    "NullRange",
    "Ranks",
    "against_chance",
    "bootstrap_interval",
    "correlation_ratio",
    "effect_size",
    "effective_number",
    "error_units",
    "holm",
    "independent_difference",
    "independent_p_values",
    "jackknife",
    "joint_units",
    "mcnemar",
    "null_range",
    "p_above",
    "p_below",
    "pair_p_values",
    "paired_difference",
    "photo_interval",
    "photo_intervals",
    "rank_intervals",
    "ranks_of_pairs",
    "ratio_p_value",
    "single_units",
    "standard_error",
    "statistic_interval",
    "statistic_of",
    "t_quantile",
    "table_p_value",
    "unit_deviations",
    "units_of_pairs",
    "upper_p_value",
    "wilson_interval",
]
