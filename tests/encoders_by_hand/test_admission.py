"""A checkpoint without a part of its vision tower is refused, for every family with a tower below another module."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.encoders_by_hand.broken import BREAKS, composite_cases, outcomes

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries about their own old architectures

QUICK = ("llava", "clip", "siglip", "sam")
BY_HAND = [pytest.mark.by_hand, pytest.mark.slow]
COMPOSITE = composite_cases()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else BY_HAND, id=name) for name in COMPOSITE]
)
def test_broken_tower__is_refused(name: str, tmp_path: Path) -> None:
    found = outcomes(COMPOSITE[name], tmp_path)
    assert found.keys() == BREAKS.keys()
    unread = ("refused", "unread")  # no embedding of a photo reads what is gone
    allowed = {"one tensor deleted": unread, "one layer deleted": unread}
    assert {key: value for key, value in found.items() if value not in allowed.get(key, ("refused",))} == {}
