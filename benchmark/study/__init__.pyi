from .compare import Compared, Tie, compare_runs, comparison_text

__all__ = ["Compared", "Tie", "compare_runs", "comparison_text"]
