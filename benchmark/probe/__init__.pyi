from .answers import ProbeAnswers
from .curve import LearningCurve, labelled_curve, processing_curve
from .features import Rows
from .permutations import shuffled_accuracies
from .problem import LabelledSplits
from .protocols import labelled_probe, processing_probe
from .registry import PROTOCOLS

__all__ = [
    "PROTOCOLS",
    "LabelledSplits",
    "LearningCurve",
    "ProbeAnswers",
    "Rows",
    "labelled_curve",
    "labelled_probe",
    "processing_curve",
    "processing_probe",
    "shuffled_accuracies",
]
