from .article import draw_article
from .figures import draw_figures
from .paired import Compared, Tie, compare_runs, comparison_text
from .published import published_rows, published_text, study_text, write_published

__all__ = [
    "Compared",
    "Tie",
    "compare_runs",
    "comparison_text",
    "draw_article",
    "draw_figures",
    "published_rows",
    "published_text",
    "study_text",
    "write_published",
]
