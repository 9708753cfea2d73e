"""Paths that are taken seldom, each by a direct call."""

from types import SimpleNamespace

import numpy as np
import torch

from benchmark.retrieval.counts import _above_many


def test_above_many__as_on_another_device(monkeypatch):
    """Sorted by torch, as on a GPU, the counts are those of NumPy's sort."""
    rng = np.random.default_rng(0)
    similar = torch.from_numpy(rng.integers(0, 6, (5, 40)).astype(np.float32))
    thresholds = rng.integers(0, 6, (3, 5)).astype(np.float32)
    thresholds[1, 2] = np.nan
    by_numpy = _above_many(similar, thresholds)

    class Elsewhere:
        device = SimpleNamespace(type="elsewhere")

        def contiguous(self):
            return similar

    by_torch = _above_many(Elsewhere(), thresholds)
    for first, second in zip(by_numpy, by_torch, strict=True):
        assert np.array_equal(first, second)
