from .answers import SPD, Setup, setup_shares
from .setups import knn_setups

__all__ = ["SPD", "Setup", "knn_setups", "setup_shares"]
