"""What a ``Diff`` says: which rows decide whether it passes, the texts of its table, and rows of measures by hand."""

import base64
import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.diff import Measured, page
from benchmark.diff.embed import Embedded, Lane
from benchmark.diff.paths import PathSpec, parse_path, steps_between
from benchmark.diff.result import HEADER, diff_table, diff_text, traces_text
from benchmark.diff.rows import Comparer, Photos, ratio_to, rows_of
from benchmark.stats import photo_interval
from builders.photos import UNLABELLED
from tests.benchmark.diff.invented import compared, row


@pytest.mark.parametrize("kind", ["path", "step", "noise", "trace"])
@pytest.mark.parametrize("over", ["yes", "undecided", "no", ""])
def test_passed__requested_ways_alone_decide(kind, over):
    for rows in ([row(kind, 0.1, over=over)], [row("path", 0.2, over="no"), row(kind, 0.1, over=over)]):
        result = compared(rows)
        assert result.passed() == (kind != "path" or over != "yes")
        assert result.passed(fail_undecided=True) == (kind != "path" or over not in ("yes", "undecided"))


def test_diff_table__a_cell_without_a_value_is_a_dash():
    measured = Measured(0.125, 0.1, 0.2, 2.0, 1.5, 3.0)
    full = dataclasses.replace(
        row("path", 1.0), name="w", cosine=measured, neighbours=measured, answers=measured, lost=measured
    )
    share = "12.5 (2 traces)"
    values = {
        "pixels_largest": ("pixels, largest", "9"),
        "pixels": ("pixels, mean", "1"),
        "cosine": ("cosine distance", "0.125"),
        "answers": ("answers changed, %", share),
        "lost": ("lost in the index, %", share),
        "only_first": ("answers lost / won", "3 / 1"),
        "mcnemar_p": ("p (McNemar)", "0.6000"),
    }
    [cells] = diff_table(compared([full]))
    for field, (column, text) in values.items():
        assert cells[HEADER.index(column)] == text
        [lacking] = diff_table(compared([dataclasses.replace(full, **{field: None})]))
        changed = {HEADER[i] for i, (a, b) in enumerate(zip(cells, lacking, strict=True)) if a != b}
        assert changed == {column, *(["in weakest traces"] if field == "cosine" else [])}
        assert lacking[HEADER.index(column)] == "-"
    kinds = {
        kind: diff_table(compared([dataclasses.replace(full, kind=kind)]))[0] for kind in ("step", "noise", "trace")
    }
    assert [cells[0], *(each[0] for each in kinds.values())] == ["w", "  w, alone", "w", "w"]
    assert kinds["trace"][5] == "12.5"


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((None, None, None), "-"),
        ((2.0, None, None), "2"),
        ((2.0, 1.0, None), "2"),
        ((2.0, None, 3.0), "2"),
        ((2.0, 2.0, 2.0), "2"),
        ((2.0, 1.5, 2.0), "2 (1.5 to 2)"),
        ((0.0, 0.0, 0.0), "0"),
    ],
)
def test_traces_text(ends, text):
    assert traces_text(Measured(0.1, 0.1, 0.1, *ends)) == text


def test_diff_text__units_and_left_out_photos():
    rows = [row("path", 0.05, over="yes"), dataclasses.replace(row("noise", 0.001), text="")]
    plain = compared(rows, units=90, left_out={})
    assert diff_text(plain).startswith(
        "e on 90 photos of d. First way (A): as it is. Intervals are 95 %, over photos. kNN: 5 neighbours.\n\n"
        "- path: said.\n\nSo it is judged.\n\n| way "
    )
    clustered = diff_text(compared(rows, n=1234, units=1233))
    assert "e on 1,234 photos of d in 1,233 units that err together. First" in clustered
    assert "over photos or units." in clustered
    assert "\n\n2 photos are left out, such as a.jpg: it is broken.\n\n" in clustered
    assert repr(plain) == diff_text(plain)
    assert plain._repr_html_().startswith("<pre>e on 90")


def test_steps__each_alone_where_there_are_several():
    first = parse_path("decoder=torchvision,resize=squash")
    assert steps_between(first, first) == {}
    assert steps_between(first, parse_path("resize=own", first)) == {}
    other = parse_path({"resize": "own", "colour": "bgr", "model": "a:b"}, first)
    steps = steps_between(first, other)
    assert list(steps) == ["colour=bgr", "resize=own", "model=a:b"]
    assert [(s.decoder, s.colour, s.resize, s.model) for s in steps.values()] == [
        ("torchvision", "bgr", "squash", ""),
        ("torchvision", "rgb", "own", ""),
        ("torchvision", "rgb", "squash", "a:b"),
    ]
    assert (first.text(first), PathSpec().text(), first.text()) == (
        "the same as A",
        "as camtrace does it",
        "decoder=torchvision,resize=squash",
    )

    def mine(image):
        return image

    with_function = parse_path(mine, first)
    assert with_function.text() == "decoder=torchvision,resize=squash,transform=mine"
    assert with_function.record() == {**first.record(), "transform": "mine"}
    assert list(steps_between(PathSpec(), with_function))[-1] == "transform=mine"


