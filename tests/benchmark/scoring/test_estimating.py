"""The text of an estimate, by hand-made measurements: sums by group, space, failures, and what is said once."""

from types import SimpleNamespace

import pytest

from benchmark.encoders import CompiledFile
from benchmark.options import RunOptions
from benchmark.scoring.estimating import text as module
from benchmark.scoring.estimating.clocks import extrapolated, on_line
from benchmark.scoring.estimating.measuring import Measured
from benchmark.scoring.estimating.pass_costs import PassTimes
from benchmark.scoring.estimating.text import estimate_text, pass_seconds
from benchmark.tasks import Seconds

SETS = [SimpleNamespace(photos=SimpleNamespace(name=name)) for name in ("one", "two")]
SPARE = 256 * 2**20


def measured(spec, data, **changed):
    times = {"making_s": 100.0, "forward_s": 60.0, "views": 12_345, "bank_bytes": 3_000_000}
    times |= {
        name: changed.pop(name) for name in [*changed] if name in PassTimes.__dataclass_fields__ and name != "reason"
    }
    tasks = {"kNN": Seconds(130.0, 190.0), "probes": Seconds(10.0, 12.0)}
    return Measured(spec, data, **{"load": Seconds(4.0, 3.0), "tasks": tasks, "times": PassTimes(**times), **changed})


def test_pass__views_are_made_once_and_forward_passes_add_up():
    slow = PassTimes(making_s=100, forward_s=30, making_processor_s=11, forward_processor_s=5)
    quick = PassTimes(making_s=90, forward_s=20, making_processor_s=10, forward_processor_s=7)
    both = {on_gpu: [Measured("a", "x", times=one, on_gpu=on_gpu) for one in (slow, quick)] for on_gpu in (True, False)}
    assert pass_seconds(both[True], workers=1) == (100, 11 + 5 + 7)
    assert pass_seconds([], workers=1) == (0, 0)
    assert pass_seconds(both[False], workers=1) == (150, 11 + 5 + 7)


@pytest.fixture
def text(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "free_space", lambda folder: free[0])
    monkeypatch.setattr(module, "workers_each", lambda workers, devices: workers - 4)

    def seconds(members, workers):
        return Seconds(1000.0 * len(members) + workers, 600.0 * len(members))

    monkeypatch.setattr(module, "pass_seconds", seconds)
    free = [10**12]

    def of(rows, groups, free_bytes=10**12):
        free[0] = free_bytes
        options = RunOptions(workers=7, cache=tmp_path)
        return estimate_text(rows, groups, SETS, options, Seconds(2.0, 2.0)).splitlines()

    return of


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_estimate_text__sums_over_groups_and_sets(text):
    rows = [
        measured("a", "one", stored_views=99, cached_tasks=2),
        measured("a", "two", load=Seconds(5.0, 4.0), trial=Seconds(7.0, 6.0)),
        measured("b", "one", tasks={"kNN": Seconds(5.0, 8.0)}),
    ]
    rows.append(Measured("b", "two", reason="no weights"))
    lines = text(rows, [["a", "b"]])
    header = ["encoder", "data", "load", "views", "forward", "tasks", "bank", "there already", "cannot"]
    assert cells(lines[0]) == header
    assert cells(lines[2]) == ["a", "one", "4.0 s", "12,345", "60 s", "2 min", "3.0 MB", "99 views, 2 tasks", ""]
    assert cells(lines[4])[2:8] == ["4.0 s", "12,345", "60 s", "5.0 s", "3.0 MB", "nothing"]
    assert cells(lines[5]) == ["b", "two", "-", "-", "-", "-", "-", "-", "no weights"]
    assert lines[7] == "3 of 4 rows can be scored"
    stages = {name: (wall, processor) for name, wall, processor in map(cells, lines[11:19])}
    assert stages == {
        "starting": ("2.0 s", "2.0 s"),
        "loading encoders": ("9.0 s", "7.0 s"),  # each encoder once: the last measurement of a, and b
        "trying encoders": ("7.0 s", "6.0 s"),
        "views and forward passes, encoders in 1 group": ("50 min", "30 min"),  # 2 x 1000 + 7, 1000 + 7
        "kNN": ("4 min", "6 min"),  # 130 + 130 + 5
        "probes": ("20 s", "24 s"),
        "reports": ("1.0 s", "1.2 s"),
        "all": ("55 min", "37 min"),
    }
    assert lines[20].startswith("disk: 9.0 MB of banks in ")
    assert lines[20].endswith(" (1000.0 GB free), 0.0 MB more for a while")
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


