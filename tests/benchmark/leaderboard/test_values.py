"""Values of a board made of observations by hand: columns, means, notes, data sets, and their form for the page."""

from __future__ import annotations

import csv
import dataclasses
import json
import math

import pytest

from benchmark.leaderboard import board as board_module
from benchmark.leaderboard.admission import objection
from benchmark.leaderboard.board import CELL_FLAGS, build_board
from benchmark.leaderboard.board_data import as_json, board_csv, board_json, newest_time, script_safe
from benchmark.leaderboard.datasets import data_sets
from benchmark.leaderboard.entries import GROUP_LABELS, Entry, Observation, Photos, measured_entries
from benchmark.leaderboard.report_page import ANSWERS_TAGLINE, COPIES_TAGLINE, TAGLINE, blocks_of, report_page
from benchmark.results import STUDY_DATE
from benchmark.results.files import ResultFile
from benchmark.results.schema import Failure

TOY = Photos("toy", "1d5", "c0dec", question_hash="9")


def number(task, metric, value, *, photos=TOY, half=0.02, n=200, chance=0.25, settings="", flags=(), flag=""):
    ends = (None, None) if half is None else (value - half, value + half)
    return Observation(task, metric, photos, value, *ends, n, chance, flags, settings, flag=flag)


def entry(key, *observations, origin="measured", group="SUP", **facts):
    return Entry(key, f"name {key}", f"id {key}", origin, group, facts, tuple(observations))


def column(board, task, metric="accuracy"):
    [one] = [c for c in board.columns if (c.task, c.metric) == (task, metric)]
    return one


@pytest.mark.parametrize(
    ("chances", "shown"), [([0.25], 0.25), ([0.2, 0.3, 0.3], 0.3), ([0.3, 0.2], 0.2), ([0.3, 0.2, 0.2, 0.3], 0.2)]
)
def test_column__chance_of_most_rows_and_of_equal_ones_the_least(chances, shown):
    board = build_board(
        [entry(f"e{i}", number("probe/jpeg", "accuracy", 0.5, chance=c)) for i, c in enumerate(chances)]
    )
    assert column(board, "probe/jpeg").chance == shown


def test_column__id_label_and_settings():
    given = {"": 0.5, "preset a, k = 1": 0.6, "preset a, k = 10": 0.7}
    board = build_board([entry("e", *(number("probe/jpeg", "accuracy", v, settings=s) for s, v in given.items()))])
    columns = {c.settings: c for c in board.columns if c.task == "probe/jpeg"}
    assert {s: c.id for s, c in columns.items()} == {
        "": "probe/jpeg~accuracy~toy",
        "preset a, k = 1": "probe/jpeg~accuracy~toy~preseta,k=1",
        "preset a, k = 10": "probe/jpeg~accuracy~toy~preseta,k=10",
    }
    assert [columns[s].meaning.label for s in given] == [*("JPEG", "JPEG (preset a, k = 1)", "JPEG (preset a, k = 10)")]
    once = build_board([entry("e", number("probe/jpeg", "accuracy", 0.5, settings="preset a"))])
    assert column(once, "probe/jpeg").meaning.label == "JPEG"


@pytest.mark.parametrize(
    ("task", "metric", "half", "flags", "shown"),
    [
        ("probe/jpeg", "accuracy", 0.02, (), ("at-chance",)),
        ("probe/jpeg", "accuracy", None, (), ()),
        ("probe/jpeg", "accuracy", 0.02, ("conflict",), ("conflict", "at-chance")),
        ("knn/original", "accuracy", 0.02, (), ("at-chance",)),
        ("knn/jpeg", "spd", 0.02, ("conflict",), ("conflict",)),
    ],
)
def test_flags__of_what_is_judged_against_chance(task, metric, half, flags, shown):
    board = build_board([entry("e", number(task, metric, 0.25, half=half, flags=flags, flag="at-chance"))])
    assert column(board, task, metric).cells["e"].flags == shown
    assert set(shown) <= set(CELL_FLAGS)


PROBES = {"jpeg": 6, "sharpening": 3, "resizing": 3, "interpolation": 4}


def probes(*values, **more):
    return [
        number(f"probe/{p}", "accuracy", v, **{"chance": 1 / c, **more})
        for (p, c), v in zip(PROBES.items(), values, strict=False)
    ]