N = 24


def lanes(**kinds):
    return {
        name: (Lane(name, PathSpec(), None, 1, "web" if kind == "trace" else ""), kind) for name, kind in kinds.items()
    }


def comparer_of(rows, labels, clusters=None):
    units = SimpleNamespace(clusters=clusters, count=N if clusters is None else len(set(clusters)))
    return Comparer(Embedded(rows, None, None), Photos(np.asarray(labels), units, 3))


def test_rows_of__order_units_and_what_is_known():
    rng = np.random.default_rng(1)
    base = rng.normal(size=(N, 6))
    labels = np.arange(N) % 2
    labels[:4] = UNLABELLED

    def moved(size):
        return Embedded(base + size * rng.normal(size=base.shape), np.full(N, size), np.full(N, size / 2))

    given = lanes(small="path", large="path", step="step", wide="path", again="noise", weakest="trace")
    made = {"small": moved(0.01), "large": moved(1.0), "step": moved(0.1), "again": moved(1e-6), "weakest": moved(0.1)}
    made["wide"] = Embedded(np.c_[base, base], None, None)
    comparer = comparer_of(base, labels)
    assert len(comparer.photos.labelled) == N - 4
    measures = {name: comparer.measured(each) for name, each in made.items()}
    rows = rows_of(given, measures, comparer, at_most=3.0)
    assert [r.name for r in rows] == ["wide", "large", "step", "small", "again", "weakest"]
    by = {r.name: r for r in rows}
    assert [by[name].over_limit for name in ("large", "small", "wide", "again", "weakest")] == [
        *("yes", "no", "undecided", "", "")
    ]
    assert by["large"].beyond_noise == by["small"].beyond_noise == "yes"
    wide = by["wide"]
    assert (wide.cosine, wide.lost, wide.pixels, wide.pixels_largest) == (None, None, None, None)
    assert (wide.neighbours.value, wide.identical, wide.n) == (0.0, False, N)
    assert (by["large"].pixels_largest, by["large"].pixels.value) == (1.0, pytest.approx(0.5))
    assert by["large"].pixels.traces == pytest.approx(10.0)
    ratio = measures["large"].cosine.mean() / measures["weakest"].cosine.mean()
    assert by["large"].cosine.traces == pytest.approx(ratio)
    assert by["weakest"].cosine.traces == 1.0
    before, after = comparer.accuracy, measures["large"].correct
    assert (by["large"].only_first, by["large"].only_second) == (
        sum(a and not b for a, b in zip(before, after, strict=True)),
        sum(b and not a for a, b in zip(before, after, strict=True)),
    )
    assert (by["large"].accuracy_first, by["large"].accuracy_second) == (before.mean(), after.mean())
    assert by["large"].answers.value == pytest.approx(measures["large"].answers.mean())
    # without noise or a trace nothing is known of either
    few = rows_of(lanes(large="path"), measures, comparer, at_most=3.0)
    assert (few[0].beyond_noise, few[0].over_limit, few[0].cosine.traces) == ("undecided", "undecided", None)


