"""Erasers that are fitted on the same embeddings are those of the versions before."""

import numpy as np

from benchmark.erasing import METHODS, fit_eraser
from tests.support.recorded import check_recorded


def test_erasers__of_planted_embeddings_are_as_recorded():
    rng = np.random.default_rng(0)
    label, scene = np.arange(300) % 3, np.arange(300) // 3 % 5
    rows = rng.normal(size=(300, 12)) + 2 * rng.normal(size=(3, 12))[label] + rng.normal(size=(5, 12))[scene]
    made = {}
    for name in METHODS:
        eraser = fit_eraser(rows.astype(np.float32), label, name, keep=scene)
        erased = np.asarray(
            eraser.apply(rows[:40].astype(np.float32), label[:40] if eraser.needs_labels else None), np.float64
        )
        made[name] = [np.linalg.norm(erased, axis=1), erased @ np.sin(np.arange(12)), eraser.method]
    check_recorded("erasers", made, tolerance=0.002)
