from .setups import SETUPS, knn_setups

__all__ = [
    "SETUPS",
    "knn_setups",
]
