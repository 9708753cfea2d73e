from .build import CONFIG, PAIR_FEATURES

__all__ = [
    "CONFIG",
    "PAIR_FEATURES",
]
