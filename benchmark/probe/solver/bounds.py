"""Bounds of Newton's steps, which the solver in torch and the compiled one share."""

MAX_CONJUGATE = 400
"""Conjugate gradient steps within one Newton step."""

MAX_HALVINGS = 30
"""Halvings of a step after which a fit has stalled."""

ARMIJO = 1e-4
"""Least share of the predicted decrease that a step must reach (Nocedal and Wright, Numerical Optimization, 3.1)."""
