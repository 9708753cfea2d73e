"""Files of weights: nothing in them runs, and what is not read says what to run."""

from __future__ import annotations

import argparse
import functools
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from benchmark.encoders.loaders.checkpoint_files.formats import WAYS, format_of, refuse
from benchmark.encoders.loaders.checkpoint_files.reading import read_weights
from builders.errors import CamtraceError, EncoderError, UsageError

WEIGHTS = {"layer.weight": torch.ones(2, 3), "layer.bias": torch.zeros(2)}


class Runs:
    """Writes a file where it is unpickled."""

    def __init__(self, file: Path, by: Any) -> None:
        self.file, self.by = file, by

    def __reduce__(self) -> Any:
        return (self.by, (f"touch {self.file}" if self.by is os.system else f"open({str(self.file)!r}, 'w')",))


class Settings(dict):  # type: ignore[type-arg]
    """A class that torch does not know."""


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("by", [os.system, eval, exec])
def test_read__code_in_a_file_never_runs(by: Any, zipped: bool, tmp_path: Path) -> None:
    state = {"state_dict": WEIGHTS, "extra": Runs(tmp_path / "ran", by)}
    torch.save(state, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    if by is os.system or not zipped:  # torch never reads a name of that module; older formats are not searched before
        words = "do not open this file" if by is os.system else "runs code"
        with pytest.raises(CamtraceError, match=words) as caught:
            read_weights(tmp_path / "a.pth", "mine")
        assert "\n" not in str(caught.value)
    else:  # the object was made without its contents
        content = read_weights(tmp_path / "a.pth", "mine")
        assert content.unread == (f"builtins.{by.__name__}",)
        assert torch.equal(content.tensors["state_dict.layer.weight"], WEIGHTS["layer.weight"])
    assert not (tmp_path / "ran").exists()


def test_read__other_objects_next_to_the_weights(tmp_path: Path) -> None:
    hyper = {"args": argparse.Namespace(model="a", lr=1), "make": functools.partial(int, base=2), "folder": tmp_path}
    optimizer = {"state": {0: {"exp_avg": torch.ones(3)}}}
    state = {"state_dict": WEIGHTS, "hyper_parameters": hyper, "optimizer_states": [optimizer], "optimizer": optimizer}
    torch.save({**state, "args": argparse.Namespace(model="b"), "epoch": 3}, tmp_path / "a.ckpt")
    content = read_weights(tmp_path / "a.ckpt", "mine")
    assert sorted(content.tensors) == ["state_dict.layer.bias", "state_dict.layer.weight"]
    assert content.facts["args"].model == "b"
    assert content.facts["epoch"] == 3
    assert any(name.startswith("functools.partial") for name in content.unread)
    assert any("Path" in name for name in content.unread)


def test_read__names_without_what_compilation_inserts(tmp_path: Path) -> None:
    save_file({"a._orig_mod.b._checkpoint_wrapped_module.c": torch.ones(1)}, tmp_path / "a.safetensors")
    content = read_weights(tmp_path / "a.safetensors", "mine")
    assert list(content.tensors) == ["a.b.c"]
    assert content.wrappers == ("_checkpoint_wrapped_module", "_orig_mod")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (nn.Linear(2, 2), "state_dict"),
        ({"model": nn.Linear(2, 2)}, "'model'"),
        ({"epoch": 1, "loss": 0.5}, "weights"),
        (
            {"model": {"w": np.ones(3)}},
            "NumPy",
        ),
        ([torch.ones(1)], "weights"),
        ({"fc._packed_params._packed_params": None, "scale": torch.ones(1)}, "quantised"),
        (torch.ones(1), "holds one tensor"),
    ],
)
def test_read__no_weights_by_name(content: Any, words: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(UsageError, match=words):
        read_weights(tmp_path / "a.pth", "mine")


def test_read__what_a_safetensors_file_says_of_itself_is_a_fact(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "a.safetensors", {"format": "pt", "arch": "resnet18"})
    file = read_weights(tmp_path / "a.safetensors", "mine")
    assert {name: tensor.tolist() for name, tensor in file.tensors.items()} == {
        name: tensor.tolist() for name, tensor in WEIGHTS.items()
    }
    assert file.facts == {"format": "pt", "arch": "resnet18"}


def test_read__a_dictionary_of_an_unknown_class_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": WEIGHTS, "settings": Settings(a=1)}, tmp_path / "a.pth")
    with pytest.raises(UsageError, match="trained"):
        read_weights(tmp_path / "a.pth", "mine")


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_read__a_file_that_is_cut_short(name: str, tmp_path: Path) -> None:
    torch.save(WEIGHTS, tmp_path / "a.pth")
    save_file(WEIGHTS, tmp_path / "a.safetensors")
    file = tmp_path / name
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(EncoderError, match="damaged"):
        read_weights(file, "mine")


@pytest.mark.parametrize("wrong", ["[]", "{}", '{"weight_map": 3}', "no JSON"])
def test_read__an_index_of_another_form(wrong: str, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors.index.json").write_text(wrong)
    with pytest.raises(EncoderError, match="weights"):
        read_weights(tmp_path / "m.safetensors.index.json", "mine")


def test_read__an_index_names_files_of_its_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    save_file(WEIGHTS, tmp_path / "secret.safetensors")
    (tmp_path / "in" / "m.safetensors.index.json").write_text('{"weight_map": {"a": "../secret.safetensors"}}')
    with pytest.raises(EncoderError, match="safetensors"):
        read_weights(tmp_path / "in" / "m.safetensors.index.json", "mine")


def _zip(file: Path, *names: str) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x")


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.h5", b"\x89HDF\r\n\x1a\n", "HDF5"),
        ("a.weights.h5", b"\x89HDF\r\n\x1a\n", "Keras weights"),
        ("a.bin", b"GGUF\x03\x00\x00\x00", "GGUF"),
        ("a", b"\x1c\x00\x00\x00TFL3....", "TensorFlow Lite"),
        ("a.dat", b"\x93NUMPY....", "array"),
        ("a.dat", b"PAR1....", "table"),
        ("a.onnx", b"\x08\x08....", "ONNX"),
        ("a.msgpack", b"\x83\xa6....", "Flax"),
        ("a.safetensors", b"\x02\x00\x00\x00\x00\x00\x00\x00{}", "safetensors"),
        ("a.zip", ("a/data.pkl", "a/data/0"), "torch"),
        ("a.zip", ("a/data.pkl", "a/constants.pkl"), "TorchScript"),
        ("a.ptl", ("a/data.pkl", "a/bytecode.pkl"), "mobile"),
        ("a.pt2", ("a/archive_format", "a/models/model.json"), "torch.export"),
        ("a.keras", ("config.json", "model.weights.h5"), "Keras"),
        ("a.npz", ("params/kernel.npy",), "NumPy"),
        ("a.zip", ("photo.jpg",), "unknown"),
        ("a.pth", b"", "nothing"),
        ("a.pth", b"<!DOCTYPE html><html>", "page"),
        ("a.pth", b"version https://git-lfs.github.com/spec/v1\n", "pointer"),
        ("a.tar", bytes(257) + b"ustar\x00" + bytes(250), "packed"),
        ("a.pth.gz", b"\x1f\x8b\x08\x00....", "packed"),
        ("a.pth", bytes(100), "unknown"),
        ("a.pth", b"\x80\x02\x8a\nl\xfc", "torch"),
        ("a.txt", b"hello, world, hello", "unknown"),
    ],
)
def test_format__by_content(name: str, content: Any, kind: str, tmp_path: Path) -> None:
    file = tmp_path / name
    _zip(file, *content) if isinstance(content, tuple) else file.write_bytes(content)
    assert format_of(file, "mine") == kind
    if kind in WAYS:
        sentence = str(refuse(kind, file, "mine"))
        assert sentence.startswith("mine ")
        assert "{" not in sentence


def test_format__pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.pth")
    with pytest.raises(EncoderError, match="not a regular file"):
        format_of(tmp_path / "a.pth", "mine")
