"""Cards and tables of erasers, whole: people compare them between versions. Near photos, by a loop over pairs."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from benchmark.erasing import Eraser, MeasuredEraser, Row, near_to
from builders.splits.near_duplicates import MAX_DISTANCE

BEFORE = Row(
    "probe/jpeg", "accuracy", "toy", "trace", "linear", 0.81, 0.75, 0.87, 0.172, 0.12, 0.24, -0.638, -0.7, -0.57,
    0.0001234567, 120, 1 / 6, "yes", "no",
)  # fmt: skip
ROWS = (
    BEFORE,
    dataclasses.replace(BEFORE, reader="knn", metric="accuracy-knn", after=0.5, after_answer="yes", units="20 scenes"),
    dataclasses.replace(BEFORE, reader="mlp", metric="accuracy-mlp", after_answer=None, before_answer=None),
    dataclasses.replace(BEFORE, data="other", n=90, low=None, high=None, p_value=None, after_answer="undecided"),
    Row(
        "knn/original", "accuracy", "toy", "accuracy", "", 0.6, 0.5, 0.7, 0.58, 0.5, 0.66, -0.02, -0.05, 0.01, 0.2,
        120, 0.1,
    ),
    Row(
        "knn/jpeg", "spd", "toy", "difference", "", 0.3, 0.2, 0.4, -0.02, -0.06, 0.02, -0.32, -0.4, -0.2, 1e-9,
        120, 0.0,
    ),
    dataclasses.replace(BEFORE, task="probe/make", after=0.8, after_answer="yes"),
)  # fmt: skip

CURVE = tuple(
    {
        "photos": photos,
        "n": 120,
        "chance": 1 / 6,
        "readers": {
            name: {"value": value, "low": value - 0.1, "high": value + 0.05} for name, value in readers.items()
        },
    }
    for photos, readers in ((0, {"linear": 0.8, "knn": 0.7}), (50, {"linear": 0.4, "knn": 0.6}))
)


def eraser(attribute: str = "jpeg", *, unit_rows: bool = True, given: bool = False, **unseen: Any) -> Eraser:
    groups = {name: np.ones((2, 3), np.float32) for name in ("group_means", "group_scales")} if given else {}
    about = {
        "attribute": attribute,
        "encoder": {"id": "timm:toy"},
        "data": "toy",
        "n_photos": 300,
        "classes": ["a", "b"],
        "unseen": {"photos": 120, "owner": 40, "scene": 0, "readers_learn_apart": True} | unseen,
    }
    mean = np.arange(3, dtype=np.float32)
    return Eraser("leace", mean, np.eye(3, dtype=np.float32), 2, unit_rows, provenance=about, **groups)


def measured(one: Eraser, rows: tuple[Row, ...] = ROWS, curve: tuple[dict[str, Any], ...] = ()) -> MeasuredEraser:
    return MeasuredEraser(one, None, rows, curve)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(6))
def test_near_to__equals_a_loop_over_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 1 << 63, 4, dtype=np.uint64)

    def some(count: int) -> np.ndarray:
        """Centres of which up to 6 bits differ, and photos without a hash."""
        made = centres[rng.integers(0, 4, count)]
        for i in range(count):
            for bit in rng.choice(64, rng.integers(0, 7), replace=False):
                made[i] ^= np.uint64(1) << np.uint64(bit)
        made[rng.random(count) < 0.1] = 0
        return made

    pictures, others = some(25), some(int(rng.integers(0, 12)))
    expected = [
        any(one and other and (int(one) ^ int(other)).bit_count() <= MAX_DISTANCE for other in others)
        for one in pictures
    ]
    assert near_to(pictures, others).tolist() == expected
    assert not near_to(pictures, np.zeros(3, np.uint64)).any()
    assert not near_to(np.zeros(3, np.uint64), pictures).any()
