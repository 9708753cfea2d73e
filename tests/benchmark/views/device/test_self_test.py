"""The self-test of a device: its pictures by a plain loop, what it compares, and what it takes for a failure."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.views import stream
from benchmark.views.device import views as module
from benchmark.views.device.views import SIZES, equals_pillow, makes
from builders.pixels import BUILT_IN_PROCESSINGS, Rectangle, ResizeCrop, process_by_pillow


def plain_picture(width, height, seed):
    noise = hashlib.shake_256(seed.encode()).digest(width * height * 3)
    picture = np.zeros((height, width, 3), np.uint8)
    for y in range(height):
        for x in range(width):
            at = 3 * (y * width + x)
            ramp = (x * 255 // width, y * 255 // height, x * y % 256)
            picture[y, x] = list(noise[at : at + 3]) if (x + y) % 7 < 3 else ramp
    return picture


@pytest.mark.parametrize("size", SIZES)
def test_picture__noise_next_to_ramps(size):
    np.testing.assert_array_equal(module._picture(*size, "one"), plain_picture(*size, "one"))


def test_plan__shrinks_and_cuts():
    before, after = Rectangle(0, 0, 23, 71), Rectangle(1, 0, 19, 16)
    assert module._plan(23, 71) == ResizeCrop((23, 71), before, (20, 16), int(Image.Resampling.BICUBIC), after)


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
