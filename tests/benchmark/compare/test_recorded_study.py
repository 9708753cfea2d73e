"""Figures of measured beside published numbers, and of items, do not move between versions."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from benchmark.compare import draw_article, draw_figures, gate_text, published_rows
from benchmark.extras.items import (
    Columns,
    compare_rows,
    gate_items,
    items_figure,
    items_record,
    items_text,
    read_sources,
)
from benchmark.results import STUDY_GROUPS, Result, Score, published_encoders
from benchmark.scoring import Row
from builders.errors import DataError
from tests.support.drawn import drawings, drawn
from tests.support.probe_runs import UNDER_PRESET
from tests.support.recorded import check_recorded

SPECS = ("openai/clip-vit-base-patch16", "mine:encode")
HISTOGRAM = {
    "query": "a.jpg",
    "class": "dog",
    "processing": "jpeg-q75-420",
    "why": "drawn at random, 1",
    "edges": [0.0, 0.25, 0.5, 1.0],
    "counts": {
        "same-class same-processing": [1, 2, 4],
        "same-class other-processing": [2, 3, 1],
        "other-class same-processing": [0, 0, 0],
        "other-class other-processing": [5, 0, 1],
    },
}
SHOWN = ("probe/jpeg", "probe/sharpening", "probe/make", "knn/jpeg")


def run(spec, data, shift, of=None):
    """A row of a sweep whose scores are the first published encoder's, shifted."""
    scores = []
    for i, s in enumerate(published_encoders()[0].scores):
        if s.data != (of or data) or not (s.task in SHOWN or s.task.startswith("retrieval")):
            continue
        value = float(np.clip(s.value + shift * (1 + i % 3), -1 if s.metric == "spd" else 0, 1))
        details = {"similarities": [HISTOGRAM]} if (s.task, s.metric) == ("knn/jpeg", "spd") else {}
        scores.append(Score(s.task, data, s.metric, value, value - 0.01, value + 0.02, s.n, s.chance, details))
    group = "CVL" if spec == SPECS[0] else "else"
    made = Result({"id": spec, "group": group}, {"name": data}, UNDER_PRESET, tuple(scores), (), {}, "")
    return Row(spec, data, "scored", "", "x", made)


@pytest.fixture
def few(monkeypatch):
    """Two encoders of each group, of the 47: what is drawn of them is drawn of all."""
    every = published_encoders()
    chosen = tuple(e for group in STUDY_GROUPS for e in [e for e in every if e.group == group][:2])
    for module in ("article", "figures"):
        monkeypatch.setattr(f"benchmark.compare.{module}.published_encoders", lambda: chosen)


def test_figures_of_published_numbers__are_as_recorded(few, tmp_path):
    sets = ("imagenet", "flickrexif", "paircams")
    swept = [run(spec, data, shift) for spec, shift in zip(SPECS, (0.03, -0.05), strict=True) for data in sets]
    swept.append(run(SPECS[0], "folder:mine", -0.02, of="imagenet"))
    rows = published_rows(swept)
    with drawings() as written:
        names = [*draw_article(rows, [row.result for row in swept], tmp_path), *draw_figures(rows, tmp_path)]
    assert len(names) == len(written)


def items(seed, skill, n=60):
    rng = np.random.default_rng(seed)
    hard = np.random.default_rng(9).normal(size=n)
    tables = []
    for task, size in (("sums", n), ("words", n // 2)):
        score = hard[:size] + rng.normal(size=size) < skill
        tables.append(pd.DataFrame({"id": range(size), "right": score.astype(int), "task": task}))
    made = pd.concat(tables)
    return made.assign(page=[f"p{i // 4}" for i in made.id], time=made.id % 7 + 3.0 * skill)


def test_items__are_as_recorded():
    """Systems, tasks, clusters, dropped items and ranges of scores: numbers, words and the figure."""
    tables = {"one": items(1, 0.2), "other $": items(2, 0.9).iloc[2:], f"long{'-' * 40}": items(3, 0.25)}
    made = {}
    for name, columns, systems, options in (
        ("three", Columns("id", "right", task="task"), list(tables), {"on_missing": "drop"}),
        ("clusters", Columns("id", "right", task="task", cluster="page"), ["one", f"long{'-' * 40}"], {}),
        ("range", Columns("id", "time", task="task"), list(tables), {"on_missing": "drop", "lower_is_better": True}),
    ):
        compared, _ = compare_rows(read_sources([(s, tables[s]) for s in systems], columns), **options)
        made[name] = dataclasses.asdict(compared)
        made[f"{name}, figure"] = drawn(items_figure(compared))
        made[f"{name}, text"] = items_text(compared).splitlines()
    lacking = tables["other $"][tables["other $"].task == "sums"]
    few = [("one", tables["one"].iloc[:1]), ("other", items(2, 0.9).iloc[:1])]
    for name, sources, better in (
        ("gate", [("one", tables["one"]), ("other", items(2, 0.9))], False),
        ("gate of less", [("one", tables["one"]), ("other", items(2, 0.9))], True),
        ("gate of a lost task", [("one", tables["one"]), ("other", lacking)], False),
        ("gate of one item", few, False),
    ):
        rows = read_sources(sources, Columns("id", "right", task="task"))
        compared, aligned = compare_rows(rows, on_missing="drop", lower_is_better=better)
        gate = gate_items(compared, aligned, worse_by=0, lower_is_better=better)
        made[name] = [items_record(compared, gate), gate.passed(), gate.passed(fail_undecided=True)]
        made[f"{name}, text"] = gate_text(gate, unit="item").splitlines()
    check_recorded("items", made, tolerance=2e-6)


def test_items__that_are_repeated_are_named():
    table = pd.DataFrame({"id": ["a", "b", "a", "c", "b", "d"], "right": 1})
    both = [("one", table), ("two", table.iloc[[0, 1, 3, 5]])]
    with pytest.raises(DataError, match="several"):
        compare_rows(read_sources(both, Columns("id", "right")))
