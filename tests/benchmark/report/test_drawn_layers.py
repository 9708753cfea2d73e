"""Maps and curves over depth as drawn: colours, numbers, ticks and references, read from their artists."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from benchmark.report.layers import RegionMap, draw_map
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
