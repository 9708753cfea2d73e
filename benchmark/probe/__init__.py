"""The probe: how well one linear layer on frozen embeddings tells processings or acquisition labels apart.

Neighbours and a small network may read in the layer's place (``readers.py``).

Two named protocols that estimate different things: ``converged``, the optimum of a penalised logistic regression, and
``iccv2025``, the published study's stochastic gradient descent with its search. Pure functions on arrays.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
