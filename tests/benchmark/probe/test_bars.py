"""Progress bars of probes: what they name, how far they go, and that they come there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from benchmark.erasing import Source, fit
from benchmark.probe.solver import rows, sgd
from benchmark.probe.solver.rows import Gathered


class Bars:
    """The bars that are made, with the steps of each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
        self.made: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.steps: list[int] = []
        self.closed = 0
        monkeypatch.setattr(module, "step_bar", self.bar)

    def bar(self, *given: Any, **options: Any) -> Any:
        self.made.append((given, options))
        return self

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *error: Any) -> None:
        self.closed += 1

    def __iter__(self) -> Any:
        for each in self.made[-1][0][0]:
            self.steps.append(1)
            yield each

    def update(self, count: int = 1) -> None:
        self.steps.append(count)

    def close(self) -> None:
        self.closed += 1


def test_gathered__of_all_rows_of_all_banks(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = Bars(monkeypatch, rows)
    Gathered([np.ones((20, 3), np.float32) for _ in range(4)], torch.device("cpu"))
    assert bars.made == [((), {"total": 80, "desc": "reading embeddings", "unit": "row", "unit_scale": True})]
    assert (sum(bars.steps), bars.closed) == (80, 1)


def test_descend__of_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = Bars(monkeypatch, sgd)
    x, y = torch.ones(1, 9, 3), torch.zeros(1, 9, dtype=torch.int64)
    sgd.descend(lambda index: x[:, index], y, [0.1], [0.0], n_classes=2, epochs=7)
    ((_, options),) = bars.made
    assert options == {"desc": "descent", "total": 7, "unit": "epoch"}
    assert len(bars.steps) == 7


def test_moments_of__of_all_rows_in_all_views(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = Bars(monkeypatch, fit)
    fit.moments_of(Source([np.ones((20, 3), np.float32)] * 2, np.zeros((2, 20), int), 2))
    assert bars.made == [((), {"total": 40, "desc": "reading embeddings", "unit": "row"})]
    assert (sum(bars.steps), bars.closed) == (40, 1)
