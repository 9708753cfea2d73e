from .report_page import write_report_page
from .shown_photos import SMALL_SIDE, jpeg_address
from .site import DEFAULT_TITLE, build_leaderboard

__all__ = [
    "DEFAULT_TITLE",
    "SMALL_SIDE",
    "build_leaderboard",
    "jpeg_address",
    "write_report_page",
]
