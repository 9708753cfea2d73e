from .eraser import Eraser
from .fit import fit_eraser, fit_method, moments_of
from .folder import CARD, ERASER_FILES, FitSet, eraser_record, load_eraser, save_eraser
from .moments import Moments
from .registry import METHODS, Method, method_named
from .source import Source, unit_length

__all__ = [
    "CARD",
    "ERASER_FILES",
    "METHODS",
    "Eraser",
    "FitSet",
    "Method",
    "Moments",
    "Source",
    "eraser_record",
    "fit_eraser",
    "fit_method",
    "load_eraser",
    "method_named",
    "moments_of",
    "save_eraser",
    "unit_length",
]
