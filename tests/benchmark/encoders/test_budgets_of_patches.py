"""Processors that keep the aspect ratio of photos: their kind, the patches of a view, and what is recorded."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import transformers
from PIL import Image

from benchmark.encoders.loaders.hub import Checkpoint
from benchmark.encoders.loaders.transformers import inputs
from benchmark.encoders.loaders.transformers.inputs import (
    ONE_PICTURE,
    Canvas,
    JoinedPatches,
    PaddedPatches,
    image_inputs,
)
from builders.errors import EncoderError


class Processor:
    """An image processor by hand: ``grid`` gives (rows, columns) of patches of a photo."""

    backend = "pil"
    patch_size: Any = 8

    def __init__(self, **settings: Any) -> None:
        vars(self).update(settings)

    def preprocess(self) -> None: ...


class NaFlex(Processor):
    """At most ``max_num_patches`` patches, as many columns as rows."""

    def __call__(self, images: Image.Image, return_tensors: str) -> Any:
        side = math.isqrt(self.max_num_patches)
        return {"pixel_values": np.ones((1, side * side, 5)), "spatial_shapes": np.array([[side, side]])}


class Grid(Processor):
    """As Qwen-VL: so many pixels at most, and at least; ``frames`` patches are counted as one."""

    frames = 1

    def __call__(self, images: Image.Image, return_tensors: str) -> Any:
        width, height = images.size
        most, least = self.size["longest_edge"] / self.frames, self.size["shortest_edge"]
        scale = 1.0
        if width * height > most:
            scale = math.sqrt(most / (width * height))
        if width * height < least:
            scale = math.sqrt(least / (width * height))
        rows, columns = (max(1, math.floor(side * scale / 8)) for side in (height, width))
        return {"pixel_values": np.ones((rows * columns, 5)), "image_grid_thw": np.array([[1, rows, columns]])}


class Resized(Processor):
    """As Idefics2: the longer side becomes ``longest_edge``."""

    masked = True

    def __call__(self, images: Image.Image, return_tensors: str) -> Any:
        scale = self.size["longest_edge"] / max(images.size)
        width, height = (max(1, int(side * scale)) for side in images.size)
        name = "pixel_attention_mask" if self.masked else "image_sizes"
        return {"pixel_values": np.ones((1, 3, height, width)), name: np.ones((1, 2))}


def made(
    processor: Any, monkeypatch: pytest.MonkeyPatch, folder: Path, patches: int | None = None, config: Any = None
) -> Any:
    monkeypatch.setattr(inputs, "_processor", lambda checkpoint, trusted: processor)
    return image_inputs(Checkpoint("mine", folder, None), config or SimpleNamespace(), patches, False)


@pytest.mark.parametrize(
    ("most", "patches", "budget"),
    [(256, None, 256), (1024, None, 1024), (4096, None, 1024), (256, 9, 9), (4096, 2048, 2048)],
)
def test_naflex__the_budget_of_the_checkpoint_up_to_1024_or_the_one_requested(
    most: int, patches: int | None, budget: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    processor = NaFlex(max_num_patches=most)
    result = made(processor, monkeypatch, tmp_path, patches)
    assert processor.max_num_patches == budget
    side = 8 * math.isqrt(budget)
    assert result.preprocessing.record == {
        "size": [side, side], "patches": budget, "patch": 8, "aspect_ratio": "kept", "backend": "pil",
        "transport": "float32", "processor": "NaFlex",
    }  # fmt: skip
    packed = result.preprocessing.preprocess
    assert packed == PaddedPatches(processor, budget, 8)
    assert result.arguments == packed.arguments
    assert result.preprocessing.normalise is None
    assert packed(Image.new("RGB", (9, 7))).shape == (budget + 1, 5)


@pytest.mark.parametrize("frames", [1, 2, 4])
@pytest.mark.parametrize("patches", [None, 16, 100])
def test_grid__no_picture_has_more_patches_than_the_budget(
    frames: int, patches: int | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    size = {"longest_edge": 256 * 64 * frames, "shortest_edge": 64}
    processor = Grid(size=dict(size), frames=frames)
    result = made(processor, monkeypatch, tmp_path, patches)
    packed = result.preprocessing.preprocess
    budget = patches or 256
    assert isinstance(packed, JoinedPatches)
    assert (packed.budget, packed.patch, packed.form, packed.others) == (budget, 8, (), ())
    expected = size if patches is None else {"longest_edge": patches * 64 * frames, "shortest_edge": 64}
    assert processor.size == expected
    assert result.preprocessing.record["patches"] == budget
    assert inputs._pixels_of_patch(processor, 8) == 64 * frames
    counts = [
        int(processor(images=Image.new("RGB", shape), return_tensors="np")["image_grid_thw"].prod())
        for shape in ((2000, 2000), (2000, 500), (90, 60), (8, 8))
    ]
    assert max(counts) <= budget


def test_grid__patches_of_a_form_and_what_is_the_same_for_every_photo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Formed(Grid):
        def __call__(self, images: Image.Image, return_tensors: str) -> Any:
            output = super().__call__(images, return_tensors)
            count = len(output["pixel_values"])
            return {**output, "pixel_values": np.ones((count, 3, 2, 2)), "image_merge_sizes": np.array([2])}

    processor = Formed(size={"longest_edge": 64 * 64, "shortest_edge": 64})
    packed = made(processor, monkeypatch, tmp_path).preprocessing.preprocess
    assert packed.form == (3, 2, 2)
    [(name, value)] = packed.others
    assert (name, value.tolist()) == ("image_merge_sizes", [2])


@pytest.mark.parametrize(
    ("longest", "shortest", "patches", "side"),
    [(64, None, None, 64), (64, 32, None, 64), (64, 32, 9, 24), (64, 16, 9, 24), (512, None, None, 256),
     (68, None, None, 64), (7, None, None, 256)],  # a side of less than one patch is no budget
)  # fmt: skip
@pytest.mark.parametrize("masked", [True, False])
def test_canvas__the_side_of_its_square(
    longest: int, shortest: Any, patches: Any, side: int, masked: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    size = {"longest_edge": longest, **({"shortest_edge": shortest} if shortest else {})}
    processor = Resized(size=size, masked=masked)
    result = made(processor, monkeypatch, tmp_path, patches)
    assert result.preprocessing.preprocess == Canvas(processor, side, masked)
    assert processor.size == {**({"shortest_edge": min(shortest, side)} if shortest else {}), "longest_edge": side}
    record = result.preprocessing.record
    assert (record["size"], record["patches"]) == ([side, side], (side // 8) ** 2)
    assert result.preprocessing.preprocess(Image.new("RGB", (9, 7))).shape == (3, side + 1, side)


def test_inputs__a_preprocessing_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Growing(NaFlex):
        def __call__(self, images: Image.Image, return_tensors: str) -> Any:
            many = 10 if images.width == 131 or images.width == 60 else 4
            return {"pixel_values": np.ones((1, many, 5)), "spatial_shapes": np.array([[2, 2]])}

    with pytest.raises(EncoderError) as refused:
        made(Growing(max_num_patches=9, size={"height": 96, "width": 64}), monkeypatch, tmp_path)
    assert str(refused.value) == (
        "mine: its preprocessing fails (EncoderError: 10 patches, where 9 were requested); ?size=64 behind its name "
        "makes every photo a square of 64 pixels"
    )


def test_one_picture__settings_that_changed_are_recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert ONE_PICTURE == {
        "do_image_splitting": False, "do_split_image": False, "crop_to_patches": False, "do_pan_and_scan": False,
        "keep_aspect_ratio": False, "split_image": False, "slice_mode": False, "vision_input_type": "vanilla",
    }  # fmt: skip
    settings = {"slice_mode": True, "split_image": False, "vision_input_type": "old", "crop_to_patches": None}
    processor = NaFlex(max_num_patches=9, **settings)
    record = made(processor, monkeypatch, tmp_path).preprocessing.record
    assert record["told"] == {"slice_mode": False, "vision_input_type": "vanilla"}
    assert (processor.slice_mode, processor.vision_input_type, processor.crop_to_patches) == (False, "vanilla", None)


def test_processor__by_pil_or_as_the_library_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "preprocessor_config.json").write_text("{}")
    calls: list[Any] = []
    fails: dict[str, Any] = {"error": None}

    def read(folder: Path, **options: Any) -> str:
        calls.append((folder, options))
        if fails["error"] is not None and "backend" in options:
            raise fails["error"]
        return "processor"

    monkeypatch.setattr(transformers.AutoImageProcessor, "from_pretrained", read)
    checkpoint = Checkpoint("mine", tmp_path, None)
    for trusted in (True, False):
        assert inputs._processor(checkpoint, trusted) == "processor"
        assert calls == [(tmp_path, {"backend": "pil", "trust_remote_code": trusted})]
        calls.clear()
    for kind in (ValueError, ImportError, AttributeError, KeyError):
        fails["error"] = kind("x")
        assert inputs._processor(checkpoint, True) == "processor"
        assert calls[1:] == [(tmp_path, {"trust_remote_code": True})]
        calls.clear()
    fails["error"] = OSError("x")
    with pytest.raises(OSError, match="x"):
        inputs._processor(checkpoint, True)
