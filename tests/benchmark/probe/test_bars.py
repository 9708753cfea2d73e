"""Progress bars of probes: what they name, how far they go, and that they come there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmark.erasing import Source, fit


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


def test_moments_of__of_all_rows_in_all_views(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = Bars(monkeypatch, fit)
    fit.moments_of(Source([np.ones((20, 3), np.float32)] * 2, np.zeros((2, 20), int), 2))
    assert bars.made == [((), {"total": 40, "desc": "reading embeddings", "unit": "row"})]
    assert (sum(bars.steps), bars.closed) == (40, 1)
