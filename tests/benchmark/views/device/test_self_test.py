"""The self-test of a device: its pictures by a plain loop, what it compares, and what it takes for a failure."""

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.views import stream
from benchmark.views.device import views as module
from benchmark.views.device.views import SIZES, equals_pillow, makes
from builders.pixels import BUILT_IN_PROCESSINGS, process_by_pillow


@pytest.fixture
def by_pillow(monkeypatch):
    """A device that makes views by Pillow, and changes one number of one of them; notes what it was given."""
    names = tuple(name for name, processing in BUILT_IN_PROCESSINGS.items() if makes(processing))
    calls = []

    def of(changed=None, error=None):
        calls.clear()
        equals_pillow.cache_clear()

        def make(photos, ids, given, plans):
            calls.append((tuple(photos.shape), ids, given, plans))
            if error is not None:
                raise error
            pictures = [
                [process_by_pillow(Image.fromarray(photo), BUILT_IN_PROCESSINGS[name], photo_id) for name in given]
                for photo, photo_id in zip(photos.numpy(), ids, strict=True)
            ]
            made = np.array([[plans[0](*view.size)(view) for view in of_photo] for of_photo in pictures])
            if changed is not None and len(calls) == changed[0] + 1:
                made[changed[1:]] ^= 1
            return [torch.from_numpy(made)]

        monkeypatch.setattr(module, "torch_views", make)
        try:
            return equals_pillow(torch.device("cpu"))
        finally:
            equals_pillow.cache_clear()

    of.calls, of.names = calls, names
    return of


def test_equals_pillow__every_processing_of_every_picture(by_pillow):
    assert by_pillow() is True
    plans = [module._plan]
    shapes = [(2, height, width, 3) for width, height in SIZES]
    assert by_pillow.calls == [(shape, ("one", "two"), by_pillow.names, plans) for shape in shapes]
    for size, photo, view in ((0, 0, 0), (2, 1, len(by_pillow.names) - 1), (1, 1, 3)):
        assert by_pillow((size, photo, view, 15, 17, 2)) is False
        assert len(by_pillow.calls) == size + 1


@pytest.mark.parametrize("error", [RuntimeError("no float64"), TypeError("no float64")])
def test_equals_pillow__a_device_without_an_operation(by_pillow, error):
    assert by_pillow(error=error) is False
    with pytest.raises(ValueError, match="odd"):
        by_pillow(error=ValueError("odd"))


def test_try__memory_that_ran_out_is_given_back(monkeypatch):
    """The next try has smaller batches; any other error is raised."""
    freed, errors = [], [RuntimeError("DefaultCPUAllocator: can't allocate memory"), ValueError("odd")]

    def batch(photos):
        if errors:
            raise errors.pop(0)
        return "views", None

    maker = stream._DeviceMaker(["a"], None, [], torch.device("cpu"), [], 100)
    monkeypatch.setattr(maker, "_batch", batch)
    monkeypatch.setattr(stream, "free_cached", lambda: freed.append(len(errors)))
    assert (maker._try([]), freed) == (None, [1])
    with pytest.raises(ValueError, match="odd"):
        maker._try([])
    assert (maker._try([]), freed) == (("views", None), [1])
