from .setups import SPD, Setup, knn_setups, setup_shares

__all__ = ["SPD", "Setup", "knn_setups", "setup_shares"]
