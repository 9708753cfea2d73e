"""Detectors of generated pictures, as pure functions on scores: AUC, rates, calibration, and crossing with processing.

A score is any number that is higher for a picture that looks more generated.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