def test_means__ends_counts_and_chance():
    first = [dataclasses.replace(o, n=n) for o, n in zip(probes(0.5, 0.6, 0.7, 0.4), (9, 8, 7, 6), strict=True)]
    lacking = [*probes(0.5, 0.6, 0.7), *probes(0, 0, 0, 0.4, half=None)[3:]]
    board = build_board([entry("a", *first), entry("b", *lacking), entry("c", *probes(0.9, 0.9, 0.9))])
    mean = column(board, "summary/mp-processing", "mean")
    assert mean.chance == pytest.approx(sum(1 / c for c in PROBES.values()) / 4)
    a, b = mean.cells["a"], mean.cells["b"]
    assert (a.value, a.low, a.high, a.n) == (pytest.approx(0.55), pytest.approx(0.53), pytest.approx(0.57), 6)
    assert (b.value, b.low, b.high) == (pytest.approx(0.55), None, None)
    assert "c" not in mean.cells
    odds = column(board, "summary/log-odds-processing", "mean")
    assert odds.chance == 0
    logs = [
        math.log((v * n + 0.5) / ((1 - v) * n + 0.5)) for v, n in zip((0.5, 0.6, 0.7, 0.4), (9, 8, 7, 6), strict=True)
    ]
    of_chance = [
        math.log((n / c + 0.5) / ((1 - 1 / c) * n + 0.5)) for c, n in zip(PROBES.values(), (9, 8, 7, 6), strict=True)
    ]
    plain = [math.log(1 / c / (1 - 1 / c)) for c in PROBES.values()]
    value = odds.cells["a"].value
    options = [sum(a - b for a, b in zip(logs, base, strict=True)) / 4 for base in (of_chance, plain)]
    assert any(value == pytest.approx(option) for option in options)
    assert odds.cells["a"].low < value < odds.cells["a"].high
    apart = build_board([entry("a", *probes(0.5, 0.6), *probes(0, 0, 0.7, 0.4, settings="k = 1")[2:])])
    assert not [c for c in apart.columns if c.task.startswith("summary/")]


def test_means__of_differences_come_from_the_differences():
    def of(*spds):
        made = []
        for p, spd in zip(PROBES, spds, strict=True):
            made += [number(f"knn/{p}", m, 0.5 + s * spd / 2, n=99) for m, s in (("pos-same", 1), ("neg-same", -1))]
            made.append(number(f"knn/{p}", "spd", spd, chance=0.0, half=0.05))
        return made

    board = build_board([entry("a", *of(0.2, -0.2, 0.1, 0.02)), entry("b", *of(0.3, 0.3, 0.3, 0.3)[:-1])])
    sizes, signed = (column(board, f"summary/spd-processing{end}", "mean") for end in ("", "-signed"))
    assert list(sizes.cells) == list(signed.cells) == ["a"]
    cell = sizes.cells["a"]
    assert (cell.value, cell.n) == (pytest.approx(0.13), 99)
    assert (cell.low, cell.high) == (
        pytest.approx((0.15 + 0.15 + 0.05 + 0) / 4),
        pytest.approx((0.25 + 0.25 + 0.15 + 0.07) / 4),
    )
    cell = signed.cells["a"]
    assert cell.value == pytest.approx(0.03)
    assert (cell.low, cell.high) == (pytest.approx(-0.02), pytest.approx(0.08))


def test_columns__those_of_the_study_and_of_most_encoders_stay(monkeypatch):
    monkeypatch.setattr(board_module, "MAX_COLUMNS", 3)
    study = entry("s", number("knn/jpeg", "uniform", 0.5, photos=Photos("toy")), origin="published")
    rows = [
        entry(f"e{i}", *(number(f"mine/{t}", "x", 0.5) for t in tasks)) for i, tasks in enumerate(("abc", "bc", "c"))
    ]
    board = build_board([study, *rows])
    assert [c.task for c in board.columns] == ["knn/jpeg", "mine/b", "mine/c"]
    assert board.left_out == ("1 of 4 columns are left out: a board has at most 3",)
    monkeypatch.setattr(board_module, "MAX_COLUMNS", 4)
    whole = build_board([study, *rows])
    assert (len(whole.columns), whole.left_out) == (4, ())


