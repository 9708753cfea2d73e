"""Options of the command of simulated cameras: each arrives, and wrong ones are refused by their words."""

from __future__ import annotations

import re

import pytest

from builders.errors import UsageError
from builders.simcams import (
    bundled_catalogue,
    simcams_photos,
    simpairs_photos,
)


def test_photo_sets__wrong_input() -> None:
    cameras = bundled_catalogue()
    for kind in ("phone", "compact"):
        with pytest.raises(UsageError):
            simpairs_photos(3, 32, cameras=tuple(c for c in cameras if c.kind != kind))
    with pytest.raises(UsageError):
        simpairs_photos(0, 32)
    for size in (30, 33):
        for make in (simcams_photos, simpairs_photos):
            with pytest.raises(UsageError, match=re.escape(str(size))):
                make(3, size)
    assert len(simpairs_photos(1, 32)) == 2
