from .crossing import Cell, cross
from .rates import best_threshold, calibration_error, recall_at
from .two_classes import Statistic, auc, balanced_accuracy, difference, mean_over

__all__ = [
    "Cell",
    "Statistic",
    "auc",
    "balanced_accuracy",
    "best_threshold",
    "calibration_error",
    "cross",
    "difference",
    "mean_over",
    "recall_at",
]
