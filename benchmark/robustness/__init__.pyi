from .beyond import SameGroup, p_of_shuffles, same_group
from .cells import Blocks, Cells
from .clustering import ClusteringScore, clustering_score
from .drop import PerformanceDrop, performance_drop
from .index import (
    IndexCurve,
    Statistic,
    balanced_chance,
    balanced_index,
    deciding_share,
    group_pull,
    index_curve,
    older_index,
    robustness_index,
    setup_accuracy,
    setup_chances,
    simulated_chance,
    spd,
    spd_beyond_chance,
)
from .neighbours import BOXES_OF, CURVE, Neighbours, neighbours_of
from .removals import LeftOut, Sums
from .shuffles import MOST_AGREEMENT, ShuffledSpd, agreement_of_shuffles, shuffled_groups, shuffled_spd
from .variance import MOST_FACTORS, REST, Components, variance_bytes, variance_components

__all__ = [
    "BOXES_OF",
    "CURVE",
    "MOST_AGREEMENT",
    "MOST_FACTORS",
    "REST",
    "Blocks",
    "Cells",
    "ClusteringScore",
    "Components",
    "IndexCurve",
    "LeftOut",
    "Neighbours",
    "PerformanceDrop",
    "SameGroup",
    "ShuffledSpd",
    "Statistic",
    "Sums",
    "agreement_of_shuffles",
    "balanced_chance",
    "balanced_index",
    "clustering_score",
    "deciding_share",
    "group_pull",
    "index_curve",
    "neighbours_of",
    "older_index",
    "p_of_shuffles",
    "performance_drop",
    "robustness_index",
    "same_group",
    "setup_accuracy",
    "setup_chances",
    "shuffled_groups",
    "shuffled_spd",
    "simulated_chance",
    "spd",
    "spd_beyond_chance",
    "variance_bytes",
    "variance_components",
]
