"""The figure of a ``Diff``: what stands where in both panels, in which colour and in which words, row by row."""

from __future__ import annotations

import dataclasses

import pytest

from benchmark.diff import Measured, page
from tests.benchmark.diff.invented import compared, row

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#6b6b6b"


def panels(monkeypatch, result):
    """Both axes of the figure, and its title."""
    figures = []
    monkeypatch.setattr(page, "write_png", lambda figure, path: figures.append((figure, path)))
    page.draw_diff(result, "a.png")
    [(figure, path)] = figures
    assert path == "a.png"
    return *figure.axes, figure


def lines(axes):
    """Each line: its points, its marker and its colour."""
    return [
        (*(list(map(float, d)) for d in line.get_data()), line.get_marker(), line.get_color()) for line in axes.lines
    ]


@pytest.mark.parametrize(
    ("kind", "over", "beyond", "colour"),
    [
        *(("path", over, beyond, BLUE) for over in ("no", "undecided", "") for beyond in ("yes", "no")),
        *(("step", over, "yes", colour) for over, colour in (("yes", VERMILION), ("no", BLUE))),
        ("path", "yes", "no", VERMILION),
        *((kind, "", "", GREY) for kind in ("noise", "trace")),
    ],
)
def test_draw__the_colour_of_a_row(kind, over, beyond, colour, monkeypatch):
    one = dataclasses.replace(row(kind, 0.5, over=over), beyond_noise=beyond)
    left, right, _ = panels(monkeypatch, compared([one], at_most=1.0))
    assert [line[3] for line in lines(left)] == [colour, colour, GREY]
    assert [line[3] for line in lines(right)] == [colour, colour]


@pytest.mark.parametrize(
    ("ends", "trace", "shown"),
    [
        ((), "", (0.25, 0.125, 0.5)),
        ((), "web", (0.25, 0.125, 0.5)),
        ((8.0, 4.0, 16.0), "web", (8, 4, 16)),
        ((8.0, None, None), "web", (8, 8, 8)),
        ((8.0, None, 16.0), "web", (8, 8, 16)),
        ((8.0, 4.0, None), "web", (8, 4, 8)),
    ],
)
def test_draw__the_interval_in_traces_or_as_it_is(ends, trace, shown, monkeypatch):
    share = Measured(0.5, 0.25, 0.75)
    one = dataclasses.replace(row("path", 1.0), cosine=Measured(0.25, 0.125, 0.5, *ends), neighbours=share)
    left, right, _ = panels(monkeypatch, compared([one], trace=trace, at_most=1.0))
    value, low, high = shown
    assert [line[:3] for line in lines(left)[:2]] == [([low, high], [0, 0], "None"), ([value], [0], "o")]
    assert [line[:3] for line in lines(right)] == [([25, 75], [0, 0], "None"), ([50], [0], "o")]
    assert page._distance(one) == shown
    assert left.get_xscale() == "log"
    assert len(left.lines) == (3 if trace else 2)


def test_draw__rows_that_do_not_move_stand_at_a_third_of_the_least_that_moves(monkeypatch):
    still = dataclasses.replace(row("path", 1.0), cosine=Measured(0.0, 0.0, 0.75, 0.0, 0.0, 0.75))
    moving = [dataclasses.replace(still, cosine=Measured(v, v, v, v, 0.0, 2 * v)) for v in (6.0, 1.5)]
    none = dataclasses.replace(still, cosine=None)
    left, right, _ = panels(monkeypatch, compared([moving[0], none, still, moving[1]], at_most=1.0))
    assert [line[:3] for line in lines(left)[:-1]] == [
        ([0.5, 12], [0, 0], "None"), ([6], [0], "o"),
        ([0.5, 0.75], [2, 2], "None"), ([0.5], [2], "<"),
        ([0.5, 3], [3, 3], "None"), ([1.5], [3], "o"),
    ]  # fmt: skip
    [zero] = left.texts
    assert (zero.get_text(), zero.xy, zero.get_color()) == ("0", (0.5, 2), BLUE)
    assert [line[1][0] for line in lines(right)] == [0, 0, 1, 1, 2, 2, 3, 3]
    alone, _, _ = panels(monkeypatch, compared([still], trace=""))
    assert lines(alone)[1][0] == [pytest.approx(1e-3 / 3)]


@pytest.mark.parametrize(
    ("trace", "at_most", "label", "limits"),
    [
        ("web", 1.0, "cosine distance, in weakest traces (dashed: 1)", [(1.0, "--", GREY)]),
        ("web", 2.5, "cosine distance, in weakest traces (dashed: 1); dotted: the limit, 2.5",
         [(1.0, "--", GREY), (2.5, ":", VERMILION)]),
        ("web", 0.25, "cosine distance, in weakest traces (dashed: 1); dotted: the limit, 0.25",
         [(1.0, "--", GREY), (0.25, ":", VERMILION)]),
        ("", 0.25, "cosine distance", []),
    ],
)  # fmt: skip
def test_draw__limits_and_words_of_the_axes(trace, at_most, label, limits, monkeypatch):
    rows = [dataclasses.replace(row("step", 0.5), name="a$b"), dataclasses.replace(row("path", 0.5), name="c" * 61)]
    left, right, figure = panels(monkeypatch, compared(rows, trace=trace, at_most=at_most))
    assert (left.get_xlabel(), right.get_xlabel()) == (label, "neighbours changed, % of 5")
    drawn = [(line.get_xdata()[0], line.get_linestyle(), line.get_color()) for line in left.lines[4:]]
    assert drawn == limits
    assert [text.get_text() for text in left.get_yticklabels()] == [r"a\$b, alone", "c" * 60]
    assert (left.get_ylim(), right.get_xlim()[0]) == ((1.6, -0.6), -1)
    assert figure.get_size_inches() == pytest.approx((11.2, 1.5 + 0.72))
    assert figure._suptitle.get_text() == "e on 90 photos of d; A: as it is"
    *_, figure = panels(monkeypatch, compared(rows, a="$" + 200 * "x", n=1234))
    assert figure._suptitle.get_text() == (r"e on 1,234 photos of d; A: \$" + 200 * "x")[:130]
