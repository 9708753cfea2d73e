"""Whole sentences about files and folders of weights: what is wrong, where, and what to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from torch import nn

from benchmark.encoders.encoder import Encoder, EncoderInfo
from benchmark.encoders.loaders.checkpoint_files import load, transformers_files
from benchmark.encoders.loaders.checkpoint_files.architectures import Architecture
from benchmark.encoders.loaders.checkpoint_files.fitting import fitted
from benchmark.encoders.loaders.checkpoint_files.folders import chosen
from benchmark.encoders.loaders.checkpoint_files.reading import WeightsFile, _refusal, read_weights, shards
from benchmark.encoders.loaders.checkpoint_files.request import parsed_request
from benchmark.encoders.preprocess.stated import Stated
from benchmark.encoders.registry import LoadRequest
from builders.errors import CamtraceError, EncoderError
from tests.encoders_by_hand.case import VIT


def refusal(function: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    with pytest.raises(CamtraceError) as refused:
        function(*arguments, **named)
    return f"{type(refused.value).__name__}: {refused.value}"


def code_of(what: str) -> str:
    return (
        f"UsageError: mine holds {what}, and reading that runs code; where you trained it, run: import torch; model = "
        "torch.load('a.pth', weights_only=False); torch.save(model.state_dict(), 'weights.pth'), then --model "
        "'weights:weights.pth?arch=timm:NAME'"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (nn.Linear(2, 2), code_of("a whole model (torch.nn.modules.linear.Linear)")),
        ({"epoch": 1, "model": nn.Linear(2, 2)}, code_of("a whole model (its entry 'model')")),
        ({"epoch": 1, "loss": 0.5}, "UsageError: mine holds no weights: its entries are epoch, loss"),
        ({}, "UsageError: mine holds no weights: its entries are none"),
        (dict.fromkeys("abcdefg", 1), "UsageError: mine holds no weights: its entries are a, b, c, d, e"),
        ({"model": {"w": np.ones(3)}}, "UsageError: mine holds arrays of NumPy (model), not tensors; where it was "
         "made, run: torch.save({name: torch.as_tensor(array) for name, array in arrays.items()}, 'weights.pth')"),
        ([torch.ones(1)], "UsageError: mine holds list, not weights by name"),
        ({"fc._packed_params._packed_params": None, "scale": torch.ones(1)},
         "UsageError: mine was quantised by torch, and holds packed integers; score it from before that"),
        (torch.ones(1), "UsageError: mine holds one tensor, not weights by name"),
    ],
)  # fmt: skip
def test_read__no_weights_by_name(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pth")
    assert refusal(read_weights, tmp_path / "a.pth", "mine") == message


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("unsupported GLOBAL posix.system whose module posix is blocked",
         "EncoderError: mine holds posix.system, which no weights need and which can run commands: do not open this "
         "file; fetch it again from its authors"),
        ("Unsupported global: GLOBAL mine.Settings was not allowed", code_of("mine.Settings")),
        ("Unsupported function mine.f", code_of("mine.f")),
        ("Unsupported class 'a.b.C'", code_of("a.b.C")),
        ("Weights only load failed", code_of("objects of Python")),
        ("use weights_only=False", code_of("objects of Python")),
        ("bad magic number\nmore", "EncoderError: mine: the file is cut short or damaged (bad magic number)"),
    ],
)  # fmt: skip
def test_refusal__of_torchs_restricted_reader(error: str, message: str) -> None:
    made = _refusal(Path("a.pth"), "mine", RuntimeError(error))
    assert f"{type(made).__name__}: {made}" == message


def test_read__safetensors_and_indices_that_are_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes((2).to_bytes(8, "little") + b"{x")
    message = refusal(read_weights, tmp_path / "a.safetensors", "mine")
    assert message.startswith("EncoderError: mine: the file is cut short or damaged (")
    (tmp_path / "m.bin.index.json").write_text("[]")
    assert refusal(shards, tmp_path / "m.bin.index.json", "mine").startswith(
        "EncoderError: mine: it is no index of weights (list indices must be integers or slices"
    )


def test_chosen__several_files_or_none(tmp_path: Path) -> None:
    assert refusal(chosen, tmp_path, "mine") == (
        "UsageError: mine holds no checkpoint for transformers, open_clip or timm, and no file of weights: nothing"
    )
    for name in ("a.pth", "b.pt", "notes.txt"):
        (tmp_path / name).touch()
    assert refusal(chosen, tmp_path, "mine") == (
        "UsageError: mine holds 2 files of weights (a.pth, b.pt): name one, as weights:FOLDER/FILE"
    )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("weights:", "weights: needs a file or a folder, as in weights:model.pth?arch=timm:resnet50"),
        ("weights:?arch=x", "weights: needs a file or a folder, as in weights:model.pth?arch=timm:resnet50"),
        ("a.pth?ema=yes", "a.pth?ema=yes: ema is true or false"),
        ("a.pth?prefx=x", "unknown option of weights: 'prefx': did you mean 'prefix'?"),
        ("a.pth?group=x", "unknown group 'x': known: CVL, SSL, SUP, autoregressive, control, distilled, unknown"),
        ("a.pth?size=0", "size=0: give pixels, 224 or HEIGHTxWIDTH"),
    ],
)
def test_request__refusals(spec: str, message: str) -> None:
    assert refusal(parsed_request, spec) == f"UsageError: {message}"


def test_request__its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    wanted = parsed_request("weights:~/a.pth?arch=timm:vit&arch.depth=2&ignore=q,,k.&size=9&group=SSL&ema=false")
    assert (wanted.path, dict(wanted.arguments), wanted.ignored) == (
        Path("/home/me/a.pth"),
        {"depth": "2"},
        ("q", "k."),
    )
    assert dict(wanted.options) == {
        "arch": "timm:vit", "ignore": "q,,k.", "size": "9", "group": "SSL", "ema": "false"
    }  # fmt: skip
    assert wanted.preprocessing == Stated(size=(9, 9))
    assert parsed_request("local-dir:a").ignored == ()


WHICH = (
    "? Add ?arch=timm:NAME, torchvision:NAME, open_clip:NAME or transformers:ORG/NAME, as in "
    "weights:model.pth?arch=timm:resnet50"
)


def test_load__files_that_are_not_there_or_of_no_known_network(tmp_path: Path) -> None:
    for spec in (f"local-dir:{tmp_path}/gone", f"{tmp_path}/gone"):
        assert refusal(load.load_path, LoadRequest(spec)) == f"UsageError: {spec}: there is no such folder or file"
    spec = f"weights:{tmp_path}/gone.pth"
    assert refusal(load.load_weights, LoadRequest(spec)) == f"UsageError: {spec}: there is no such file or folder"
    for content, known in (({"w": torch.ones(1)}, ""), ({"w": torch.ones(1), "arch": "mine"}, " (it says 'mine')")):
        torch.save(content, tmp_path / "a.pth")
        assert refusal(load.load_weights, LoadRequest(f"weights:{tmp_path}/a.pth")) == (
            f"UsageError: weights:a.pth: of which network are these weights{known}{WHICH}"
        )
    assert load.REMEDY == (
        "name the architecture that was trained by arch= and arch.NAME=, or leave out what belongs to a head of the "
        "training by ignore=NAME"
    )


def test_load_weights__the_checkpoint_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = EncoderInfo("x", "timm", None, None, 2, {}, "mean", 8)
    encoder = Encoder(info, np.asarray, lambda batch: batch, "cpu", "float32", notices=("before",))
    calls: list[Any] = []
    monkeypatch.setattr(load.adapters, "load_adapter", lambda *given: calls.append(given) or encoder)
    monkeypatch.setattr(load, "load_path", lambda *given: calls.append(given) or encoder)
    monkeypatch.setattr(load, "_of_file", lambda *given: calls.append(given) or encoder)
    folder = tmp_path / "run"
    request = LoadRequest(f"weights:{folder}?size=9", "cpu")
    label = "weights:run"
    (folder / "checkpoint-1").mkdir(parents=True)
    (folder / "checkpoint-1" / "config.json").write_text("{}")
    newest = f"{label}: checkpoint-1 (the newest of 1)"
    assert load.load_weights(request).notices == ("before", newest)
    assert calls.pop() == (replace(request, spec=f"{folder}/checkpoint-1?size=9"),)
    assert load.load_weights(replace(request, spec=str(folder))).notices == ("before", newest)
    assert calls.pop() == (replace(request, spec=f"{folder}/checkpoint-1"),)
    (folder / "checkpoint-1" / "adapter_config.json").write_text("{}")
    assert load.load_weights(request).notices == ("before", newest)
    assert calls.pop() == (folder / "checkpoint-1", label, request)
    (folder / "adapter_config.json").write_text("{}")
    assert load.load_weights(request).notices == ("before",)
    assert calls.pop() == (folder, label, request)
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.pth").touch()
    for name, reason in (("a.pth", "a.pth"), ("last.pth.tar", "last.pth.tar (timm's last)")):
        (other / name).touch()
        spec = f"weights:{other}"
        assert load.load_weights(replace(request, spec=spec)).notices == ("before",)
        file, wanted, *rest = calls.pop()
        assert (file, wanted.path, rest) == (
            other / name, other, ["weights:other", replace(request, spec=spec), reason]
        )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "query", "called"),
    [
        ("a.onnx", None, "", "onnx"),
        ("a.onnx", None, "?size=9&mean=0.5", "onnx"),
        *(("a.onnx", None, f"?{option}=x", "weights") for option in ("arch", "prefix", "ema", "ignore")),
        ("a.pth", None, "", "weights"),
        ("folder", {"config.json": '{"model_type": "vit"}'}, "", "folder"),
        ("folder", {"config.json": '{"model_type": "vit"}'}, "?arch=timm:x", "weights"),
        ("folder", {"a.pth": ""}, "", "weights"),
    ],
)
def test_load_path__by_what_is_there(
    name: str, content: Any, query: str, called: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    if content is None:
        path.touch()
    else:
        path.mkdir()
        for file, text in content.items():
            (path / file).write_text(text)
    monkeypatch.setattr(load, "load_folder", lambda request: ("folder", request))
    monkeypatch.setattr(load, "load_weights", lambda request: ("weights", request))
    monkeypatch.setattr("benchmark.encoders.loaders.onnx.file.load_onnx", lambda request: ("onnx", request))
    for prefix in ("", "local-dir:"):
        request = LoadRequest(f"{prefix}{path}{query}", "cpu")
        expected = replace(request, spec=f"onnx:{path}{query}") if called == "onnx" else request
        assert load.load_path(request) == (called, expected)  # type: ignore[comparison-overlap]


def test_transformers_files__refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = parsed_request("weights:a.pth")
    weights = WeightsFile({}, {})
    architecture = Architecture("transformers", str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    assert refusal(transformers_files.load, weights, architecture, wanted, "mine", LoadRequest("x")) == (
        f"UsageError: mine: transformers:{tmp_path.name} has no config.json of transformers"
    )
    for source in ("./gone", "/gone", "~/gone"):
        assert refusal(transformers_files.configuration_of, source, "mine", LoadRequest("x")) == (
            f"UsageError: mine: arch=transformers:{source}: there is no such folder"
        )
    fetched: list[Any] = []
    monkeypatch.setattr(
        transformers_files, "fetch", lambda *given, **named: fetched.append((given, named)) or (tmp_path, "c")
    )
    for source, revision in (("org/name", None), ("org/name@v1", "v1")):
        request = LoadRequest("x", trust_remote_code=revision is None)
        assert transformers_files.configuration_of(source, "mine", request) == tmp_path
        assert fetched.pop() == (("org/name", revision, revision is None), {"weights": False})

    def fails(_: Any) -> None:
        raise ValueError("bad\nmore")

    monkeypatch.setattr(tf.AutoConfig, "from_pretrained", fails)
    assert refusal(transformers_files._classes, tmp_path, "mine") == (
        "EncoderError: mine: transformers cannot make its network (ValueError: bad)"
    )


def test_copy_descriptions__what_is_no_weight_and_not_there(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.mkdir()
    target.mkdir()
    names = ("a.json", "b.txt", "c.model", "model.safetensors.index.json", "adapter_config.json", "d.bin", "e.md")
    for name in names:
        (source / name).write_text("new")
    (target / "b.txt").write_text("old")
    transformers_files.copy_descriptions(source, target)
    assert {path.name: path.read_text() for path in target.iterdir()} == {
        "a.json": "new", "b.txt": "old", "c.model": "new"
    }  # fmt: skip


def test_fitted__messages_of_weights_that_are_averaged_or_elsewhere() -> None:
    network = {"w": torch.Size([1])}
    one, two = torch.ones(1), torch.zeros(1)
    assert refusal(fitted, "mine", network, {"a.w": one, "b.w": two}, "timm:x") == (
        "UsageError: mine holds weights of timm:x 2 times: say which, by prefix= ('a.' and 'b.')"
    )
    assert refusal(fitted, "mine", network, {"ema.w": one}, "timm:x") == (
        "UsageError: mine holds averaged weights (EMA) alone: add ema=true"
    )
    assert refusal(fitted, "mine", network, {"a.w": one}, "timm:x", ema=True) == (
        "UsageError: mine holds no averaged weights (EMA): leave ema=true out"
    )
    assert refusal(fitted, "mine", network, {"a.w": one, "b": one}, "timm:x", prefix="c") == (
        "UsageError: mine: no weights of timm:x stand under prefix=c; its names begin a.w, b"
    )
    assert SimpleNamespace(**vars(fitted("mine", network, {"a.w": one, "b.w": one}, "timm:x"))).prefix == "a."


def test_transformers_files__options_of_the_fit_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tf.ViTConfig(**VIT, architectures=["ViTModel"]).save_pretrained(tmp_path)
    calls: list[Any] = []

    def stops(label: str, network: Any, tensors: Any, architecture: str, **named: Any) -> None:
        calls.append((label, architecture, named))
        raise EncoderError("stopped")

    monkeypatch.setattr(transformers_files, "fitted", stops)
    architecture = Architecture("transformers", str(tmp_path))
    for query, named in (("?prefix=a&ema=true", {"prefix": "a", "ema": True}), ("", {"prefix": None, "ema": False})):
        wanted = parsed_request(f"weights:a.pth{query}")
        arguments = (WeightsFile({}, {}), architecture, wanted, "mine", LoadRequest("x"))
        assert refusal(transformers_files.load, *arguments) == "EncoderError: stopped"
        assert calls.pop() == ("mine", f"transformers:{tmp_path.name}", named)
