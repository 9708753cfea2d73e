"""CenterMask: pixel counts by hand, equal on every kind of picture, and in the tools that call it."""

from __future__ import annotations

import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from builders.errors import UsageError
from builders.pixels import CenterMask


def white(height: int, width: int) -> Image.Image:
    return Image.new("RGB", (width, height), (255, 255, 255))


@pytest.mark.parametrize(
    ("height", "width", "ratio", "frame_y", "frame_x"),
    [
        (224, 224, 0.9, 6, 6),  # 224 * (1 - 0.94868) / 2 = 5.75
        (256, 256, 0.9, 7, 7),  # 6.57
        (336, 336, 0.9, 9, 9),  # 8.62
        (224, 224, 0.95, 3, 3),  # 2.84
        (224, 224, 0.25, 56, 56),  # half of each side
        (225, 225, 0.9, 6, 6),  # odd: 5.77
        (3, 3, 0.9, 0, 0),  # 0.08
        (5, 7, 0.25, 1, 2),  # 1.25, 1.75
        (480, 640, 0.9, 12, 16),  # 12.3, 16.4
        (224, 224, 1.0, 0, 0),
    ],
)
def test_center_mask__pixel_counts(height, width, ratio, frame_y, frame_x):
    hidden = (height - 2 * frame_y) * (width - 2 * frame_x)
    pixels = np.asarray(CenterMask(ratio)(white(height, width)))
    assert int((pixels == 0).all(axis=-1).sum()) == hidden
    assert int((pixels == 255).all(axis=-1).sum()) == height * width - hidden
    expected = np.full((height, width), 255)
    expected[frame_y : height - frame_y, frame_x : width - frame_x] = 0
    assert (pixels == expected[..., None]).all()
    assert CenterMask(ratio).visible_share(height, width) == pytest.approx(1 - hidden / (height * width), abs=1e-15)
    other = np.asarray(CenterMask(ratio, complement=True)(white(height, width)))
    assert (other == 255 - pixels).all()  # what one hides the other shows


def test_visible_share__of_the_study():
    assert round(CenterMask().visible_share(224, 224), 3) == 0.104


@given(st.integers(1, 400), st.integers(1, 400), st.floats(0, 1))
def test_center_mask__laws(height, width, ratio):
    mask, other = CenterMask(ratio), CenterMask(ratio, complement=True)
    top, left, bottom, right = mask.box(height, width)
    assert bottom == top or right == left or (top, left) == (height - bottom, width - right)  # centred
    assert mask.visible_share(height, width) + other.visible_share(height, width) == pytest.approx(1)
    wanted = ratio**0.5 * height
    assert abs((bottom - top) - wanted) <= 1.0001  # each side of the frame is rounded by half a pixel at most


def test_ratio_zero_is_the_identity():
    photo, pixels = white(5, 5), np.ones((3, 5, 5))
    assert CenterMask(0)(photo) is photo
    assert CenterMask(0)(pixels) is pixels
    assert (np.asarray(CenterMask(0, complement=True)(photo)) == 0).all()
    assert CenterMask(0).visible_share(223, 224) == 1


@pytest.mark.parametrize("complement", [False, True])
def test_center_mask__every_kind_of_picture_alike(complement):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    last = rng.integers(1, 256, (23, 31, 3), dtype=np.uint8)
    first = np.moveaxis(last, -1, 0)
    mask = CenterMask(0.6, complement=complement)
    expected = np.asarray(mask(Image.fromarray(last)))
    assert 0 < (expected == 0).mean() < 1
    before = last.copy()
    assert (mask(last) == expected).all()
    assert (mask(first) == np.moveaxis(expected, -1, 0)).all()
    assert (mask(last[..., 0]) == expected[..., 0]).all()
    tensor = torch.from_numpy(first.copy())
    assert (mask(tensor).numpy() == np.moveaxis(expected, -1, 0)).all()
    batch = torch.stack([tensor, tensor]).float() / 255
    assert (mask(batch)[1].numpy() == np.moveaxis(expected, -1, 0).astype(np.float32) / 255).all()
    assert mask(batch).dtype == batch.dtype
    assert (last == before).all()  # inputs are left alone
    assert (tensor.numpy() == first).all()


@pytest.mark.parametrize(("mode", "covered"), [("L", 7), ("RGB", (7, 7, 7)), ("RGBA", (7, 7, 7, 255))])
def test_center_mask__fill_and_modes(mode, covered):
    masked = CenterMask(0.5, fill=7)(Image.new(mode, (20, 20), "white"))
    assert masked.getpixel((10, 10)) == covered
    assert masked.getpixel((0, 0)) == Image.new(mode, (1, 1), "white").getpixel((0, 0))
    assert masked.mode == mode


