"""Cells, ranks and means of a board do not move between versions, nor do those of the published encoders."""

import numpy as np

from benchmark.leaderboard.board import build_board
from benchmark.leaderboard.board_data import board_csv, board_json
from benchmark.leaderboard.entries import measured_entries, published_entries, study_facts
from benchmark.results.files import ResultFile
from benchmark.results.published import published_encoders
from benchmark.results.schema import Failure
from tests.support.recorded import check_recorded

SENTENCES = ("version", "source", "explain", "note", "notes", "status", "flags", "commands", "title")


def numbers(value):
    """A value of the page without its sentences."""
    if isinstance(value, dict):
        return {key: numbers(each) for key, each in value.items() if key not in SENTENCES}
    return [numbers(each) for each in value] if isinstance(value, (list, tuple)) else value


def test_board__of_three_encoders_is_as_recorded(make):
    plain = make.score("knn/original", "accuracy", 0.62, chance=0.01, k=10)
    results = [
        make.result("one", [*make.probes(0.5, 0.6, 0.7, 0.4), *make.neighbours(0.6, 0.1), plain]),
        make.result("two", make.probes(0.52, 0.35, 0.9, 0.4), group="SSL", parameters=7, preprocessing={"crop": 336}),
        make.result("three", make.neighbours(0.55, -0.02), failures=[Failure("task", "probe/jpeg", "it failed")]),
        make.result("one", make.probes(0.5, 0.6, 0.75, 0.4), created="2026-11-21T10:00:00+00:00"),
    ]
    board = build_board(measured_entries([ResultFile(f"{i}.json", result) for i, result in enumerate(results)]))
    made = numbers(board_json(board, [], "Board"))
    for name in ("columns", "rows"):
        made |= {f"{name}: {i}": part for i, part in enumerate(made.pop(name))}
    check_recorded("board", made | {"csv": board_csv(board).splitlines()})


def test_board__of_published_encoders_is_as_recorded():
    board = build_board(published_entries(published_encoders(), study_facts()))
    made = {"encoders": [[entry.key, entry.name, entry.id, entry.group, entry.facts] for entry in board.entries]}
    for column in board.columns:
        cells = [column.cells[entry.key] for entry in board.entries]
        fields = ("value", "low", "high", "rank_low", "rank_high")
        made[column.id] = [column.chance, *(np.array([getattr(c, f) for c in cells], float) for f in fields)]
    check_recorded("published-board", made)
