from .command import main
from .report_page import write_report_page

__all__ = ["main", "write_report_page"]
