"""``load_encoder``: what a loader is given, what the encoder is loaded again with, and errors in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.encoders import load
from benchmark.encoders.encoder import Encoder, EncoderInfo
from benchmark.encoders.load import load_encoder
from benchmark.encoders.registry import LoadRequest, refuse_placement
from builders.errors import CamtraceError, EncoderError

INFO = EncoderInfo("facebook/dinov2-base", "timm", None, "0" * 64, 2, {}, "mean", 8, details={"a": 1})
ENCODER = Encoder(INFO, np.asarray, lambda batch: batch, "cpu", "float32")


def refusal(function: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    with pytest.raises(CamtraceError) as refused:
        function(*arguments, **named)
    return f"{type(refused.value).__name__}: {refused.value}"


class Stages:
    """The loader and what follows it, recorded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[Any] = []
        self.error: BaseException | None = None
        monkeypatch.setattr(load, "_loader", lambda spec: self.load_mine)
        monkeypatch.setattr(load, "with_preprocessing", self.preprocessed)
        monkeypatch.setattr("benchmark.encoders.admission.second_load.require_two_equal_loads", self.twice)
        monkeypatch.setattr("benchmark.encoders.runtime.choose.on_runtime", self.converted)

    def load_mine(self, request: LoadRequest) -> Encoder:
        self.calls.append(("load", request))
        if self.error is not None:
            raise self.error
        return ENCODER

    def preprocessed(self, encoder: Encoder, mode: str) -> Encoder:
        self.calls.append(("preprocess", mode))
        return encoder

    def twice(self, encoder: Encoder, again: Callable[[], Encoder], folder: Path) -> None:
        self.calls.append(("twice", folder))
        again()

    def converted(self, encoder: Encoder, *given: Any) -> Encoder:
        self.calls.append(("convert", dict(encoder.info.details), *given))
        return encoder


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Stages:
    return Stages(monkeypatch)


def test_load_encoder__what_is_not_given(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMTRACE_CACHE", "default")
    encoder = load_encoder("mine")
    assert stages.calls[0] == ("load", LoadRequest("mine", "auto", "float32", None, False, False))
    assert stages.calls[1] == ("preprocess", "own")
    *_, (_, _, runtime, cache, before) = stages.calls
    assert (runtime, cache, before(encoder)) == ("auto", None, None)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ModuleNotFoundError("x", name="timm.models"),
         "UsageError: mine needs the package timm, which is not installed: pip install 'camtrace[encoders]'"),
        (ModuleNotFoundError("x", name="other.part"),
         "UsageError: mine needs the package other, which is not installed: pip install other"),
        (MemoryError(), "EncoderError: mine: not enough memory to load it"),
        (EncoderError("as it is"), "EncoderError: as it is"),
        (ValueError("bad\nmore"), "EncoderError: mine: it cannot be loaded (ValueError: bad)"),
    ],
)  # fmt: skip
def test_load_encoder__errors_are_one_sentence(error: Exception, message: str, stages: Stages) -> None:
    stages.error = error
    assert refusal(load_encoder, "mine") == message


def test_load_encoder__refused_before_anything_is_loaded(stages: Stages) -> None:
    assert refusal(load_encoder, "mine", revision="r") == (
        "UsageError: mine has no revisions: --revision goes with a model of the Hub (ORG/NAME)"
    )
    assert refusal(load_encoder, "mine", preprocess="squish") == (
        "UsageError: unknown preprocess 'squish': did you mean 'squash'?"
    )
    assert stages.calls == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("???", "unknown encoder '???': give a name from 'list encoders', ORG/NAME on the Hub, a folder, a file, or "
         "module:function"),
        ("bundled:x", "unknown encoder 'bundled:x': known: "),
        ("https://huggingface.co/datasets/a/b",
         "https://huggingface.co/datasets/a/b names no model of the Hub: give https://huggingface.co/ORG/NAME, or "
         "ORG/NAME"),
        ("https://example.com/x.pth",
         "https://example.com/x.pth: no address is downloaded; fetch the file, then --model "
         "'weights:FILE?arch=timm:NAME'"),
    ],
)  # fmt: skip
def test_load_encoder__specifications_that_name_nothing(spec: str, message: str) -> None:
    assert refusal(load_encoder, spec).startswith(f"UsageError: {message}")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (LoadRequest("x", "auto", "float32"), ""),
        (LoadRequest("x", "cpu", "float64"), ""),
        (LoadRequest("x", "cuda"), "--device cuda"),
        (LoadRequest("x", dtype="bfloat16"), "--dtype bfloat16"),
        (LoadRequest("x", compile=True), "--compile"),
        (LoadRequest("x", "cuda", "bfloat16", compile=True), "--device cuda"),
    ],
)
def test_refuse_placement(request_: LoadRequest, message: str) -> None:
    if not message:
        refuse_placement(request_, "cpu", "float64", "a file")
        return
    assert refusal(refuse_placement, request_, "cpu", "float64", "a file") == (
        f"UsageError: x is a file: {message} cannot apply to it; leave it out for this encoder"
    )
