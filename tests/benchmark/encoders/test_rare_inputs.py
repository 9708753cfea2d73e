"""Rare inputs of encoders: processors of users, packed squares, several models a configuration, bounds, records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from PIL import Image
from torch import nn

from benchmark.encoders.encoder import Runtime
from benchmark.encoders.loaders.transformers.one_size import FirstPicture, squares
from benchmark.encoders.loaders.transformers.prompts import _ends_apart
from benchmark.encoders.loaders.transformers.refusals import more_than_a_picture, refuse_what_reads_no_photo
from benchmark.encoders.network import Normalisation
from benchmark.encoders.preprocess.modes import with_preprocessing
from benchmark.encoders.preprocess.pixels import CenterCrop, ResizeTo
from benchmark.encoders.preprocess.stated import alone, shorter_side, sides, stated, three_numbers
from benchmark.encoders.runtime import choose, onnxruntime
from benchmark.encoders.runtime.speed import choice_file
from builders.errors import EncoderError, UsageError
from tests.benchmark.encoders.test_modes import MEAN, STD, encoder_of, steps_of
from tests.benchmark.encoders.test_openvino_decisions import INFO, VIEWS
from tests.benchmark.encoders.test_runtime_edges import encoder_of as linear_encoder
from tests.benchmark.encoders.test_transformers_inputs import Processor

BICUBIC = int(Image.Resampling.BICUBIC)


@pytest.mark.parametrize("crop", [32, 24])
def test_mode__steps_of_an_image_processor_are_verified(crop: int) -> None:
    processor = tf.CLIPImageProcessorPil(
        size={"shortest_edge": 40}, crop_size=crop, image_mean=list(MEAN), image_std=list(STD)
    )
    encoder = encoder_of(CenterCrop(crop, crop))
    embed: Any = encoder.embed
    encoder = replace(encoder, preprocess=FirstPicture(processor), embed=replace(embed, normalise=None))
    changed = with_preprocessing(encoder, "squash")
    changed_embed: Any = changed.embed
    assert steps_of(changed) == (ResizeTo(crop, crop, BICUBIC),)
    assert changed_embed.normalise == Normalisation(MEAN, STD)


def test_squares__pictures_that_a_processor_packs_are_made_square_before_it() -> None:
    """Its output has the requested sides, but not as pictures."""

    def packed(width: int, height: int) -> Any:
        return {"pixel_patches": np.full((1, 3, 16, 16), width / height, np.float32)}

    processor = Processor(packed, do_resize=False, size={})
    made = squares("mine", processor, 16, "numpy", {})
    assert made.preprocessing.record["backend"] == "pil, then numpy"
    assert made.preprocessing.preprocess(Image.new("RGB", (40, 20))).max() == 1.0  # of a square
    assert list(made.arguments(torch.zeros(2, 3, 16, 16))) == ["pixel_patches"]


@pytest.mark.parametrize(
    ("config", "reads"),
    [
        (tf.FunnelConfig(), None),  # of two models, neither of which is asked
        (tf.BertConfig(), "text"),
        (tf.Wav2Vec2Config(), "sound"),
        (tf.ClapConfig(), "sound"),  # whose main input is text
        (tf.WhisperConfig(), "sound"),
        (tf.ViTConfig(), None),
        (tf.CLIPConfig(), None),
        (tf.CLIPVisionConfig(), None),
        (SimpleNamespace(model_type="mine"), None),
    ],
)
def test_refuse__what_reads_something_else(config: Any, reads: str | None) -> None:
    if reads is None:
        refuse_what_reads_no_photo("mine", config)
        return
    with pytest.raises(UsageError) as refused:
        refuse_what_reads_no_photo("mine", config)
    assert str(refused.value) == (
        f"mine ({config.model_type}) is not an image encoder: it reads {reads}; the nearest encoder is "
        "google/siglip2-base-patch16-256"
    )


@pytest.mark.parametrize(
    ("config", "side"),
    [
        (SimpleNamespace(image_size=336), 336),
        (SimpleNamespace(image_size=[448, 224]), 448),
        (SimpleNamespace(image_size=336, vision_config=SimpleNamespace(image_size=560)), 560),
        (SimpleNamespace(), 224),
    ],
)
def test_more_than_a_picture__the_side_that_its_network_takes(config: Any, side: int) -> None:
    reason = "Input image size doesn't match model (32*32)"
    error = more_than_a_picture("mine", SimpleNamespace(config=config), reason)
    assert str(error) == (
        f"mine: its image processor makes pictures of another size than its network takes ({reason}); ?size={side} "
        "behind its name makes them squares of that size"
    )


def test_stated__bounds_of_sides_and_numbers() -> None:
    assert sides("16384") == (16384, 16384)
    assert sides("1x16384") == (1, 16384)
    for text in ("16385", "0x9", "9x0", "9x", "x9", "-9", "9.0", "1x2x3", ""):
        with pytest.raises(UsageError) as refused:
            sides(text)
        assert str(refused.value) == f"size={text}: give pixels, 224 or HEIGHTxWIDTH"
    assert [shorter_side(text, 20, 30) for text in ("20", "16384")] == [20, 16384]
    for text in ("19", "16385", "-20", "a"):
        with pytest.raises(UsageError) as refused:
            shorter_side(text, 20, 30)
        assert str(refused.value) == f"resize={text}: give the shorter side in pixels, at least 20"
    for name, text, why in (
        ("mean", "nan", "give one number, three with commas, or imagenet, for pixels in [0, 1]"),
        ("std", "inf", "give one number, three with commas, or imagenet, for pixels in [0, 1]"),
        ("std", "0.1,-0.1,0.1", "give numbers above 0"),
    ):
        with pytest.raises(UsageError) as refused:
            three_numbers(name, text)
        assert str(refused.value) == f"{name}={text}: {why}"
    assert three_numbers("mean", "-0.1,0,2") == (-0.1, 0.0, 2.0)


def test_alone__the_shorter_side_is_the_longer_one_of_the_crop() -> None:
    made = alone(stated({"size": "20x30"}))
    assert made.record["steps"] == [
        {"step": "ResizeShort", "size": 30, "resample": "bilinear"},
        {"step": "CenterCrop", "width": 30, "height": 20, "margin": "round"},
    ]
    assert made.record["assumed"] == ["mean", "std"]
    whole = alone(stated({"size": "20", "mean": "0.1", "std": "0.2", "interpolation": "nearest", "resize": "40"}))
    assert whole.normalise == Normalisation((0.1,) * 3, (0.2,) * 3)
    assert whole.record["steps"][0] == {"step": "ResizeShort", "size": 40, "resample": "nearest"}
    assert "assumed" not in whole.record


@pytest.mark.parametrize(("free", "fits"), [(4 * 4 * 300, True), (4 * 4 * 300 - 1, False)])
def test_too_large__four_copies_of_the_weights_just_fit(free: int, fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "free_on_host", lambda: free)
    embed: Any = linear_encoder(nn.Linear(30, 10, bias=False)).embed
    assert (choose._too_large("openvino", embed) == "") is fits


class Tried:
    """Calls of a worker, and a record that may fail to be written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[Any] = []
        self.full = False
        self.write = onnxruntime.write_text_atomically
        trial = onnxruntime.trial
        monkeypatch.setattr(trial, "in_own_process", lambda *given, **named: self.calls.append((given, named)))
        monkeypatch.setattr(onnxruntime, "free_on_host", lambda: 77)
        monkeypatch.setattr(onnxruntime, "write_text_atomically", self._written)

    def _written(self, *given: Any) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.write(*given)


