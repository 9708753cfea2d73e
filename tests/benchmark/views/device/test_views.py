"""All processings with preprocessing, in batches, compared with Pillow photo by photo."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmark.encoders import Pixels
from benchmark.encoders.preprocess.pixels import CenterCrop, CenterSquare, ResizeShort, ResizeTo
from benchmark.views import ORIGINAL, possible, torch_views
from builders.pixels import PROCESSINGS, STUDY_PROCESSINGS, process_by_pillow

BICUBIC, BILINEAR, BOX, LANCZOS = (int(Image.Resampling[n]) for n in ("BICUBIC", "BILINEAR", "BOX", "LANCZOS"))
NAMES = STUDY_PROCESSINGS  # those that a device makes
PIXELS = (
    Pixels((ResizeShort(24, BICUBIC), CenterCrop(24, 24, "round"))),
    Pixels((ResizeTo(20, 31, BILINEAR),)),
    Pixels((CenterSquare(0.875), ResizeTo(16, 16, BOX))),
    Pixels((ResizeShort(9, LANCZOS), CenterCrop(20, 13))),
    Pixels((CenterCrop(30, 30),)),
)
PLANS = [pixels.plan for pixels in PIXELS]
SIZES = [(2, 2), (3, 5), (4, 33), (5, 2), (16, 16), (17, 40), (39, 23), (120, 31), (31, 150), (75, 64)]


@pytest.mark.parametrize("size", SIZES[::3], ids=str)
def test_torch_views__equal_pillow(size, pictures):
    photos = pictures(*size)
    ids = [f"photo {i}" for i in range(len(photos))]
    assert all(possible(*size, photo_id, NAMES, PLANS, 3) for photo_id in ids)
    names = (*NAMES[:5], ORIGINAL, *NAMES[5:])
    made = torch_views(torch.from_numpy(photos), ids, names, PLANS, seed=3)
    for i, (photo, photo_id) in enumerate(zip(photos, ids, strict=True)):
        for v, name in enumerate(names):
            image = Image.fromarray(photo)
            if name != ORIGINAL:
                image = process_by_pillow(image, PROCESSINGS[name], photo_id, 3)
            for plan, pixels in enumerate(PIXELS):
                np.testing.assert_array_equal(made[plan][i, v], pixels(image), f"{name}, {pixels}")


def test_torch_views__a_batch_equals_its_photos_one_by_one(pictures):
    photos = torch.from_numpy(np.concatenate([pictures(61, 45, seed) for seed in range(3)]))
    ids = [str(i) for i in range(len(photos))]
    batch = torch_views(photos, ids, NAMES, PLANS[:2])
    split = torch_views(photos, ids, NAMES, PLANS[:2], photos_at_once=5)
    singles = [torch_views(photos[i : i + 1], ids[i : i + 1], NAMES, PLANS[:2]) for i in range(len(photos))]
    for plan in range(2):
        assert batch[plan].shape == (12, 14, *((24, 24), (31, 20))[plan], 3)
        assert torch.equal(batch[plan], split[plan])
        assert torch.equal(batch[plan], torch.cat([made[plan] for made in singles]))


MIXED = [
    (61, 45),
    (2, 9),
    (60, 46),
    (16, 16),
    (5, 48),
    (4, 3),
    (33, 17),
    (3, 40),
    (64, 48),
    (15, 31),
    (61, 45),
    (17, 2),
]


@pytest.mark.slow
@pytest.mark.parametrize("photos_at_once", [None, 5])
def test_torch_views__photos_of_many_sizes_equal_single_photos(pictures, photos_at_once):
    photos = [torch.from_numpy(pictures(*size, seed)[seed % 3]) for seed, size in enumerate(MIXED)]
    canvas = torch.full((len(MIXED), 50, 66, 3), 201, dtype=torch.uint8)  # pixels beyond a photo must not matter
    for place, photo in zip(canvas, photos, strict=True):
        place[: photo.shape[0], : photo.shape[1]] = photo
    ids = [f"{i}" for i in range(len(MIXED))]
    made = torch_views(canvas, ids, NAMES, PLANS, sizes=MIXED, photos_at_once=photos_at_once)
    for i, photo in enumerate(photos):
        single = torch_views(photo[None], ids[i : i + 1], NAMES, PLANS)
        for in_batch, expected in zip(made, single, strict=True):
            for v, name in enumerate(NAMES):
                assert torch.equal(in_batch[i, v], expected[0, v]), f"{MIXED[i]}, {name}"


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of two devices, as a GPU would, except for copies between them."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        places = {x.device.type for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor) and x.ndim}
        assert len(places) < 2 or func.overloadpacket.__name__ in ("_to_copy", "copy_"), func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("sizes", [[(50, 40)] * 3, [(50, 40), (3, 9), (32, 40)]], ids=["one size", "many sizes"])
def test_torch_views__use_only_the_device_of_the_photos(sizes):
    """On the device ``meta``, which has only shapes: a test for machines without a GPU."""
    photos = torch.empty((3, 40, 50, 3), dtype=torch.uint8, device="meta")
    with OneDevice():
        made = torch_views(photos, list("abc"), NAMES, PLANS[:2], sizes=sizes)
    assert [(views.device.type, tuple(views.shape)) for views in made] == [
        ("meta", (3, 14, 24, 24, 3)),
        ("meta", (3, 14, 31, 20, 3)),
    ]


def test_torch_views__names_in_any_order(pictures):
    photos = torch.from_numpy(pictures(20, 30))
    names = ("interpolation-box", "jpeg-q75-420", "sharpening-x4", "jpeg-q75-444")
    made = torch_views(photos, list("abcd"), names, PLANS[:1])[0]
    for v, name in enumerate(names):
        assert torch.equal(made[:, v], torch_views(photos, list("abcd"), [name], PLANS[:1])[0][:, 0])


def test_possible__checks_the_size_of_the_unprocessed_photo_too():
    """A plan that accepts every processed size but not that of the photo."""

    def plan(width, height):
        return None if (width, height) == (20, 30) else PIXELS[0].plan(width, height)

    assert possible(20, 30, "a", ["resizing-x2"], [plan])
    assert not possible(20, 30, "a", ["resizing-x2", ORIGINAL], [plan])


def test_possible__is_false_where_pillow_must_do_the_work_or_raise():
    assert not possible(40_000, 3, "id", ["resizing-x2"], PLANS[:1])  # no JPEG file has such a side
    assert possible(40_000, 3, "id", ["resizing-x0.5"], PLANS[:1])
    assert not possible(9, 1, "id", ["resizing-x0.5"], PLANS[:1])  # no pixel is left
    twice = Pixels((ResizeTo(9, 9, BICUBIC), ResizeTo(5, 5, BICUBIC)))
    assert not possible(30, 30, "id", ["jpeg-q75-420"], [twice.plan])
    assert not possible(30, 30, "id", ["jpeg-q75-420"], [Pixels((ResizeTo(9, 9, int(Image.Resampling.HAMMING)),)).plan])


def test_possible__a_size_that_the_preprocessing_refuses():
    assert not possible(30, 30, "id", ["jpeg-q75-420"], [Pixels((ResizeTo(0, 5, BICUBIC),)).plan])


def test_possible__up_to_the_longest_side_of_a_jpeg_file():
    """65,500 pixels: libjpeg's ``JPEG_MAX_DIMENSION``."""
    assert possible(65_500, 3, "id", ["jpeg-q75-420"], PLANS[:1])
    assert not possible(65_501, 3, "id", ["jpeg-q75-420"], PLANS[:1])
    assert not possible(3, 65_501, "id", ["jpeg-q75-420"], PLANS[:1])
