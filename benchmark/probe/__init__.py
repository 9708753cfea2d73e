"""The linear probe: how well one linear layer on frozen embeddings tells processings or acquisition labels apart.

Two named protocols that estimate different things: ``converged``, the optimum of a penalised logistic regression, and
``iccv2025``, the published study's stochastic gradient descent with its search. Pure functions on arrays.
"""

from benchmark.probe.answers import ProbeAnswers
from benchmark.probe.permutations import null_range, shuffled_accuracies
from benchmark.probe.protocols import PROTOCOLS, labelled_probe, processing_probe

__all__ = ["PROTOCOLS", "ProbeAnswers", "labelled_probe", "null_range", "processing_probe", "shuffled_accuracies"]
