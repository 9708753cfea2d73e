"""Cells, ranks and means of a board do not move between versions, nor do those of the published encoders."""

import numpy as np

from benchmark.results import Failure
from tests.benchmark.leaderboard.conftest import Cell
from tests.support.recorded import check_recorded

SENTENCES = ("version", "source", "explain", "note", "notes", "status", "flags", "commands", "title")


def numbers(value):
    """A value of the page without its sentences."""
    if isinstance(value, dict):
        return {key: numbers(each) for key, each in value.items() if key not in SENTENCES}
    return [numbers(each) for each in value] if isinstance(value, (list, tuple)) else value


def test_board__of_three_encoders_is_as_recorded(make, board_of):
    plain = make.score("knn/original", "accuracy", 0.62, chance=0.01, k=10)
    results = [
        make.result("one", [*make.probes(0.5, 0.6, 0.7, 0.4), *make.neighbours(0.6, 0.1), plain]),
        make.result("two", make.probes(0.52, 0.35, 0.9, 0.4), group="SSL", parameters=7, preprocessing={"crop": 336}),
        make.result("three", make.neighbours(0.55, -0.02), failures=[Failure("task", "probe/jpeg", "it failed")]),
        make.result("one", make.probes(0.5, 0.6, 0.75, 0.4), created="2026-11-21T10:00:00+00:00"),
    ]
    board = board_of(*results)
    made = numbers(board.data)
    for name in ("columns", "rows"):
        made |= {f"{name}: {i}": part for i, part in enumerate(made.pop(name))}
    check_recorded("board", made | {"csv": board.csv.splitlines()})


def test_board__of_published_encoders_is_as_recorded(board_of):
    board = board_of(published=True)
    made = {"encoders": [[row[name] for name in ("key", "name", "id", "group", "library")] for row in board.rows]}
    for i, column in enumerate(board.columns):
        cells = [Cell(*row["cells"][i][:6]) for row in board.rows]
        fields = ("value", "low", "high", "rank_low", "rank_high")
        made[column["id"]] = [column["chance"], *(np.array([getattr(c, f) for c in cells], float) for f in fields)]
    check_recorded("published-board", made)
