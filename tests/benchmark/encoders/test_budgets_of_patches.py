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
    JoinedPatches,
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


def made(
    processor: Any, monkeypatch: pytest.MonkeyPatch, folder: Path, patches: int | None = None, config: Any = None
) -> Any:
    monkeypatch.setattr(inputs, "_processor", lambda checkpoint, trusted: processor)
    return image_inputs(Checkpoint("mine", folder, None), config or SimpleNamespace(), patches, False)


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
