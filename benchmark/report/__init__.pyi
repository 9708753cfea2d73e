from .brief import brief_text
from .course import courses, draw_courses, in_step_order, step_of
from .figure import depth_figure, draw_report, report_figure
from .paper import COLUMN, checked_format, summary_figure, write_figure
from .pipeline import Processed, pipeline_page, pipeline_rows, pipeline_table
from .tables import as_json, can_draw, interval, markdown_table, p_value, percent, score_rows, write_png
from .text import report_text

__all__ = [
    "COLUMN",
    "Processed",
    "as_json",
    "brief_text",
    "can_draw",
    "checked_format",
    "courses",
    "depth_figure",
    "draw_courses",
    "draw_report",
    "in_step_order",
    "interval",
    "markdown_table",
    "p_value",
    "percent",
    "pipeline_page",
    "pipeline_rows",
    "pipeline_table",
    "report_figure",
    "report_text",
    "score_rows",
    "step_of",
    "summary_figure",
    "write_figure",
    "write_png",
]
