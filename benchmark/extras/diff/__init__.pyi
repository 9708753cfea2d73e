from .page import write_diff
from .result import Diff, Measured, PathRow
from .run import diff

__all__ = ["Diff", "Measured", "PathRow", "diff", "write_diff"]
