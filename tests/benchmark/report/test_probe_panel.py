"""The panel of probes as drawn: dots, intervals, chance, controls and parts of the train photos, from its artists."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from benchmark.report.probe_panel import draw_intervals, height_of
from benchmark.results import Score

FAMILY = SimpleNamespace(axes=("accuracy, %",), counts="views")
CURVE = {"share": [0.25, 0.5, 1.0], "accuracy": [0.3, 0.4, 0.5], "low": [0.2, 0.3, 0.4], "high": [0.35, 0.45, 0.6],
         "rises": False}  # fmt: skip
CONTROLS = {
    "whole": {"accuracy": 0.6, "low": 0.55, "high": 0.7},
    "metadata": {"accuracy": 0.2},
    "shuffled": {"permutations": 10, "low": 0.2, "high": 0.3},
}


def score(task="probe/jpeg", value=0.5, metric="accuracy", **details):
    return Score(task, "toy", metric, value, value - 0.1, value + 0.05, 120, 0.25, details)


def drawn(scores, verdicts=None, height=1.0):
    ax = Figure().add_subplot()
    labels = draw_intervals(ax, scores, verdicts or [None] * len(scores), FAMILY, height)
    return ax, labels


def dots(ax):
    """(x, y, low, high, marker, fill) of every dot with an interval."""
    places = []
    for container in ax.containers:
        if type(container).__name__ == "ErrorbarContainer":
            line, _, (bars,) = container.lines
            (left, _), (right, _) = bars.get_segments()[0]
            (x,), (y,) = line.get_data()
            place = tuple(round(float(v), 4) for v in (x, y, left, right))
            places.append((*place, line.get_marker(), to_hex(line.get_markerfacecolor())))
    return places


def test_panel__controls_and_parts_have_lanes_of_their_own():
    scores = [score(controls=CONTROLS, learning_curve=CURVE), score("probe/b")]
    assert height_of(scores) == pytest.approx(2 * (0.42 + 0.095 * 4))
    assert height_of([score()]) == pytest.approx(0.42)
    assert height_of([]) == 0
    ax, _ = drawn(scores, height=1.6)
    lane = 0.095 * 2 / 1.6
    top = -lane * 3.5 / 2
    expected = [
        (50, top, 40, 55, "o", "#0072b2"),
        (60, top + lane, 55, 70, "s", "#ffffff"),
        (20, top + 2 * lane, 20, 20, "d", "#ffffff"),
        (40, top + 3 * lane, 30, 45, "o", "#ffffff"),
        (30, top + 4 * lane, 20, 35, "o", "#ffffff"),
        (50, 1 + top, 40, 55, "o", "#0072b2"),
    ]
    shown = dots(ax)
    assert [dot[4:] for dot in shown] == [dot[4:] for dot in expected]
    assert np.allclose([dot[:4] for dot in shown], [dot[:4] for dot in expected], atol=1e-3)
    sizes = [c.lines[0].get_markersize() for c in ax.containers if type(c).__name__ == "ErrorbarContainer"]
    assert sizes == [6.0, 4.0, 4.0, 3.5, 2.5, 6.0]
    band = next(p for p in ax.patches if to_hex(p.get_facecolor()) == "#d55e00")
    assert (band.get_x(), band.get_width(), band.get_height()) == pytest.approx((20, 10, 2.2 * lane))
    assert sum(to_hex(p.get_facecolor()) == "#f6f6f6" for p in ax.patches) == 1  # every other row
    legend = ax.get_legend_handles_labels()[1]
    assert sorted(legend) == sorted(set(legend))
    assert {"whole picture", "other labels only", "1/2, 1/4 of the train photos", "shuffled labels, 95 %"} < set(legend)
