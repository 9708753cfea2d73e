"""Questions about decoded pixels by plain loops: measures over all decoded photos, p-values over one of each owner."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmark.audit import questions as module
from benchmark.audit.pixel_features import PIXEL_FEATURES
from benchmark.audit.result import Carrier

NAMES = ("real", "fake")
QUALITIES = [0.0, 60.0, 75.0]


def tally(owners: bool):
    """36 decoded photos; a third have no label, owners have two photos each, some numbers are unknown."""
    rng = np.random.default_rng(3)
    n = 36
    frame = pd.DataFrame(
        {"id": [f"p{i:02d}" for i in range(n)], "label": [("real", "fake", "")[i % 3] for i in range(n)]}
    )
    frame["owner"] = [f"o{i % 18}" if owners and i % 6 else "" for i in range(n)]
    frame["split"] = "train"
    numbers = rng.normal(50, 9, (n, len(PIXEL_FEATURES) + 1))
    numbers[:, 0] += [9.0 * (label == "fake") for label in frame["label"]]
    numbers[[1, 9, 20], 1] = np.nan
    numbers[:, -1] = [
        QUALITIES[int(label == "fake") * (1 + i % 2)] if i % 5 else 0.0 for i, label in enumerate(frame["label"])
    ]
    return SimpleNamespace(
        sample=frame.copy(), pixels={"frame": frame, "numbers": numbers}, names={"label": dict.fromkeys(NAMES)}
    )


def plain_eta(groups, corrected):
    """Correlation ratio of numbers in groups; without its bias as epsilon squared."""
    every = np.concatenate(groups)
    total = np.square(every - every.mean()).sum()
    within = sum(np.square(g - g.mean()).sum() for g in groups)
    if not corrected:
        return float(np.sqrt(1 - within / total))
    n, k = len(every), len(groups)
    return float(np.sqrt(max(0.0, 1 - (within / (n - k)) / (total / (n - 1)))))


def table_of(rows, values, groups=NAMES):
    """Counts of values by class."""
    return [[sum(1 for row in rows if row == (group, value)) for group in groups] for value in values]


@pytest.mark.parametrize("owners", [False, True])
def test_pixel_questions__measures_of_all_photos_and_p_values_of_one_of_each_owner(tested, owners):
    counts = tally(owners)
    frame, numbers = counts.pixels["frame"].copy(), counts.pixels["numbers"]
    made = module._pixel_questions(counts, "label", list(NAMES), seed=5)
    assert counts.pixels["frame"].equals(frame)  # nothing was added to it
    owner = list(frame["owner"])
    alone = [i for i in range(36) if not owner[i] or owner.index(owner[i]) == i]
    assert len(alone) == (21 if owners else 36)
    labels = list(frame["label"])
    for k, (name, feature) in enumerate(PIXEL_FEATURES.items()):
        known = [i for i in range(36) if labels[i] and np.isfinite(numbers[i, k])]
        groups = [np.array([numbers[i, k] for i in known if labels[i] == one]) for one in NAMES]
        sample = [i for i in alone if i in known]
        question = made[k]
        assert (question.target, question.feature, question.title, question.layer) == (
            "label",
            name,
            feature.title,
            "pixels",
        )
        assert (question.measure, question.n, question.tested, question.distinct) == ("eta", len(known), len(sample), 0)
        assert (question.content, question.flagged, question.p_value, question.adjusted) == (True, False, 0.125, 0.125)
        assert question.raw == pytest.approx(plain_eta(groups, False), abs=1e-9)
        assert question.value == pytest.approx(plain_eta(groups, True), abs=1e-9)
        assert tested[k] == ([numbers[i, k] for i in sample], [NAMES.index(labels[i]) for i in sample], 5)
        means = {one: group.mean() for one, group in zip(NAMES, groups, strict=True)}
        most, least = max(means, key=means.get), min(means, key=means.get)
        assert question.carriers == (
            Carrier(f"largest mean: {means[most]:.1f}", most), Carrier(f"smallest mean: {means[least]:.1f}", least),
        )  # fmt: skip
    words = {0.0: "none seen", 60.0: "JPEG about 60", 75.0: "JPEG about 75"}
    seen = [words[float(q)] for q in numbers[:, -1]]
    values = sorted(set(seen))
    earlier = made[len(PIXEL_FEATURES)]
    assert (earlier.feature, earlier.title, earlier.layer, earlier.measure) == (
        "earlier_quality", "earlier JPEG compression", "pixels", "V",
    )  # fmt: skip
    full = table_of(list(zip(labels, seen, strict=True)), values)
    part = table_of([(labels[i], seen[i]) for i in alone], values)
    assert tested[len(PIXEL_FEATURES) :] == [(part, 5)]
    assert (earlier.n, earlier.tested) == (24, sum(map(sum, part)))
    assert (earlier.distinct, earlier.content, earlier.p_value, earlier.adjusted) == (3, False, 0.25, 0.25)
    expected = np.array(full, float)
    n, outer = expected.sum(), np.outer(expected.sum(1), expected.sum(0)) / expected.sum()
    phi = float((np.square(expected - outer) / outer).sum() / n)
    assert earlier.raw == pytest.approx(np.sqrt(phi))
    assert 0 < earlier.value < earlier.raw
    assert len(made) == len(PIXEL_FEATURES) + 1
