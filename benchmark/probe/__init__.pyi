from .answers import ProbeAnswers
from .logits import ClassLayer, class_layer, class_scores
from .parts import (
    TrainingSpread,
    labelled_curve,
    labelled_spread,
    processing_curve,
    processing_spread,
)
from .probe import in_solver_space, labelled_probe, processing_probe, shuffled_accuracies
from .problem import LabelledSplits
from .protocols.registry import PROTOCOLS
from .readers.registry import LINEAR, READERS, chosen_readers
from .solver.newton import begin_compiling_probes
from .solver.projected import Among, SharedRows, SharedSplits
from .solver.rows import AsGiven, Rows, Some
from .statistics import FitStatistics, LearningCurve, fit_statistics

__all__ = [
    "LINEAR",
    "PROTOCOLS",
    "READERS",
    "Among",
    "AsGiven",
    "ClassLayer",
    "FitStatistics",
    "LabelledSplits",
    "LearningCurve",
    "ProbeAnswers",
    "Rows",
    "SharedRows",
    "SharedSplits",
    "Some",
    "TrainingSpread",
    "begin_compiling_probes",
    "chosen_readers",
    "class_layer",
    "class_scores",
    "fit_statistics",
    "in_solver_space",
    "labelled_curve",
    "labelled_probe",
    "labelled_spread",
    "processing_curve",
    "processing_probe",
    "processing_spread",
    "shuffled_accuracies",
]