@pytest.mark.parametrize("complement", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_center_mask__fill_of_pictures_and_arrays(mode, complement):
    """What is covered has the value in every channel; an opaque picture stays opaque, an array has no such channel."""
    torch = pytest.importorskip("torch")
    picture = Image.new(mode, (13, 10), "white")
    covered = np.zeros((10, 13), bool)
    covered[2:8, 2:11] = True  # 10 x (1 - sqrt(0.4)) / 2 = 1.84, 2.39
    covered ^= complement
    mask = CenterMask(0.4, fill=7, complement=complement)
    channels = np.atleast_3d(np.asarray(picture))
    expected = np.where(covered[..., None], 7, channels).astype(np.uint8)
    np.testing.assert_array_equal(mask(np.moveaxis(channels, -1, 0)), np.moveaxis(expected, -1, 0))
    np.testing.assert_array_equal(mask(channels), expected)
    np.testing.assert_array_equal(mask(np.stack([channels] * 2))[1], expected)
    tensor = torch.from_numpy(np.moveaxis(channels, -1, 0).copy())
    np.testing.assert_array_equal(mask(tensor).numpy(), np.moveaxis(expected, -1, 0))
    if mode == "RGBA":
        expected[..., 3] = 255
    np.testing.assert_array_equal(np.atleast_3d(np.asarray(mask(picture))), expected)
    assert (channels == 255).all()


def test_center_mask__in_a_v2_pipeline():
    v2 = pytest.importorskip("torchvision.transforms.v2")
    import torch

    pipeline = v2.Compose(
        [v2.Resize(64), v2.CenterCrop(64), CenterMask(), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    )
    image = pipeline(white(100, 80))
    assert int((image[0] > 0).sum()) == 64 * 64 - 60 * 60
    image, label = pipeline(white(100, 80), 3)
    assert label == 3
    assert int((image[0] > 0).sum()) == 64 * 64 - 60 * 60


def test_center_mask__as_with_transform():
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict(
        {"image": [white(40, 40)] * 3, "label": [0, 1, 1]},
        features=datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")}),
    ).with_transform(CenterMask(0.5))
    row = data[1]
    assert row["label"] == 1
    assert row["image"].getpixel((20, 20)) == (0, 0, 0)
    assert [image.getpixel((0, 0)) for image in data[:]["image"]] == [(255, 255, 255)] * 3


def test_center_mask__travels_to_workers():
    assert pickle.loads(pickle.dumps(CenterMask(0.4, 9))) == CenterMask(0.4, 9)


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan")])
def test_center_mask__ratio_is_a_share(ratio):
    with pytest.raises(UsageError, match="give a number from 0"):
        CenterMask(ratio)


class Sample(NamedTuple):
    image: Any
    boxes: Any


def test_center_mask__of_a_sample_masks_pictures_alone():
    """Boxes [5, 4], masks of segments [N, H, W] and labels stay, whatever stands beside them."""
    import torch
    from torchvision import tv_tensors

    mask, white = CenterMask(0.5), Image.new("RGB", (8, 8), (255, 255, 255))
    boxes, segments = np.ones((5, 4)), np.ones((3, 8, 8))
    masked = mask({"image": white, "boxes": boxes, "masks": segments, "label": 3})
    assert masked["image"].getpixel((4, 4)) == (0, 0, 0)
    assert masked["boxes"] is boxes
    assert masked["masks"] is segments
    assert masked["label"] == 3
    pixels = np.ones((3, 8, 8), np.float32)
    masked = mask(Sample(pixels, boxes))
    assert isinstance(masked, Sample)
    assert masked.image.sum() == 3 * (64 - 36)
    assert masked.boxes is boxes
    of_torchvision = {
        "image": tv_tensors.Image(torch.ones(3, 8, 8)),
        "mask": tv_tensors.Mask(torch.ones(1, 8, 8)),
        "boxes": tv_tensors.BoundingBoxes(torch.ones(5, 4), format="XYXY", canvas_size=(8, 8)),
        "features": torch.ones(4, 8, 8),
    }
    masked = mask(of_torchvision)
    assert float(masked["image"].sum()) == 3 * (64 - 36)
    assert all(masked[name] is of_torchvision[name] for name in ("mask", "boxes", "features"))
    assert mask(of_torchvision["mask"]) is of_torchvision["mask"]
    video = {"frames": tv_tensors.Video(torch.ones(2, 3, 8, 8)), "features": torch.ones(4, 8, 8)}
    masked = mask(video)
    assert float(masked["frames"].sum()) == 2 * 3 * (64 - 36)
    assert masked["features"] is video["features"]
    assert float(mask(video["frames"]).sum()) == 2 * 3 * (64 - 36)
    batch = mask([np.ones((2, 8, 8, 3)), boxes])
    assert batch[0].sum() == 2 * 3 * (64 - 36)
    assert batch[1] is boxes
    assert mask(np.ones((8, 8))).sum() == 64 - 36  # an array by itself is a picture
