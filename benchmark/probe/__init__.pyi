from .alone import begin_compiling_probes
from .answers import ProbeAnswers
from .curve import LearningCurve, labelled_curve, processing_curve
from .features import Rows
from .parts import Clusters
from .permutations import shuffled_accuracies
from .problem import LabelledSplits
from .protocols import as_learnt, labelled_probe, processing_probe
from .readers import LINEAR, READERS, chosen_readers
from .registry import PROTOCOLS
from .together import Among, SharedSplits, Together
from .training_spread import TrainingSpread, labelled_spread, processing_spread

__all__ = [
    "LINEAR",
    "PROTOCOLS",
    "READERS",
    "Among",
    "Clusters",
    "LabelledSplits",
    "LearningCurve",
    "ProbeAnswers",
    "Rows",
    "SharedSplits",
    "Together",
    "TrainingSpread",
    "as_learnt",
    "begin_compiling_probes",
    "chosen_readers",
    "labelled_curve",
    "labelled_probe",
    "labelled_spread",
    "processing_curve",
    "processing_probe",
    "processing_spread",
    "shuffled_accuracies",
]
