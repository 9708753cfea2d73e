"""How the file of a photo was compressed, in words that results count."""

import numpy as np
import pytest

from benchmark.views import describe_source
from tests.support.images import image_bytes

PHOTO = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
TABLES = {0: [3 + i % 7 for i in range(64)], 1: [5 + i % 11 for i in range(64)]}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (image_bytes(PHOTO, "JPEG", quality=75, subsampling="4:2:0"), "q75 4:2:0"),
        (image_bytes(PHOTO, "JPEG", quality=95, subsampling="4:4:4"), "q95 4:4:4"),
        (image_bytes(PHOTO, "JPEG", qtables=TABLES, subsampling="4:2:2"), "custom 4:2:2"),
        (image_bytes(PHOTO[..., 0], "JPEG", quality=80), "q80 grey"),
        (image_bytes(PHOTO, "PNG"), "not JPEG"),
        (b"", "not JPEG"),
    ],
)
def test_describe_source__quality_and_subsampling(data, words):
    assert describe_source(data) == words