def test_data_sets__labels_ids_and_notes():
    plain, canary = Photos("mine", "a" * 20, "c" * 20, question_hash="q" * 20), Photos("mine", "b", "")
    smoke, study = Photos("sample", "s", "c", smoke_test=True), Photos("imagenet")
    known = Photos("inat2018", "i", "c")
    sets = data_sets(
        [
            entry("p", number("probe/jpeg", "accuracy", 0.5, photos=study, n=50_000), origin="published"),
            entry(
                "e",
                number("probe/jpeg", "accuracy", 0.5, photos=plain, n=1234),
                number("x/y", "z", 0, photos=plain, n=7),
            ),
            entry("f", *(number("probe/jpeg", "accuracy", 0.5, photos=p) for p in (canary, smoke, known))),
        ]
    )
    by = {next(iter(s.members)): s for s in sets}
    assert [next(iter(s.members)) for s in sets] == [study, known, plain, canary, smoke]
    assert (by[study].id, by[study].label) == ("imagenet", "ImageNet")
    assert by[study].note == "The study's photos; its codec versions are not known."
    assert (by[known].id, by[known].label) == ("inat2018", "iNaturalist 2018")
    assert (by[smoke].id, by[smoke].label) == ("sample", "sample (smoke test)")
    assert by[smoke].note == (
        "Measured on up to 200 test photos, ids s, labels not recorded, codec canary c. A smoke test: it shows that "
        "the installation works, nothing more."
    )
    for photos, size in ((plain, "1,234"), (canary, "200")):
        digest = by[photos].id.removeprefix("mine-")
        assert len(digest) == 6
        assert by[photos].label == f"mine ({size} photos, {digest[:4]})"
    assert by[plain].note == (
        f"Measured on up to 1,234 test photos, ids {'a' * 12}, question {'q' * 12}, codec canary {'c' * 12}."
    )
    assert by[canary].note == "Measured on up to 200 test photos, ids b, labels not recorded, codec not recorded."


@pytest.mark.parametrize(
    ("name", "train", "joins"),
    [
        ("imagenet", 1_281_167, True),
        ("imagenet", 0, True),
        ("imagenet", 1_281_166, False),
        ("paircams", 77, True),  # the study gives no number
        ("hub:camtrace/paircams", 0, True),
        ("hub:other/paircams", 0, False),
    ],
)
def test_data_sets__train_photos_of_the_study(name, train, joins):
    study = Photos(name.rpartition("/")[2])
    measured = Photos(name, "i", "c", train)
    sets = data_sets(
        [
            entry("p", number("probe/jpeg", "accuracy", 0.5, photos=study), origin="published"),
            entry("e", number("probe/jpeg", "accuracy", 0.5, photos=measured)),
        ]
    )
    assert [len(s.members) for s in sets] == ([2] if joins else [1, 1])
    assert ("stand in the same columns" in sets[0].note) == joins


def measured(make, *results):
    return build_board(measured_entries([ResultFile(f"{i}.json", r) for i, r in enumerate(results)]))


def test_board_json__statuses_facts_and_cells(make):
    fails = (Failure("photo", "1", "broken"),)
    smoke = make.result("s", make.probes(0.5, 0.6, 0.7, 0.4))
    smoke = dataclasses.replace(smoke, data={**smoke.data, "smoke_test": True})
    old = "2026-11-01T00:00:00+00:00"
    results = [
        make.result("whole", make.probes(0.5, 0.6, 0.7, 0.4), created="2026-11-22T00:00:00+00:00"),
        make.result("conflict", make.probes(0.5), failures=fails),
        make.result("conflict", make.probes(0.7), created=old),
        make.result("part", make.probes(0.5), failures=fails),
        make.result("failures", make.probes(0.5, 0.6, 0.7, 0.4), failures=fails),
        smoke,
        make.result("bare", [make.score("x/y", "z", 0.5)], library=None, group="control", parameters=None),
    ]
    board = measured(make, *results)
    page = board_json(board, [], "T")
    rows = {row["id"]: row for row in page["rows"]}
    assert {name: row["status"] for name, row in rows.items()} == {
        **{
            "whole": "",
            "conflict": "conflict",
            "part": "partial",
            "failures": "failures",
            "s": "smoke test",
            "bare": "",
        }
    }
    assert (page["generated"], newest_time(build_board([]))) == ("2026-11-22T00:00:00+00:00", STUDY_DATE)
    assert [group["id"] for group in page["groups"]] == ["SUP", "control"]
    assert page["groups"][1]["label"] == GROUP_LABELS["control"] == rows["bare"]["group_label"]
    assert {f["id"] for f in page["families"]} == {"summary", "processing", "other"}
    assert page["parameters"][:4] == list(PROBES)
    bare, whole = rows["bare"], rows["whole"]
    assert (bare["library"], bare["parameters"], whole["library"], whole["input"]) == ("", None, "timm", 224)
    ids = [c["id"] for c in page["columns"]]
    at = next(i for i, c in enumerate(page["columns"]) if (c["task"], c["family"]) == ("probe/jpeg", "processing"))
    first, second = (rows[name]["cells"][at] for name in ("whole", "conflict"))
    assert first[:4] == [0.5, 0.48, 0.52, 200]
    assert (len(first), second[6]) == (6, ["conflict"])
    assert rows["bare"]["cells"][at] is None
    assert page["columns"][at]["ranked"] == page["columns"][at]["paired"].count("x") + 4
    lines = list(csv.DictReader(board_csv(board).splitlines()))
    assert len(lines) == sum(len(c.cells) for c in board.columns)
    [line] = [r for r in lines if (r["id"], r["task"]) == ("conflict", "probe/jpeg")]
    assert (line["value"], line["flags"], line["paired"], line["settings"]) == (
        "0.5",
        "conflict",
        "0",
        "preset camtrace",
    )
    assert len(ids) == len(set(ids))
    assert page["columns"][at]["explain"].endswith(
        "Here with preset camtrace, ranks from the two intervals of each pair of rows."
    )


