"""Whether a trace is still read if one class is more frequent than the others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.erasing.card import verdict
from benchmark.results import Score
from benchmark.scoring.erase import rows_of


def scored(low: float, **details: Any) -> Any:
    score = Score("probe/make", "toy", "accuracy", low + 0.05, low, low + 0.1, 40, 0.25, details)
    return SimpleNamespace(result=SimpleNamespace(scores=(score,), data={"name": "toy"}), answers={})


@pytest.mark.parametrize(("frequent", "read"), [(0.0, True), (0.2, True), (0.5, False)])
def test_rows_of__chance_is_that_of_the_most_frequent_class(frequent: float, read: bool) -> None:
    before, after = (scored(low, most_frequent_class=frequent) for low in (0.7, 0.46))
    (row,) = rows_of(before, after)
    assert row.still_read is read
    assert row.chance == max(0.25, frequent)
    assert ("still read" in verdict([row], "make")) is read
