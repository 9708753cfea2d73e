"""Probes: how well a classifier on frozen embeddings predicts processings or acquisition labels.

The classifier is one linear layer; nearest neighbours or a small network may replace it (``readers``). Two protocols
fit the layer and estimate different things: ``converged``, the optimum of a penalised logistic regression, and
``iccv2025``, the published study's stochastic gradient descent with its search. Pure functions on arrays.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
