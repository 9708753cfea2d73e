from .report_page import write_report_page
from .site import DEFAULT_TITLE, build_leaderboard

__all__ = [
    "DEFAULT_TITLE",
    "build_leaderboard",
    "write_report_page",
]