def test_try_elsewhere__once_unless_the_record_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, choice = Tried(monkeypatch), choice_file(tmp_path, "onnxruntime", INFO, VIEWS)

    def times(where: Path | None = choice) -> int:
        tried.calls.clear()
        onnxruntime._try_elsewhere("mine", b"network", VIEWS.numpy(), where)
        return len(tried.calls)

    assert choice is not None
    tried.full = True
    assert [times(), times()] == [1, 1]  # and the run goes on
    tried.full = False
    assert [times(), times()] == [1, 0]
    record = choice.with_name(choice.name.replace(".json", ".tried.json"))
    assert [path.name for path in tmp_path.iterdir()] == [record.name]
    assert record.read_text() == "{}\n"
    assert [times(None), times(None)] == [1, 1]
    ((name, title, function, file), named) = tried.calls[0]
    assert (name, title, function, file.name, named) == (
        "mine", "ONNX Runtime", onnxruntime.run_in_worker, "model.onnx", {"memory": 77}
    )  # fmt: skip


def test_on_runtime__what_ends_the_conversion_is_tried_again_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verdict about the network is stored; a lack of memory or of time is none."""
    monkeypatch.setenv("CAMTRACE_RUNTIME", "openvino")
    monkeypatch.setattr(choose.platform, "machine", lambda: "x86_64")
    encoder = linear_encoder()
    encoder = replace(encoder, info=replace(encoder.info, weights_sha256="a" * 64))
    calls: list[int] = []
    memory = EncoderError("short")
    memory.__cause__ = MemoryError()
    for error, again in ((EncoderError("never"), 0), (memory, 1), (choose.TrialError("late"), 1)):

        def fails(*given: Any, error: Exception = error) -> Any:
            calls.append(1)
            raise error

        monkeypatch.setattr(choose, "_converted", fails)
        for expected in (1, again):
            calls.clear()
            made = choose.on_runtime(encoder, cache=tmp_path / str(error))
            assert made.runtime == Runtime("torch", torch.__version__, reason=str(error))
            assert len(calls) == expected


@pytest.mark.parametrize(
    ("text", "apart"),
    [("a\n", True), ("a ", True), ("<x>", True), ("[/INST]", True), ("a", False), ("a:", False), ("", False)],
)
def test_ends_apart__a_space_a_line_break_or_a_mark(text, apart):
    assert _ends_apart(text) is apart
