"""The text of an estimate, by hand-made measurements: sums by group, space, failures, and what is said once."""

from types import SimpleNamespace

import pytest

from benchmark.options import RunOptions
from benchmark.scoring import estimating
from benchmark.scoring.estimating import Measured, estimate_text, extrapolated, pass_s

SETS = [SimpleNamespace(photos=SimpleNamespace(name=name)) for name in ("one", "two")]
SPARE = 256 * 2**20


def measured(spec, data, **changed):
    values = {"load_s": 4.0, "making_s": 100.0, "forward_s": 60.0, "views": 12_345, "bank_bytes": 3_000_000}
    return Measured(spec, data, **{**values, "task_s": {"kNN": 130.0, "probes": 10.0}, **changed})


def test_pass_s__views_are_made_once_and_forward_passes_add_up():
    slow = Measured("a", "x", making_s=100, forward_s=30, on_gpu=True)
    quick = Measured("b", "x", making_s=90, forward_s=20, on_gpu=True)
    assert pass_s([slow, quick], workers=1) == 100
    assert pass_s([], workers=1) == 0
    on_cpu = [Measured("a", "x", making_s=100, forward_s=30), Measured("b", "x", making_s=90, forward_s=20)]
    assert pass_s(on_cpu, workers=1) == 150


@pytest.fixture
def text(monkeypatch, tmp_path):
    monkeypatch.setattr(estimating, "free_space", lambda folder: free[0])
    monkeypatch.setattr(estimating, "workers_each", lambda workers, devices: workers - 4)
    monkeypatch.setattr(estimating, "pass_s", lambda members, workers: 1000.0 * len(members) + workers)
    free = [10**12]

    def of(rows, groups, free_bytes=10**12):
        free[0] = free_bytes
        return estimate_text(rows, groups, SETS, RunOptions(workers=7, cache=tmp_path)).splitlines()

    return of


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_estimate_text__sums_over_groups_and_sets(text):
    rows = [measured("a", "one"), measured("a", "two", load_s=5.0), measured("b", "one", task_s={"kNN": 5.0})]
    rows.append(Measured("b", "two", reason="no weights"))
    lines = text(rows, [["a", "b"]])
    assert cells(lines[0]) == ["encoder", "data", "load", "views", "forward", "tasks", "bank", "cannot"]
    assert cells(lines[2]) == ["a", "one", "4 s", "12,345", "60 s", "2 min", "3.0 MB", ""]
    assert cells(lines[4])[2:6] == ["4 s", "12,345", "60 s", "5 s"]
    assert cells(lines[5]) == ["b", "two", "-", "-", "-", "-", "-", "no weights"]
    assert lines[7] == "measured on 6 photos of each data set; 3 of 4 rows can be scored"
    stages = dict(cells(line) for line in lines[11:16])
    assert stages == {
        "loading encoders": "9 s",  # each encoder once: the last measurement of a, and b
        "views and forward passes, encoders in 1 group": "50 min",  # 2 x 1000 + 7, 1000 + 7
        "kNN": "4 min",  # 130 + 130 + 5
        "probes": "20 s",
        "all": "55 min",
    }
    assert lines[17].startswith("disk: 9.0 MB of banks in ")
    assert lines[17].endswith(" (1000.0 GB free), 0.0 MB more for a while")
    assert "encoders in 2 groups" in "\n".join(text(rows, [["a"], ["b"]]))


def test_estimate_text__temporary_banks_take_their_space_a_group_at_a_time(text):
    rows = [measured("a", "one", stored=False), measured("a", "two", stored=False), measured("b", "one", stored=False)]
    rows.append(measured("c", "one"))
    for groups, more in (([["a", "b"], ["c"]], "9.0"), ([["a"], ["b", "c"]], "6.0"), ([["b"], ["c"]], "3.0")):
        (line,) = [line for line in text(rows, groups) if line.startswith("disk: ")]
        assert line.startswith("disk: 3.0 MB of banks in ")
        assert line.endswith(f"), {more} MB more for a while")
    needed = 3_000_000 + 9_000_000 + SPARE
    for free, ending in ((needed + 1, "more for a while"), (needed, "for a while: NOT ENOUGH, it would be refused")):
        (line,) = [line for line in text(rows, [["a", "b"], ["c"]], free) if line.startswith("disk: ")]
        assert line.endswith(ending)


def test_estimate_text__says_once_what_holds_for_both_sets(text):
    rows = [
        measured(
            "a",
            name,
            notes=("x: 2 groups", "y: not measured (no)"),
            outputs=3,
            devices=("cuda:0", "cuda:1"),
            makers=("the processor makes them",),
        )
        for name in ("one", "two")
    ]
    lines = text([*rows, Measured("b", "one", reason="no", outputs=5)], [["a"]])
    at = next(i for i, line in enumerate(lines) if line.startswith("disk: "))
    assert lines[at + 1 : at + 6] == [
        "a: 3 outputs besides its embedding, all in its bank",
        "2 cards embed side by side (cuda:0, cuda:1): a process each, with 3 workers",
        "the processor makes them",
        "x: 2 groups",
        "y: not measured (no)",
    ]
    assert lines[at + 6].startswith("tasks were measured on made-up embeddings")


def test_extrapolated__on_a_line_and_never_falling():
    assert extrapolated([(1, 2.0), (3, 6.0)], 10) == 20.0
    assert extrapolated([(1, 4.0), (2, 5.0)], 4) == 7.0
    assert extrapolated([(1, 5.0), (2, 5.0)], 4) == 10.0


def test_pass__on_cpus_both_compete_and_on_cards_they_overlap(monkeypatch):
    monkeypatch.setattr(estimating.os, "cpu_count", lambda: 4)
    one = measured("a", "one")
    assert estimating.pass_s([], 2) == 0.0
    assert estimating.pass_s([one], 2) == 100 / 2 + 60
    assert estimating.pass_s([one], 0) == 100 + 60
    assert estimating.pass_s([one], 8) == 100 / 4 + 60
    other = measured("b", "one", making_s=200.0, forward_s=20.0)
    assert estimating.pass_s([one, other], 2) == 200 / 2 + 80
    cards = [measured(name, "one", on_gpu=True) for name in "ab"]
    assert estimating.pass_s(cards, 1) == 120
    assert estimating.pass_s(cards, 0) == 120
    assert estimating.pass_s([measured("a", "one", on_gpu=True, forward_s=10.0)], 2) == 50
    assert estimating.pass_s([cards[0], other], 2) == 200 / 2 + 80
