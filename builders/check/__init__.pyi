from .data_set import check_folder
from .diff import BuildDiff, ConfigDiff, diff_builds, diff_json, diff_text
from .result import Check

__all__ = [
    "BuildDiff",
    "Check",
    "ConfigDiff",
    "check_folder",
    "diff_builds",
    "diff_json",
    "diff_text",
]