def test_script_safe__ends_no_script_and_is_the_same_json():
    value = {"a": "</script><!--", "b": "\u2028\u2029é"}
    text = script_safe(as_json(value))
    assert json.loads(text) == value
    assert not set(text) & {"<", "\u2028", "\u2029"}
    assert "é" in text
    with pytest.raises(ValueError, match="JSON compliant"):
        as_json(math.nan)


@pytest.mark.parametrize(
    ("tasks", "tagline"),
    [
        (["probe/jpeg"], TAGLINE.format("the camera and the codec")),
        (["probe/scanner"], TAGLINE.format("scanner")),
        (["probe/scanner", "knn/original"], TAGLINE.format("scanner")),
        (["probe/scanner", "probe/site"], TAGLINE.format("scanner and site")),
        (["probe/scanner", "probe/site", "probe/week"], TAGLINE.format("the camera and the codec")),
        (["probe/scanner", "probe/jpeg"], TAGLINE.format("the camera and the codec")),
        (["knn/original"], TAGLINE.format("the camera and the codec")),
        (["answers/jpeg"], ANSWERS_TAGLINE),
        (["answers/jpeg", "probe/jpeg"], TAGLINE.format("the camera and the codec")),
        (["copies/edited"], COPIES_TAGLINE),
        (["copies/edited", "probe/jpeg"], TAGLINE.format("the camera and the codec")),
    ],
)
def test_report_page__what_it_is_about(make, tasks, tagline):
    scores = [make.score(task, "flips" if "answers" in task else "accuracy", 0.5) for task in tasks]
    if "copies/edited" in tasks:
        details = {"threshold": 0.9, "stated_rate": 0.02, "chosen_on": 99, "matches": 3, "expected_matches": [0, 6]}
        scores[0] = make.score("copies/edited", "false-matches", 0.03, **details)
    page = report_page([make.result("timm/a", scores)], "text")
    start = page.index('id="camtrace-board">') + len('id="camtrace-board">')
    data = json.loads(page[start : page.index("</script>", start)])
    assert data["tagline"] == tagline
    assert "<title>camtrace report: timm/a</title>" in page
    assert data["title"] == "timm/a"


def test_report_page__of_several_encoders(make):
    results = [make.result(name, make.probes(0.5)) for name in ("a & b", "c", "c")]
    assert "<title>camtrace report: 2 encoders</title>" in report_page(results, "text")
    assert "<title>camtrace report: a &amp; b</title>" in report_page(results[:1], "text")


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("", []),
        ("\n \n\n", []),
        ("### a b ", [{"kind": "heading", "level": 3, "text": "a b"}]),
        ("# a\nb", [{"kind": "paragraph", "text": "# a b"}]),
        ("| a |", [{"kind": "paragraph", "text": "| a |"}]),
        ("| a |\n| x |", [{"kind": "paragraph", "text": "| a | | x |"}]),
        ("| a |\n| --: |", [{"kind": "table", "head": ["a"], "rows": [], "right": [True]}]),
        ("| a |\n| :-: |\nno", [{"kind": "paragraph", "text": "| a | | :-: | no"}]),
        ("    x\n      y", [{"kind": "code", "text": "x\n  y"}]),
        ("    x\n  y", [{"kind": "paragraph", "text": "x y"}]),
        ("a\n \t\nb", [{"kind": "paragraph", "text": "a"}, {"kind": "paragraph", "text": "b"}]),
    ],
)
def test_blocks_of(text, blocks):
    assert blocks_of(text) == blocks


@pytest.mark.parametrize(
    ("tasks", "refused"),
    [
        (["probe/jpeg"], ""),
        (["mine/nothing"], "does not know (mine/nothing); if"),
        (["mine/nothing", "mine/other"], "does not know (mine/nothing and 1 more); if"),
        (["probe/chain", "mine/chain"], "does not know (mine/chain); if"),
    ],
)
def test_objection__counts_questions_that_are_not_known(make, monkeypatch, tasks, refused):
    """``chain`` is a parameter of a processing file that this process has read: its name alone makes no question."""
    monkeypatch.setattr("benchmark.leaderboard.admission.known_parameters", lambda: {"chain": None})
    result = make.result("a", [make.score(task, "accuracy", 0.5) for task in tasks])
    why = objection(ResultFile("a.json", result))
    assert refused in why if refused else "does not know" not in why