def test_estimate_text__compiled_networks_count_once_and_those_that_are_missing_need_space(text):
    """Two sets of one encoder share its compiled network, which is larger than the banks."""
    for on_disk, state in ((True, "there already"), (False, "295.0 MB of it still to be written")):
        compiled = CompiledFile(295_000_000, on_disk=on_disk, new=False)
        rows = [measured("a", name, compiled=compiled) for name in ("one", "two")]
        (line,) = [line for line in text(rows, [["a"]]) if line.startswith("disk: ")]
        assert line.startswith(f"disk: 6.0 MB of banks and 295.0 MB of compiled networks ({state}) in ")
        needed = 6_000_000 + SPARE + (0 if on_disk else 295_000_000)
        for free, enough in ((needed + 1, True), (needed, False)):
            (line,) = [line for line in text(rows, [["a"]], free) if line.startswith("disk: ")]
            assert ("NOT ENOUGH" not in line) == enough


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
    assert lines[at + 6].startswith("views were measured on 6 to 96 photos, tasks on at most 5,000 photos")


def test_extrapolated__on_a_line_and_never_falling():
    assert extrapolated([(1, 2.0), (3, 6.0)], 10) == 20.0
    assert extrapolated([(1, 4.0), (2, 5.0)], 4) == 7.0
    assert extrapolated([(1, 5.0), (2, 5.0)], 4) == 10.0


def test_on_line__by_the_last_two_and_both_clocks():
    """The first call is slower than the line: it is not on it."""
    points = [(6, Seconds(9.0, 9.0)), (24, Seconds(2.0, 1.0)), (96, Seconds(5.0, 7.0))]
    assert on_line(points, 96 + 72) == Seconds(8.0, 13.0)


def test_pass__on_cpus_both_compete_and_on_cards_they_overlap(monkeypatch):
    monkeypatch.setattr(module.os, "cpu_count", lambda: 4)

    def clock(members, workers):
        return pass_seconds(members, workers).wall

    one = measured("a", "one")
    assert clock([], 2) == 0.0
    assert clock([one], 2) == 100 / 2 + 60
    assert clock([one], 0) == 100 + 60
    assert clock([one], 8) == 100 / 4 + 60
    other = measured("b", "one", making_s=200.0, forward_s=20.0)
    assert clock([one, other], 2) == 200 / 2 + 80
    cards = [measured(name, "one", on_gpu=True) for name in "ab"]
    assert clock(cards, 1) == 120
    assert clock(cards, 0) == 120
    assert clock([measured("a", "one", on_gpu=True, forward_s=10.0)], 2) == 50
    assert clock([cards[0], other], 2) == 200 / 2 + 80
    assert clock([measured("a", "one", on_gpu=True, by_device=True)], 2) == 160  # the card makes its views itself


@pytest.mark.parametrize(
    ("one", "other", "workers", "wall"),
    [
        ({"by_device": True}, {}, 2, 200 + 80),  # one that the card makes views for is enough
        ({}, {"by_device": True}, 2, 200 + 80),
        ({}, {}, 2, 100),
        ({"devices": ("cuda:0", "cuda:1")}, {}, 4, 80),  # an encoder that is on one card alone
        ({"devices": ("cuda:0", "cuda:1")}, {"devices": ("cuda:0", "cuda:1")}, 4, 50),
        ({"devices": ("cuda:0", "cuda:1")}, {"devices": ("cuda:0", "cuda:1")}, 0, 100),  # a worker each at least
        ({"devices": ("cuda:0", "cuda:1")}, {"devices": ("cuda:0", "cuda:1"), "by_device": True}, 4, 100 + 40),
    ],
)
def test_pass__of_two_encoders_on_cards(monkeypatch, one, other, workers, wall):
    """Views of 100 s and 200 s of one core, forward passes of 60 s and 20 s."""
    monkeypatch.setattr(module.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(module, "workers_each", lambda workers, devices: workers // devices)
    first = measured("a", "one", on_gpu=True, making_processor_s=3.0, forward_processor_s=5.0, **one)
    second = measured("b", "one", on_gpu=True, making_s=200.0, forward_s=20.0, making_processor_s=2.0,
                      forward_processor_s=7.0, **other)  # fmt: skip
    assert pass_seconds([first, second], workers) == Seconds(wall, 3.0 + 5.0 + 7.0)
