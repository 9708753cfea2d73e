from .answers import Run, read_runs
from .figure import draw_report, report_figure
from .files import ReadResults, Refusal, ResultFile, find_files, find_runs, folder_name, read_files, size_objection
from .published import (
    ATTRIBUTES,
    GROUPS,
    PAIRS_DATA,
    PROCESSING_CLASSES,
    STUDY_CITATION,
    STUDY_DATE,
    STUDY_URL,
    TRAIN_PHOTOS,
    PublishedEncoder,
    PublishedScore,
    published_encoders,
)
from .reading import read_results
from .report import report_text
from .schema import SCHEMA_VERSION, Failure, Result, Score, read_result, write_result
from .summary import Summary, group_means, log_odds_over_chance, summarise
from .tables import interval, markdown_table, percent

__all__ = [
    "ATTRIBUTES",
    "GROUPS",
    "PAIRS_DATA",
    "PROCESSING_CLASSES",
    "SCHEMA_VERSION",
    "STUDY_CITATION",
    "STUDY_DATE",
    "STUDY_URL",
    "TRAIN_PHOTOS",
    "Failure",
    "PublishedEncoder",
    "PublishedScore",
    "ReadResults",
    "Refusal",
    "Result",
    "ResultFile",
    "Run",
    "Score",
    "Summary",
    "draw_report",
    "find_files",
    "find_runs",
    "folder_name",
    "group_means",
    "interval",
    "log_odds_over_chance",
    "markdown_table",
    "percent",
    "published_encoders",
    "read_files",
    "read_result",
    "read_results",
    "read_runs",
    "report_figure",
    "report_text",
    "size_objection",
    "summarise",
    "write_result",
]
