"""Paths that are taken seldom, each by a direct call."""

import pytest

from builders.simcams.stages.optics import bayer_sites


def test_bayer__sites_of_each_pattern_and_no_other():
    assert bayer_sites("RGGB") == ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2))
    assert bayer_sites("BGGR") == ((0, 0, 2), (0, 1, 1), (1, 0, 1), (1, 1, 0))
    with pytest.raises(ValueError, match=r"^no Bayer pattern 'RGB'$"):
        bayer_sites("RGB")
