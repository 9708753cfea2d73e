from .article import draw_article
from .figures import draw_figures
from .gate import Gate, GateRow, Loss, MissingScore, gate_runs, gate_text
from .paired import Compared, Tie, compare_runs, comparison_json, comparison_text, difference_rows
from .published import published_rows, published_text, study_text, write_published

__all__ = [
    "Compared",
    "Gate",
    "GateRow",
    "Loss",
    "MissingScore",
    "Tie",
    "compare_runs",
    "comparison_json",
    "comparison_text",
    "difference_rows",
    "draw_article",
    "draw_figures",
    "gate_runs",
    "gate_text",
    "published_rows",
    "published_text",
    "study_text",
    "write_published",
]
