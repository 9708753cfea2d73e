"""Verdicts of gates without an encoder's time: edges of the ratio, views of a gate, what is cached, what is said."""

import numpy as np
import pytest

from benchmark.bank.gates import embedded_by_both
from benchmark.options import RunOptions
from benchmark.views import PlainViews
from builders.errors import DataError
from builders.photos import PhotoSet
from tests.support.images import image_bytes
from tests.support.scoring import as_rows, toy_encoder


def grey(image):
    return np.asarray(image)[:1, :1]


def test_embedded_by_both__photos_that_fail_are_left_out():
    files = {f"{i}": b"broken" if i == 1 else image_bytes(np.full((4, 4, 3), 10 * i, np.uint8)) for i in range(4)}
    photos = PhotoSet.of_bytes("toy", files)
    exact, lower = (toy_encoder(lambda batch, k=k: as_rows(batch) * k, grey, 3) for k in (1, 2))
    reference, rounded = embedded_by_both(exact, lower, photos, PlainViews(), RunOptions(batch_size=2), workers=0)
    assert reference.tolist() == [[[0] * 3, [20] * 3, [30] * 3]]
    assert rounded.tolist() == [[[0] * 3, [40] * 3, [60] * 3]]
    with pytest.raises(DataError, match="sampled"):
        embedded_by_both(exact, lower, PhotoSet.of_bytes("bad", {"a": b""}), PlainViews(), RunOptions(), workers=0)
