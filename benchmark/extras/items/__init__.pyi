from .alignment import OnMissing
from .api import ItemComparison, compare_items
from .comparison import ComparedItems, ItemRanks, ItemRow, compare_rows, gate_items
from .figure import items_figure
from .scores import Columns, OnRepeated
from .sources import is_item_source, read_sources
from .text import flat_rows, items_record, items_text, left_out, write_items

__all__ = [
    "Columns",
    "ComparedItems",
    "ItemComparison",
    "ItemRanks",
    "ItemRow",
    "OnMissing",
    "OnRepeated",
    "compare_items",
    "compare_rows",
    "flat_rows",
    "gate_items",
    "is_item_source",
    "items_figure",
    "items_record",
    "items_text",
    "left_out",
    "read_sources",
    "write_items",
]
