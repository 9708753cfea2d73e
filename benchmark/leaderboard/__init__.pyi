from .report_page import write_report_page
from .site import build_leaderboard

__all__ = ["build_leaderboard", "write_report_page"]
