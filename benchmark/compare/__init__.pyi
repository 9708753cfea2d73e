from .article import draw_article
from .figures import draw_figures
from .gate import gate_runs
from .judged import Gate, GateRow, Loss, MissingScore, gate_text
from .networks import NetworkFinding, network_findings, networks_text
from .networks_figure import draw_networks
from .paired import Compared, Tie, compare_runs, comparison_json, comparison_text, difference_rows
from .published import published_rows, published_text, study_text, write_published

__all__ = [
    "Compared",
    "Gate",
    "GateRow",
    "Loss",
    "MissingScore",
    "NetworkFinding",
    "Tie",
    "compare_runs",
    "comparison_json",
    "comparison_text",
    "difference_rows",
    "draw_article",
    "draw_figures",
    "draw_networks",
    "gate_runs",
    "gate_text",
    "network_findings",
    "networks_text",
    "published_rows",
    "published_text",
    "study_text",
    "write_published",
]
