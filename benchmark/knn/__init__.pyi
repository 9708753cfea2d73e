from .answers import SPD, KnnAnswers, Setup, TieRule, setup_shares
from .setups import knn_setups

__all__ = ["SPD", "KnnAnswers", "Setup", "TieRule", "knn_setups", "setup_shares"]
