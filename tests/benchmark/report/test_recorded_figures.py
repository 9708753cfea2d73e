"""Figures of reports do not move between versions: positions, colours and words of everything that is drawn."""

import dataclasses

import numpy as np
from matplotlib.figure import Figure

from benchmark.results import OutputScores, Result, Score
from tests.benchmark.report.test_scenes import matrix_of
from tests.benchmark.report.test_text import RIGHT_OR_WRONG, curve, probe, shares
from tests.support.drawn import drawn

CONTROLS = {
    "whole": {"accuracy": 0.61, "low": 0.55, "high": 0.64},
    "complement": {"accuracy": 0.42},
    "metadata": {"accuracy": 0.33, "low": 0.31, "high": 0.36},
    "shuffled": {"accuracy": 0.16, "low": 0.12, "high": 0.21, "permutations": 20, "p_value": 0.04},
}


def neighbours(task, first, data="toy", chance=0.05):
    """Metrics of one kNN task at different heights with uneven intervals."""
    names = ("all-same", "all-diff", "pos-same", "neg-same", "uniform", "uniform-test")
    scores = [
        Score(f"knn/{task}", data, m, first + 0.01 * i, first - 0.02, first + 0.07, 300 + i % 2, chance)
        for i, m in enumerate(names)
    ]
    return [*scores, Score(f"knn/{task}", data, "spd", 0.02, -0.01, 0.04, 300, 0.0)]


def pairs(data, same, different, chance=0.01):
    ends = ((same, same - 0.1, same + 0.05), (different, different - 0.02, different + 0.1))
    return [
        Score("retrieval/pairs", data, m, *e, 100, chance)
        for m, e in zip(("same", "different"), ends, strict=True)
    ]  # fmt: skip


def traces():
    return [
        probe("jpeg", shares(0.6), controls=CONTROLS, learning_curve=curve(0.3, 0.4, 0.5, 0.6)),
        probe("sharpening", RIGHT_OR_WRONG, learning_curve=curve(0.15, 0.16, 0.165, 0.17)),
        probe("resizing", shares(0.175)),
        probe("interpolation", shares(0.92), 1 / 3, most_frequent_class=0.5),
    ]


def of_data(made, name):
    scores = tuple(dataclasses.replace(s, data=name) for s in made.scores)
    return dataclasses.replace(made, data={**made.data, "name": name, "smoke_test": True}, scores=scores)


def layered(layers, poolings, value, task="probe/jpeg", chance=1 / 6, spread=0.03):
    return [
        OutputScores(
            f"layers[{layer}]:{pooling}", f"block {layer}, {pooling}", layer, layers, pooling, 8, "hooks",
            (Score(task, "set", "accuracy", v, v - spread, v + 2 * spread, 500 + 10 * layer, chance),
             Score("knn/original", "set", "accuracy", v / 2, v / 2 - 0.02, v / 2 + 0.01, 500, 0.1)),
        )
        for layer in range(layers)
        for p, pooling in enumerate(poolings)
        for v in [value + 0.02 * layer + 0.05 * p]
    ]  # fmt: skip


def with_outputs(outputs, *scores):
    return Result(
        {"id": "toy", "dimension": 8}, {"name": "set", "photos": {}}, {}, scores, (), {}, "", outputs=tuple(outputs)
    )


def regions(side, value=0.3, kind="grid", task="probe/jpeg"):
    names = [f"{kind}-{row}-{column}" for row in range(side) for column in range(side) if row + column]
    outputs = []
    for i, name in enumerate([*names, "border", "centre", "mean"]):
        [output] = layered(1, [name], value + 0.4 * i / len(names), task)
        outputs.append(output)
    return outputs


FINAL = (
    Score("probe/jpeg", "set", "accuracy", 0.84, 0.8, 0.86, 500, 1 / 6),
    Score("knn/original", "set", "accuracy", 0.9, 0.85, 0.97, 500, 0.1),
)


def training(ids, values, data="set", content=None):
    for name, value in zip(ids, values, strict=True):
        scores = [
            Score("probe/jpeg", data, "accuracy", value, value - 0.02, value + 0.03, 500, 0.25),
            Score("knn/jpeg", data, "spd", -value / 9, -value / 8, value / 9, 400, 0.0),
        ]
        scores += (
            [] if content is None else [Score("knn/original", data, "accuracy", content - value, 0.1, 0.9, 7, 0.1)]
        )
        yield Result({"id": name}, {"name": data}, {}, tuple(scores), (), {}, "")


FLIPS = {
    "flips": 0.25,
    "flips_low": 0.2,
    "flips_high": 0.32,
    "right_to_wrong": 0.15,
    "wrong_to_right": 0.06,
    "accuracy": 0.7,
}
FEW = {**FLIPS, "flips": 0.02, "flips_low": 0.0, "flips_high": 0.03, "right_to_wrong": 0.01, "wrong_to_right": 0.0}


def uneven(count, **more):
    matrix = matrix_of(count) | more
    matrix["n"] = [[n and n + 100 * i for n in row] for i, row in enumerate(matrix["n"])]
    matrix["cosine"] = [
        [c and c - 0.01 * i - 0.02 * j for j, c in enumerate(row)] for i, row in enumerate(matrix["cosine"])
    ]
    return matrix


def summarised(encoder, shift, *, data="toy", spd=0.05):
    numbers = {
        ("probe/jpeg", "accuracy"): (0.6 + shift, 0.5 + shift, 0.7 + shift, 0.2),
        ("probe/resizing", "accuracy"): (0.33 - shift, 0.3 - shift, 0.4 - shift, 1 / 3),
        ("knn/jpeg", "spd"): (spd, spd - 0.01, spd + 0.04, 0.0),
        ("knn/original", "accuracy"): (0.55, 0.4, 0.7, 0.1),
        ("probe/make", "accuracy"): (0.9, 0.8, 1.0, 1.0),
    }
    made = tuple(Score(task, data, metric, *n[:3], 100, n[3]) for (task, metric), n in numbers.items())
    return Result({"id": encoder}, {"name": data}, {}, made, (), {}, "2026-11-20T10:00:00+00:00")


def test_every_number_of_a_drawing_counts():
    """The reading of a figure itself: no two figures that differ in one artist are equal."""

    def figure(**more):
        made = Figure()
        ax = made.add_subplot()
        ax.plot([0, 1], [2, 3], **{"color": "red", "linewidth": 2.0, **more})
        return made

    plain = drawn(figure())["axes 0"]["Line2D"]
    changes = (
        {"color": "blue"},
        {"linewidth": 1.0},
        {"marker": "o"},
        {"linestyle": ":"},
        {"zorder": 7},
        {"alpha": 0.5},
    )
    for change in changes:
        other = drawn(figure(**change))["axes 0"]["Line2D"]
        assert any(not np.array_equal(plain[key], other[key]) for key in plain)
