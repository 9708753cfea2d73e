"""Components of variance in a report: table, the judge's sentences, and the picture."""

from __future__ import annotations

from benchmark.report.variance import BOTH, GROUP, REST, SCENE, draw_components, variance_text
from benchmark.results import Result, Score
from benchmark.results.check import check_forms

EFFECTS = (
    ("scene", 0.40, 0.02, 0.40, 1e-9, 50),
    ("device", 0.20, 0.02, 0.20, 1e-9, 4),
    ("platform", 0.0, 0.004, -0.001, 0.7, 3),
    ("scene x device", 0.05, 0.06, 0.05, 0.04, 200),
    ("rest", 0.35, 0.02, 0.35, 1e-9, 600),
)


def variance_result() -> Result:
    rows = [
        {"effect": e, "share": s, "low": max(0.0, s - h), "high": s + h, "estimate": x, "p_value": p, "cells": n}
        for e, s, h, x, p, n in EFFECTS
    ]
    details = {"components": rows, "units": 50, "resampled": "scene", "merged": {"scene x platform": "rest"}}
    scores = (
        Score("variance/components", "set", "scene", 0.4, 0.38, 0.42, 600, 0.0, {**details, "estimate": 0.4}),
        Score("variance/components", "set", "by-device", 0.2, 0.18, 0.22, 600, 0.0, {"estimate": 0.2}),
    )
    made = Result({"id": "x"}, {"name": "set"}, {}, scores, (), {}, "2026-01-01T00:00:00+00:00")
    check_forms(made)
    return made


def test_variance_text__table_and_the_judges_sentences() -> None:
    text = variance_text(variance_result())
    assert "a part is shown to be: scene 40.0 % (38.0 to 42.0); device 20.0 % (18.0 to 22.0)." in text
    assert "Shown to be less than 1 %: platform 0.0 % (0.0 to 0.4)." in text
    assert "Undecided: scene x device 5.0 % (0.0 to 11.0)." in text  # 0.04 is one of four p-values
    assert "shown as 0: platform (-0.1 %)." in text
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert rows[2] == ["scene", "40.0", "38.0 to 42.0", "50"]
    assert rows[-1] == ["rest", "35.0", "33.0 to 37.0", "600"]
    assert "n = 600 photos" in text
    assert "50 parts of the scenes" in text
    assert "Not separable: scene x platform is rest." in text


def test_draw_components__a_bar_for_each_effect() -> None:
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    draw_components(ax, variance_result().scores[0])
    assert [round(bar.get_width(), 6) for bar in ax.patches] == [40.0, 20.0, 0.0, 5.0, 35.0]
    from matplotlib.colors import to_hex

    assert [to_hex(bar.get_facecolor()).upper() for bar in ax.patches] == [
        colour.upper() for colour in (SCENE, GROUP, GROUP, BOTH, REST)
    ]
    assert [label.get_text() for label in ax.get_yticklabels()] == [name for name, *_ in EFFECTS]
    assert "n = 600" in ax.get_title(loc="left")


def test_report_figure__has_the_components() -> None:
    from benchmark.report import report_figure
    from benchmark.tasks import all_tasks

    figure = report_figure([variance_result()], all_tasks())
    assert any("Components of variance" in ax.get_title(loc="left") for ax in figure.axes)
