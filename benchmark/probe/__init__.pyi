from .answers import ProbeAnswers
from .features import Rows
from .permutations import shuffled_accuracies
from .protocols import labelled_probe, processing_probe
from .registry import PROTOCOLS

__all__ = [
    "PROTOCOLS",
    "ProbeAnswers",
    "Rows",
    "labelled_probe",
    "processing_probe",
    "shuffled_accuracies",
]
