"""Views of several photos as one batch: which photos are in it, what the copy waits for."""

from types import SimpleNamespace

import torch

from benchmark.bank.fill.batches import gather
from benchmark.bank.fill.device_copy import DeviceCopy
from benchmark.views import PhotoViews


def photo(index, *arrays, ready=None):
    return PhotoViews(index, arrays, "", "", 0.0, ready=ready)


def test_gather__photos_with_views_in_their_order():
    empty, rows = torch.empty(0), torch.arange(24.0).reshape(6, 4)
    photos = [photo(7, rows[:2], empty), photo(3, empty, rows[2:3]), photo(5, rows[3:5], rows[5:])]
    batch = gather(photos, 0, DeviceCopy("cpu"))
    assert batch.indices == (7, 5)
    assert batch.views().tolist() == rows[[0, 1, 3, 4]].tolist()
    batch = gather(photos, 1, DeviceCopy("cpu"))
    assert batch.indices == (3, 5)
    assert batch.views().tolist() == rows[[2, 5]].tolist()


def test_gather__nothing_where_no_photo_has_views():
    batch = gather([photo(0, torch.empty(0)), photo(1, torch.empty(0))], 0, SimpleNamespace())
    assert batch.indices == ()
    assert batch.views().shape == (0,)
