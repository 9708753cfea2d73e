"""Maps and curves over depth as drawn: colours, numbers, ticks and references, read from their artists."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from benchmark.report.layers import RegionMap, draw_depth, draw_map
from benchmark.results import Score


def score(value, half=0.05, n=500, chance=0.25):
    return Score("probe/jpeg", "set", "accuracy", value, value - half, value + half, n, chance)


def drawn_map(values, references=(), signed=False, **changed):
    rows = tuple(tuple(score(v, **changed) if v is not None else None for v in row) for row in values)
    metric = SimpleNamespace(signed=signed, name="accuracy")
    region_map = RegionMap("probe/jpeg", metric, 2, "block", False, rows, tuple(references))
    ax = Figure().add_subplot()
    draw_map(ax, region_map, "title")
    return ax


def test_map__colours_run_from_chance_to_the_highest_end():
    ax = drawn_map([[0.5, 0.7], [None, 0.9]])
    assert ax.images[0].get_clim() == pytest.approx((25, 95))
    assert ax.get_title(loc="left") == "title"
    assert [(t.get_text(), t.get_position(), t.get_color(), t.get_fontsize()) for t in ax.texts] == [
        ("50\n45 to 55", (0, 0), "white", 8), ("70\n65 to 75", (1, 0), "black", 8),
        ("90\n85 to 95", (1, 1), "black", 8),
    ]  # fmt: skip
    assert ax.get_xlabel() == "%, with 95 % intervals; chance 25.0"
    bar = ax.figure.axes[1]
    assert [list(line.get_ydata()) for line in bar.lines if to_hex(line.get_color()) == "#d55e00"] == [[25, 25]]
    assert not ax.get_xticks().size
    assert not ax.get_yticks().size
    assert not any(spine.get_visible() for spine in ax.spines.values())


def test_map__spans_ten_points_and_goes_below_chance():
    assert drawn_map([[0.26, 0.27]], half=0.01).images[0].get_clim() == pytest.approx((25, 35))
    assert drawn_map([[0.20, 0.5]], half=0.01).images[0].get_clim() == pytest.approx((20, 51))


@pytest.mark.parametrize(("side", "lines", "size"), [(5, 2, 8), (6, 1, 7), (8, 1, 7), (9, 0, None)])
def test_map__fewer_numbers_the_finer_it_is(side, lines, size):
    ax = drawn_map(np.full((side, side), 0.5).tolist())
    assert len(ax.texts) == (side * side if lines else 0)
    assert {(len(t.get_text().split("\n")), t.get_fontsize()) for t in ax.texts} == (
        {(lines, size)} if lines else set()
    )
    ends = "with 95 % intervals" if side == 5 else "95 % intervals are in the report's tables"
    assert ax.get_xlabel() == f"%, {ends}; chance 25.0"


def test_map__of_a_difference_with_references():
    ax = drawn_map([[0.1]], [("border", score(0.2)), ("centre", score(0.3))], signed=True, chance=0.0)
    assert ax.get_xlabel() == "points, with 95 % intervals\nborder 20 (15 to 25); centre 30 (25 to 35)"
    assert not [line for line in ax.figure.axes[1].lines if to_hex(line.get_color()) == "#d55e00"]


def point(layer, value, layers=12, n=500):
    return SimpleNamespace(
        output=SimpleNamespace(layer=layer, layers=layers, title=f"stage {layer}, mean"), score=score(value, n=n)
    )


def curves(by_pooling, final=None, signed=False):
    return SimpleNamespace(by_pooling=by_pooling, final=final, metric=SimpleNamespace(signed=signed))


def drawn_depth(*args):
    ax = Figure().add_subplot()
    draw_depth(ax, *args, "JPEG")
    return ax


def stars(ax):
    return [
        (*line.get_xdata(), *line.get_ydata(), to_hex(line.get_color()))
        for line in ax.lines
        if line.get_marker() == "*"
    ]


def test_depth__lines_bands_ticks_and_the_embedding_at_the_right_end():
    by_pooling = {"mean": [point(0, 0.3), point(5, 0.5), point(11, 0.75)], "cls": [point(11, 0.7, n=1200)]}
    plain = curves({"mean": [point(0, 0.2), point(11, 0.9)]}, score(0.95))
    ax = drawn_depth(curves(by_pooling, score(0.8)), plain)
    lines = {line.get_label(): line for line in ax.lines}
    mean = lines["mean of patches"]
    assert (list(mean.get_xdata()), list(mean.get_ydata())) == ([0, 5, 11], [30, 50, 75])
    assert (mean.get_marker(), to_hex(mean.get_color())) == ("s", "#d55e00")
    assert (lines["class token"].get_marker(), to_hex(lines["class token"].get_color())) == ("o", "#0072b2")
    band = ax.collections[0].get_paths()[0].vertices
    assert (band[:, 0].min(), band[:, 0].max(), band[:, 1].min(), band[:, 1].max()) == pytest.approx((0, 11, 25, 80))
    grey = [line for line in ax.lines if line.get_linestyle() == ":" and len(line.get_xdata())]
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in grey] == [([0, 11], [20, 90])]
    assert stars(ax) == [(12, 80, "#000000"), (12, 95, "#6b6b6b")]
    assert list(lines["chance 25.0"].get_ydata()) == [25, 25]
    assert ax.get_xlim() == pytest.approx((-0.4, 12.5))
    assert [label.get_text() for label in ax.get_xticklabels()] == [*map(str, range(12)), "final"]
    assert list(ax.get_xticks()) == [*range(12), 12]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("stage (from 0; bands: 95 % intervals)", "%")
    assert ax.get_title(loc="left") == "JPEG over depth, n = 500 or 1,200"
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert set(words) == {"plain kNN accuracy, %", "mean of patches", "class token", "final", "chance 25.0"}


@pytest.mark.parametrize(("layers", "step"), [(8, 1), (16, 2), (23, 2), (24, 3), (48, 6)])
def test_depth__at_most_about_ten_ticks(layers, step):
    ax = drawn_depth(curves({"mean": [point(0, 0.3, layers), point(1, 0.4, layers)]}), None)
    assert [t.get_text() for t in ax.get_xticklabels()] == [*map(str, range(0, layers, step)), "final"]
    assert stars(ax) == []
    assert not [line for line in ax.lines if line.get_linestyle() == ":"]


def test_depth__points_of_a_difference():
    assert (
        drawn_depth(curves({"max": [point(0, 0.1)], "gem": [point(0, 0.2)]}, signed=True), None).get_ylabel()
        == "points"
    )