def test_comparer__equal_ways_are_identical_and_one_class_has_no_answers():
    rng = np.random.default_rng(2)
    base = rng.normal(size=(N, 6))
    for labels in (np.full(N, UNLABELLED), np.zeros(N, int), np.where(np.arange(N) < 9, 0, UNLABELLED)):
        comparer = comparer_of(base, labels)
        same = comparer.measured(Embedded(base.copy(), np.zeros(N), np.zeros(N)))
        assert (same.answers, same.correct, same.identical) == (None, None, True)
        assert comparer.measured(Embedded(base.copy(), None, None)).identical
        assert not comparer.measured(Embedded(base.copy(), np.eye(N)[0], np.zeros(N))).identical
        assert not comparer.measured(Embedded(base + 1e-9, np.zeros(N), np.zeros(N))).identical
    comparer = comparer_of(base, np.arange(N) % 3, np.arange(N) // 2)
    given = lanes(same="path", weakest="trace")
    measures = {
        "same": comparer.measured(Embedded(base.copy(), None, None)),
        "weakest": comparer.measured(Embedded(base + rng.normal(size=base.shape), None, None)),
    }
    same, _ = rows_of(given, measures, comparer, at_most=1.0)
    zero = Measured(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert (same.cosine, same.neighbours, same.answers, same.lost) == (zero,) * 4
    assert (same.only_first, same.only_second, same.mcnemar_p, same.over_limit) == (0, 0, 1.0, "no")
    [same] = rows_of(lanes(same="path"), measures, comparer, at_most=1.0)
    assert same.cosine == Measured(0.0, 0.0, 0.0)


def test_ratio_to__a_draw_without_a_trace_has_no_ratio():
    value, low, high = ratio_to(np.array([2.0, 4.0]), np.array([1.0, 1.0]), None)
    assert (value, low, high) == (3.0, 2.0, 4.0)
    assert ratio_to(np.ones(1), np.full(1, 0.5), None)[0] == 2.0


def test_write_diff__files_page_and_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    pages = []

    def render(name, **facts):
        pages.append((name, facts))
        return "PAGE"

    monkeypatch.setattr(page, "render", render)
    monkeypatch.setattr(page, "draw_diff", lambda diff, path: path.write_bytes(b"picture"))
    result = compared([row("path", 0.05, over="yes")])
    page.write_diff(result, tmp_path / "out")
    made = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert made == {
        "diff.json": json.dumps(dataclasses.asdict(result), indent=2, ensure_ascii=False) + "\n",
        "diff.md": diff_text(result) + "\n",
        "diff.png": "picture",
        "diff.html": "PAGE",
    }
    uri = "data:image/png;base64," + base64.b64encode(b"picture").decode()
    facts = {"diff": result, "header": HEADER, "table": diff_table(result), "figure": uri}
    assert pages == [("diff.html.jinja", facts)]
    (tmp_path / "file").write_text("")
    calls = []

    def disk_error(error, what, *, saved):
        calls.append((what, saved))
        return RuntimeError("full")

    monkeypatch.setattr(page, "disk_error", disk_error)
    with pytest.raises(RuntimeError):
        page.write_diff(result, tmp_path / "file")
    assert calls == [(f"--output {tmp_path / 'file'}", "nothing else is changed")]


def test_to_frame__a_column_for_each_number():
    measured = Measured(0.125, 0.1, 0.2, 2.0, 1.5, 3.0)
    [flat] = compared([dataclasses.replace(row("path", 1.0), name="w", cosine=measured)]).to_frame().to_dict("records")
    fields = ("value", "low", "high", "traces", "traces_low", "traces_high")
    of_cosine = dict(zip(("cosine", *(f"cosine_{f}" for f in fields[1:])), dataclasses.astuple(measured), strict=True))
    assert of_cosine.items() <= flat.items()
    assert "path" not in flat
    assert "cosine_value" not in flat
    assert (flat["name"], flat["kind"], flat["n"], flat["text"]) == ("w", "path", 90, "path: said.")


def test_rows_of__means_and_intervals_over_clusters_of_photos():
    """Without a trace, with a label for some photos: each measure has the interval of ``photo_interval``."""
    rng = np.random.default_rng(4)
    base = rng.normal(size=(N, 6))
    labels = np.arange(N) % 2
    labels[:4] = UNLABELLED
    clusters = np.arange(N) // 3
    comparer = comparer_of(base, labels, clusters)
    other = Embedded(base + rng.normal(size=base.shape), rng.random(N), rng.random(N) / 9)
    of_way = comparer.measured(other)
    for kinds in ({"b": "path"}, {"b": "path", "same": "trace"}):  # a trace that moves nothing is no unit
        measures = {"b": of_way, "same": comparer.measured(Embedded(base.copy(), None, None))}
        measured = rows_of(lanes(**kinds), measures, comparer, at_most=1.0)[0]
        for field in ("neighbours", "lost", "answers"):
            values = np.asarray(getattr(of_way, field), float)
            ends = photo_interval(values, clusters=clusters[-len(values) :])
            assert getattr(measured, field) == Measured(ends.value, ends.low, ends.high), field
        assert len(of_way.answers) == N - 4
        for field in ("pixels", "cosine"):
            values = getattr(of_way, field)
            ends = photo_interval(values / values.max(), clusters=clusters, bounds=(-1.0, 1.0))
            expected = [values.max() * end for end in (ends.value, max(0.0, ends.low), ends.high)]
            made = getattr(measured, field)
            assert [made.value, made.low, made.high, made.traces] == [*map(pytest.approx, expected), None]
            assert made.low < made.value < made.high
