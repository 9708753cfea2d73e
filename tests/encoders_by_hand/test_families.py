"""Every family of encoders against the library called by hand, on tiny random checkpoints.

``.ci/run families`` runs them.

For each family a tiny checkpoint with random weights is written as the library writes it, loaded by its folder as a
user would, and its embedding of three photos compared with the library's own classes: the error is the largest
difference over the largest departure of a photo from the mean of the three, and must be below 1e-5: in float32, or in
float64 of the same pixels where float32 rounds more. Where the family has a task head, the head on our embedding must
give the model's own logits. Families that cannot be scored must be refused in one sentence. Names of timm are made of
their own architecture, with fewer and narrower layers where they take that, and their own preprocessing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.encoders_by_hand.families import CASES, TIMM
from tests.encoders_by_hand.trial import try_case, try_timm

pytestmark = [
    pytest.mark.by_hand,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of the libraries about their own old architectures
]


@pytest.mark.parametrize("name", CASES)
def test_family__equals_the_library_by_hand_or_is_refused(name: str, tmp_path: Path) -> None:
    row = try_case(name, CASES[name], tmp_path)
    assert row.verdict == ("refused" if CASES[name].by_hand is None else "right"), row.line()


@pytest.mark.parametrize("name", TIMM)
def test_timm__equals_timms_own_transform_and_head(name: str, tmp_path: Path) -> None:
    row = try_timm(name, tmp_path)
    assert row.verdict == "right", row.line()
