from .card import MeasuredEraser, Row, card_text, curve_table, matrix, table, verdict
from .eraser import CARD, ERASER_FILES, ErasedView, Eraser, FitSet, eraser_record, save_eraser
from .fit import fit_eraser, fit_method, moments_of
from .folder import load_eraser
from .leaks import Erasing, check_eraser, near_to, refuse_leaks
from .methods import METHODS, Method, method_named
from .moments import Moments, Source, unit_length
from .sides import FIT_SHARE, FitPlan, part_of, plan_fit

__all__ = [
    "CARD",
    "ERASER_FILES",
    "FIT_SHARE",
    "METHODS",
    "ErasedView",
    "Eraser",
    "Erasing",
    "FitPlan",
    "FitSet",
    "MeasuredEraser",
    "Method",
    "Moments",
    "Row",
    "Source",
    "card_text",
    "check_eraser",
    "curve_table",
    "eraser_record",
    "fit_eraser",
    "fit_method",
    "load_eraser",
    "matrix",
    "method_named",
    "moments_of",
    "near_to",
    "part_of",
    "plan_fit",
    "refuse_leaks",
    "save_eraser",
    "table",
    "unit_length",
    "verdict",
]
