"""A board as CSV, for spreadsheets."""

from __future__ import annotations

import csv
import io

from benchmark.leaderboard.board import Board


def board_csv(board: Board) -> str:
    """Long form: one line per score, every digit."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ("encoder", "id", "origin", "group", "data", "task", "metric", "settings")
    writer.writerow([*names, "value", "low", "high", "n", "chance", "rank_low", "rank_high", "paired", "flags"])
    for entry in board.entries:
        for column in board.columns:
            cell = column.cells.get(entry.key)
            if cell is None:
                continue
            texts = [entry.name, entry.id, entry.origin, entry.group, column.data, column.task, column.metric]
            numbers = [cell.value, cell.low, cell.high, cell.n, column.chance]
            ranks = [cell.rank_low, cell.rank_high, cell.paired]
            writer.writerow(
                [*map(_cell_text, [*texts, column.settings]), *numbers, *ranks, " ".join(cell.flags)],
            )
    return out.getvalue()


def _cell_text(text: str) -> str:
    """A spreadsheet runs a text that begins like a formula: an apostrophe keeps it a text.

    >>> _cell_text("=1+1")
    "'=1+1"
    """
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
