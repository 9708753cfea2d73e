from .article import draw_article
from .figures import draw_figures
from .gate import gate_runs
from .items.alignment import OnMissing
from .items.comparison import ComparedItems, ItemRanks, ItemRow, compare_rows, gate_items
from .items.figure import items_figure
from .items.scores import Columns, OnRepeated
from .items.sources import is_item_source, read_sources
from .items.text import flat_rows, items_record, items_text, write_items
from .judged import Gate, GateRow, Loss, MissingScore, gate_text
from .networks import NetworkFinding, network_findings, networks_text
from .networks_figure import draw_networks
from .paired import Compared, Tie, compare_runs, comparison_json, comparison_text, difference_rows
from .published import published_rows, published_text, study_text, write_published

__all__ = [
    "Columns",
    "Compared",
    "ComparedItems",
    "Gate",
    "GateRow",
    "ItemRanks",
    "ItemRow",
    "Loss",
    "MissingScore",
    "NetworkFinding",
    "OnMissing",
    "OnRepeated",
    "Tie",
    "compare_rows",
    "compare_runs",
    "comparison_json",
    "comparison_text",
    "difference_rows",
    "draw_article",
    "draw_figures",
    "draw_networks",
    "flat_rows",
    "gate_items",
    "gate_runs",
    "gate_text",
    "is_item_source",
    "items_figure",
    "items_record",
    "items_text",
    "network_findings",
    "networks_text",
    "published_rows",
    "published_text",
    "read_sources",
    "study_text",
    "write_items",
    "write_published",
]
