"""Cells, ranks and means of a board do not move between versions, nor do those of the published encoders."""

import dataclasses

import numpy as np

from benchmark.leaderboard.board import build_board
from benchmark.leaderboard.board_data import board_csv, board_json
from benchmark.leaderboard.entries import measured_entries, published_entries, study_facts
from benchmark.results.files import ResultFile
from benchmark.results.published import published_encoders
from benchmark.results.schema import Failure, Result
from builders.photos import PhotoSet
from tests.benchmark.leaderboard.test_detectors import FAIR, detector
from tests.benchmark.leaderboard.test_strip import photo_set
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


TIES = {"share": 0.1, "least": -0.2, "greatest": 0.1, "random": 0.0}


def of_study(make, name, data, train, n, **encoder):
    """A result that may stand in the study's columns, by its numbers of photos."""
    spread = [make.score("knn/jpeg", m, v, k=10, ties=TIES) for m, v in (("all-same", 0.7), ("spd", -0.1))]
    scores = [dataclasses.replace(s, n=n) for s in (*make.probes(0.5, 0.6, 0.7, 0.4, protocol="iccv2025"), *spread)]
    made = make.result(name, scores, data=data, preset=make.under_preset, **encoder)
    return dataclasses.replace(made, data={**made.data, "photos": {"train": train, "val": n, "test": 0}})


def changed(made: Result, *, environment=(), data=(), **fields) -> Result:
    return dataclasses.replace(
        made, environment={**made.environment, **dict(environment)}, data={**made.data, **dict(data)}, **fields
    )


def results_of_all_kinds(make) -> list[Result]:
    """Rows with every kind of fact, setting, flag, note and control, and the encoders of a run."""
    metadata = {"metadata": {"accuracy": 0.6}}
    over = {"over": ["scanner", "staining"], "sampled_queries": 500, "mask_ratio": 0.5}
    odd = [
        make.score("probe/make", "accuracy", 0.5, controls=metadata),
        make.score("probe/iso", "accuracy", 0.5, most_frequent_class=0.49),
        make.score("probe/sharpening", "accuracy", 0.1),
        make.score("knn/jpeg", "pos-same", 0.7),
        make.score("knn/jpeg", "neg-same", 0.5),
        make.score("knn/jpeg", "spd", 0.1, chance=0.0),
        make.score("knn/resizing", "all-same", 0.4, k=3, **over),
        make.score("zeroshot/cars", "top5", 0.5),
    ]
    plain = make.result("timm/plain", [*make.probes(0.5, 0.6, 0.7, 0.4), *make.neighbours()], training_data="unknown")
    erased = make.result(
        "eraser:a.npz",
        make.probes(0.3, 0.35, 0.4, 0.3),
        details={"eraser": {"name": "leace"}, "encoder": "timm/plain"},
        preprocessing={"size": {"height": 336}},
        group="control",
    )
    failures = [Failure("photo", "1", "broken"), Failure("task", "x", "no memory"), Failure("photo", "2", "broken")]
    smoke = {"smoke_test": True, "question_hash": "q" * 20}
    recorded = {"command": "camtrace score -x", "local": {"data": "PATH: your  folder\nrm x", "model": 7}}
    return [
        plain,
        changed(plain, data={"name": "inat2018"}, scores=plain.scores[:4], created="2026-11-19T10:00:00+00:00"),
        changed(make.result("timm/plain", make.probes(0.9, 0.6), created="2026-11-18T10:00:00+00:00")),
        make.result("timm/odd", odd, preprocessing={"crop": [3, 224, 384]}, group="best ever", parameters=True),
        make.result("timm/odd", odd[:3], revision="fffffff", library=7, dimension=0),
        erased,
        changed(make.result("timm/part", make.probes(0.2, 0.4), failures=failures), environment=recorded),
        changed(make.result("timm/smoke", make.probes(0.2), data="b"), data=smoke),
        changed(make.result("timm/bare", make.probes(0.2), canary=""), data={"ids_hash": "", "photos": [3]}),
        of_study(make, "timm/whole", "imagenet", 1_281_167, 50_000),
        of_study(make, "timm/some", "imagenet", 1_000, 50_000),
        of_study(make, "timm/few", "inat2018", 0, 24_426),
        detector(make, "best", 0.85, 0.55),
        detector(make, "higher AUC", 0.95, 0.94),
        detector(make, "leak", 0.97, 0.5, audit={**FAIR, "flagged": True}, data="other"),
    ]


TEXT = "# One\n\n## Two  \n\n| a | b% |\n| :-- | --: |\n| x \\| y | 1 |"


def photos_of(name) -> list[PhotoSet]:
    return [photo_set()] if name == "strips" else []
