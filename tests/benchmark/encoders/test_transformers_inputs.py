"""Views of transformers' image processors, by processors whose outputs can be written by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from PIL import Image

from benchmark.encoders.loaders.hub import Checkpoint
from benchmark.encoders.loaders.transformers.inputs import Canvas, JoinedPatches, PaddedPatches, image_inputs
from benchmark.encoders.loaders.transformers.one_size import (
    of_one_size,
    pixels_name,
    processed,
    squares,
    way_out,
)
from builders.errors import EncoderError, PhotoError, UsageError

PHOTO = Image.new("RGB", (30, 20))


class Processor:
    """Returns what a function makes of the size of a photo."""

    def __init__(self, output: Any, **settings: Any) -> None:
        self.output = output
        vars(self).update(settings)

    def __call__(self, images: Image.Image, return_tensors: str) -> Any:
        assert return_tensors == "np"
        return self.output(*images.size)

    def preprocess(self) -> None: ...


def fixed(**output: Any) -> Processor:
    return Processor(lambda width, height: output)


def same(arguments: dict[str, torch.Tensor], expected: dict[str, Any]) -> bool:
    lists = {name: np.asarray(value).tolist() for name, value in expected.items()}
    return {name: value.tolist() for name, value in arguments.items()} == lists


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vit")
    tf.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def inputs(folder: Path, patches: int | None = None, **options: str) -> Any:
    return image_inputs(Checkpoint("mine", folder, None, options), SimpleNamespace(), patches, False)


NOT_STATED = "mine: its preprocessor_config.json has its preprocessing: leave resize, mean, std and interpolation out"


@pytest.mark.parametrize(
    ("options", "patches", "message"),
    [
        ({"size": "336x224"}, None, "size=336"),
        ({"size": "224x336"}, None, "size=224"),
        ({"size": "64"}, 9, "patches"),
        ({}, 9, "pictures"),
        *(({**size, name: value}, None, NOT_STATED) for size in ({}, {"size": "64"}) for name, value in (
            ("resize", "70"), ("mean", "0.5"), ("std", "0.5"), ("interpolation", "bicubic"))),
    ],
)  # fmt: skip
def test_options__of_a_checkpoint_with_a_processor(
    options: Any, patches: int | None, message: str, folder: Path
) -> None:
    with pytest.raises(UsageError) as refused:
        inputs(folder, patches, **options)
    assert message in str(refused.value)


def test_options__of_a_checkpoint_without_a_processor(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match="size=224"):
        inputs(tmp_path, mean="0.5")
    stated = inputs(tmp_path, size="24x48", std="0.5")
    assert (stated.preprocessing.record["size"], stated.preprocessing.record["assumed"]) == ([24, 48], ["mean"])
    assert next(iter(stated.arguments(torch.zeros(1)))) == "pixel_values"
    with pytest.raises(EncoderError) as refused:
        inputs(tmp_path)
    assert "size=224&mean=0.5&std=0.5&interpolation=bicubic" in str(refused.value)
    square = inputs(folder, size="48").preprocessing.record
    assert (square["size"], square["squared"], square["backend"]) == ([48, 48], 48, "pil")
    plain = inputs(folder).preprocessing.record
    assert (plain["size"], plain["processor"]) == ([32, 32], "ViTImageProcessorPil")
    assert not {"told", "squared"} & set(plain)
    (tmp_path / "processor_config.json").write_text((folder / "preprocessor_config.json").read_text())
    with pytest.raises(UsageError, match="leave resize"):
        inputs(tmp_path, mean="0.5")


def test_options__replace_the_processor_of_an_architecture(folder: Path, tmp_path: Path) -> None:
    def replaced(at: Path, **options: str) -> Any:
        return image_inputs(Checkpoint("mine", at, None, options, of_base=True), SimpleNamespace(), None, False)

    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8))
    result = replaced(folder, resize="40", mean="0.1,0.2,0.3", std="0.4", interpolation="lanczos")
    library = tf.ViTImageProcessor(image_mean=[0.1, 0.2, 0.3], image_std=[0.4] * 3, do_resize=False)
    scaled = photo.resize((60, 40), Image.Resampling.LANCZOS)
    expected = library(images=scaled.crop((14, 4, 46, 36)), return_tensors="np")["pixel_values"]
    processing = result.preprocessing
    views = torch.from_numpy(processing.preprocess(photo)[None])
    assert np.abs(processing.normalise(views).numpy() - expected).max() < 1e-5
    assert (processing.record["size"], processing.record["mean"]) == ([32, 32], [0.1, 0.2, 0.3])
    assert replaced(folder).preprocessing.record == inputs(folder).preprocessing.record
    tf.ViTImageProcessor(size={"height": 32, "width": 32}, do_resize=False).save_pretrained(tmp_path)
    with pytest.raises((UsageError, EncoderError)):  # its pictures have every size
        replaced(tmp_path, mean="0.5")


def test_padded_patches__with_their_true_grid() -> None:
    rows = np.arange(15.0).reshape(3, 5)
    one = PaddedPatches(fixed(pixel_values=rows[None], spatial_shapes=[[1, 3]]), 4, 8)(PHOTO)
    assert one.tolist() == [*rows.tolist(), [0] * 5, [0, 1, 0, 3, 0]]
    wide = PaddedPatches(fixed(pixel_values=rows[None], spatial_shapes=[[129, 300]]), 3, 8)(PHOTO)
    assert wide[-1].tolist() == [1, 1, 2, 44, 0]
    two = PaddedPatches(fixed(pixel_values=rows[None, :2], spatial_shapes=[[2, 1]]), 4, 8)
    views = torch.from_numpy(np.stack([one, two(PHOTO)]))
    assert same(two.arguments(views), {
        "pixel_values": views[:, :4], "pixel_attention_mask": [[1, 1, 1, 0], [1, 1, 0, 0]],
        "spatial_shapes": [[1, 3], [2, 1]],
    })  # fmt: skip
    with pytest.raises(EncoderError, match="requested"):
        PaddedPatches(fixed(pixel_values=rows[None], spatial_shapes=[[1, 3]]), 2, 8)(PHOTO)


def test_joined_patches__one_after_the_other_with_their_grids() -> None:
    rows = np.arange(12.0).reshape(3, 4)
    processors = [fixed(pixel_values=rows[:n], image_grid_thw=[[1, n, 1]]) for n in (3, 1)]
    others = (("merge", torch.tensor([2])),)
    views = torch.from_numpy(np.stack([JoinedPatches(p, 4, 8)(PHOTO) for p in processors]))
    joined = np.concatenate([rows, rows[:1]])
    grids = [[1, 3, 1], [1, 1, 1]]
    assert same(JoinedPatches(processors[0], 4, 8, (), others).arguments(views), {
        "pixel_values": joined, "image_grid_thw": grids, "merge": [2, 2],
    })  # fmt: skip
    assert same(JoinedPatches(processors[0], 4, 8, (2, 2)).arguments(views), {
        "pixel_values": joined.reshape(4, 2, 2), "image_grid_thw": grids,
    })  # fmt: skip
    formed = JoinedPatches(fixed(pixel_values=rows.reshape(3, 1, 2, 2), image_grid_thw=[[1, 3, 1]]), 4, 8)(PHOTO)
    assert formed.tolist() == views[0].tolist()


def test_canvas__with_the_true_size_of_its_picture() -> None:
    pixels = np.arange(18.0).reshape(1, 1, 3, 2, 3)
    canvas = Canvas(fixed(pixel_values=pixels), 4, True)
    view = canvas(PHOTO)
    assert view.shape == (3, 5, 4)
    assert view[:, :2, :3].tolist() == pixels[0, 0].tolist()
    assert view[0, -1].tolist() == [0, 2, 0, 3]
    assert view.sum() == pixels.sum() + 5
    views = torch.from_numpy(view)[None]
    mask = [[[[1, 1, 1, 0], [1, 1, 1, 0], [0] * 4, [0] * 4]]]
    assert same(canvas.arguments(views), {"pixel_values": views[:, None, :, :4], "pixel_attention_mask": mask})
    sizes = {"pixel_values": views[:, :, :4], "image_sizes": [[2, 3]]}
    assert same(Canvas(None, 4, False).arguments(views), sizes)
    assert Canvas(fixed(pixel_values=np.zeros((1, 3, 2, 4))), 4, True)(PHOTO).shape == (3, 5, 4)
    with pytest.raises(EncoderError, match="requested"):
        Canvas(fixed(pixel_values=pixels), 2, True)(PHOTO)


def test_way_out__the_least_side_that_is_likely() -> None:
    for size, side in (
        ({"height": 64, "width": 48}, 48), ({"shortest_edge": 31, "longest_edge": 2049}, 448), ({"a": 32}, 32),
        ({"a": 2048}, 2048), ({"a": None, "b": 70, "c": 0}, 70), ({}, 448), (None, 448),
    ):  # fmt: skip
        assert (
            way_out(SimpleNamespace(size=size))
            == f"?size={side} behind its name makes every photo a square of {side} pixels"
        )
    assert "448" in way_out(SimpleNamespace())


def test_processed__errors_of_a_processor() -> None:
    def failing(error: Exception) -> Processor:
        def fail(width: int, height: int) -> Any:
            raise error

        return Processor(fail)

    for error, kind, message in (
        (TypeError("missing 1 argument: 'text'"), UsageError,
         "'text'"),
        (TypeError("bad"), EncoderError, "TypeError"),
        (ValueError("missing"), EncoderError, "ValueError"),
        (PhotoError("as it is"), PhotoError, "as it is"),
    ):  # fmt: skip
        with pytest.raises(kind) as caught:
            processed("mine", failing(error), PHOTO)
        assert message in str(caught.value)
    assert processed("mine", lambda picture: picture.size, PHOTO) == (30, 20)
    assert pixels_name(np.zeros(3)) == "pixel_values"
    assert pixels_name({"a": 1, "flattened_patches": 2}) == "flattened_patches"
    with pytest.raises(EncoderError, match="processor"):
        pixels_name({"a": 1, "b": 2})


def one_size(output: Any, **settings: Any) -> Any:
    processor = Processor(output, do_resize=False, **settings)
    return of_one_size("mine", processor, output(320, 240), "numpy", {"more": 1})


def picture(width: int, height: int, *before: int, channels: int = 3) -> np.ndarray:
    """A picture of 4 x 6 pixels that depends on the photo."""
    return np.full((*before, channels, 4, 6), width / height, np.float32)


@pytest.mark.parametrize(
    ("output", "settings", "shape", "arguments"),
    [
        (lambda w, h: {"pixel_values": picture(w, h, 1)}, {}, (3, 4, 6), {"pixel_values": (2, 3, 4, 6)}),
        (lambda w, h: picture(w, h, 1), {}, (3, 4, 6), {"pixel_values": (2, 3, 4, 6)}),
        (lambda w, h: {"pixel_values": picture(w, h)}, {}, (3, 4, 6), {"pixel_values": (2, 3, 4, 6)}),
        (lambda w, h: {"pixel_values": picture(w, h, 1, 1)}, {}, (3, 4, 6), {"pixel_values": (2, 1, 3, 4, 6)}),
        (lambda w, h: {"pixel_values": picture(w, h, 1, 5), "tiles": np.ones((1, 5))}, {"image_grid_pinpoints": []},
         (3, 4, 6),
         {"pixel_values": (2, 1, 3, 4, 6)}),
        (lambda w, h: {"pixel_values": picture(w, h, 1), "mask": np.ones((1, 7)), "number": np.int64(3)}, {}, (3, 4, 6),
         {"pixel_values": (2, 3, 4, 6), "mask": (2, 7), "number": ()}),
        (lambda w, h: {"pixel_values": picture(w, h, 1), "original_sizes": [[w, h]], "image_grids": [[w, h]],
                       "words": [["a"]], "objects": np.array([None])}, {}, (3, 4, 6), {"pixel_values": (2, 3, 4, 6)}),
        (lambda w, h: {"pixel_values": np.full((1, 9, 5), w)}, {}, (9, 5), {"pixel_values": (2, 9, 5)}),
        (lambda w, h: {"flattened_patches": np.full((9, 5), w), "mask": np.ones((9,), bool)}, {}, (9, 5),
         {"flattened_patches": (18, 5), "mask": (18,)}),
        (lambda w, h: {"pixel_values": picture(w, h, 1), "image_grid_hw": [[4, 6]]}, {}, (3, 4, 6),
         {"pixel_values": (2, 3, 4, 6), "image_grid_hw": (2, 2)}),
        (lambda w, h: {"pixel_values": picture(w, h, 1, channels=2)}, {}, (2, 4, 6), {"pixel_values": (2, 2, 4, 6)}),
    ],
)  # fmt: skip
def test_of_one_size__views_and_arguments(output: Any, settings: Any, shape: Any, arguments: Any) -> None:
    result = one_size(output, **settings)
    view = result.preprocessing.preprocess(PHOTO)
    assert view.shape == shape
    assert np.unique(view).tolist() in ([1.5], [30.0])
    given = result.arguments(torch.from_numpy(np.stack([view, view])))
    assert {name: tuple(value.shape) for name, value in given.items()} == arguments
    record = result.preprocessing.record
    assert (record["backend"], record["transport"], record["more"]) == ("numpy", "float32", 1)
    packed = len(shape) == 2 or shape[0] == 2 or "image_grid_hw" in arguments
    assert record["size"] == ([5] if "flattened_patches" in arguments else list(shape if packed else shape[1:]))


def test_squares__by_the_processor_or_before_it() -> None:
    class Sized(Processor):
        def __call__(self, images: Image.Image, return_tensors: str) -> Any:
            settings = vars(self)
            assert (settings["do_pad"], settings["do_center_crop"]) == (False, False)
            return {"pixel_values": np.zeros((1, 3, self.size["height"], self.size["width"]))}

    settings: dict[str, Any] = {
        "do_pad": True,
        "do_center_crop": True,
        "size": {"height": 8, "width": 9},
        "do_resize": False,
    }
    processor = Sized(None, **settings)
    result = squares("mine", processor, 16, "numpy", {"more": 1})
    assert result.preprocessing.record == {
        "size": [16, 16], "backend": "numpy", "transport": "float32", "more": 1, "squared": 16,
    }  # fmt: skip
    assert processor.size == {"height": 8, "width": 9}
    own_size = Processor(lambda w, h: {"pixel_values": np.zeros((1, 3, h, w))}, resample=0, do_resize=False)
    result = squares("mine", own_size, 16, "numpy", {})
    assert (result.preprocessing.record["size"], result.preprocessing.record["backend"]) == (
        [16, 16],
        "pil, then numpy",
    )
    unable = Processor(lambda w, h: [][0])
    with pytest.raises(UsageError, match="IndexError"):
        squares("mine", unable, 16, "numpy", {})


@pytest.mark.parametrize(("settings", "levels"), [({"resample": 0}, 2), ({"resample": None}, 4), ({}, 4)])
def test_squares__with_the_filter_of_the_processor(settings: dict[str, Any], levels: int) -> None:
    class OfPixels(Processor):
        def __call__(self, images: Image.Image, return_tensors: str) -> Any:
            return {"pixel_values": np.asarray(images, np.float32).transpose(2, 0, 1)[None]}

    halves = Image.fromarray(np.repeat(np.uint8([[0, 0, 255, 255]]), 4, 0)).convert("RGB")
    result = squares("mine", OfPixels(None, do_resize=True, **settings), 9, "numpy", {})
    array = result.preprocessing.preprocess(halves)
    assert array.shape == (3, 9, 9)
    assert (len(np.unique(array)) == levels) == (levels == 2)
