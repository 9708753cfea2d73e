from .answers import ProbeAnswers
from .curve import LearningCurve, labelled_curve, processing_curve
from .features import Rows
from .permutations import shuffled_accuracies
from .protocols import PROTOCOLS, labelled_probe, processing_probe

__all__ = [
    "PROTOCOLS",
    "LearningCurve",
    "ProbeAnswers",
    "Rows",
    "labelled_curve",
    "labelled_probe",
    "processing_curve",
    "processing_probe",
    "shuffled_accuracies",
]
