from .answers import ProbeAnswers
from .features import Rows
from .permutations import null_range, shuffled_accuracies
from .protocols import labelled_probe, processing_probe
from .registry import PROTOCOLS

__all__ = [
    "PROTOCOLS",
    "ProbeAnswers",
    "Rows",
    "labelled_probe",
    "null_range",
    "processing_probe",
    "shuffled_accuracies",
]
