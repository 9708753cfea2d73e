"""Files of weights by their content: each kind by its first bytes, its archive or its suffix; what holds no weights."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from benchmark.encoders.loaders.checkpoint_files.folders import checkpoint_folder
from benchmark.encoders.loaders.checkpoint_files.formats import format_of
from benchmark.encoders.loaders.hub import read_config
from builders.errors import EncoderError


def kind_of(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    return format_of(folder / name, "mine")


@pytest.mark.parametrize(
    ("members", "name", "kind"),
    [
        (["archive/data.pkl", "archive/version"], "a.pt", "torch"),
        (["data.pkl"], "a.bin", "torch"),
        (["x/data.pkl", "x/constants.pkl"], "a.pt", "TorchScript"),
        (["constants.pkl"], "a.pt", "TorchScript"),
        (["x/constants.pkl", "x/bytecode.pkl", "x/data.pkl"], "a.pt", "mobile"),
        (["bytecode.pkl"], "a.pt", "mobile"),
        (["x/data.pkl"], "a.ptl", "mobile"),
        (["x/data.pkl"], "a.mar", "mobile"),
        (["archive_format"], "a.pt2", "torch.export"),
        (["x/archive_format", "x/data.pkl"], "a.pt", "torch.export"),
        (["serialized_exported_program.json"], "a.pt", "torch.export"),
        (["x/serialized_exported_program.json", "x/data.pkl"], "a.pt", "torch.export"),
        (["model.weights.h5", "config.json"], "a.keras", "Keras"),
        (["a.npy", "b/c.npy"], "a.npz", "NumPy"),
        (["a.npy", "b.txt"], "a.npz", "unknown"),
        (["x/y/data.pkl"], "a.pt", "unknown"),  # one folder, as torch has it
        ([], "a.npz", "unknown"),
    ],
)
def test_archives__by_their_members(members: list[str], name: str, kind: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        for member in members:
            archive.writestr(member, "x")
    if not members:  # an archive without members begins with its end
        assert (tmp_path / name).read_bytes().startswith(b"PK")
    assert format_of(tmp_path / name, "mine") == kind


TAR = bytes(257) + b"ustar" + bytes(250)
LENGTH = (2).to_bytes(8, "little")


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (b"", "a.pt", "nothing"),
        (b"", "a.onnx", "nothing"),
        (b"\x89HDF\r\n", "a.pt", "HDF5"),
        (b"\x89HDF\r\n", "a.weights.h5", "Keras weights"),
        (b"anything else that is long", "a.weights.h5", "Keras weights"),
        (b"GGUF\x03", "a.bin", "GGUF"),
        (b"PAR1", "a.bin", "table"),
        (b"\x93NUMPY\x01", "a.pt", "array"),
        (b"\x1f\x8b\x08", "a.pt", "packed"),
        *((start + b" lang=en>", "a.pt", "page") for start in (b"<!DOCTYPE", b"<!doctype", b"<html")),
        (b"version https://git-lfs.github.com/spec/v1", "a.pt", "pointer"),
        (b"\x1c\x00\x00\x00TFL3 and more", "a.bin", "TensorFlow Lite"),
        (LENGTH + b"{}", "a.bin", "safetensors"),
        (((1 << 32) - 1).to_bytes(8, "little") + b"{}", "a.bin", "safetensors"),
        ((1 << 32).to_bytes(8, "little") + b"{}", "a.bin", "unknown"),
        (LENGTH + b"[]", "a.safetensors", "unknown"),
        (LENGTH + b"{}", "a.onnx", "safetensors"),  # the content before the suffix
        (b"\x80\x02", "a.bin", "torch"),
        (b"\x80\x02", "a.onnx", "ONNX"),
        (b'{"weight_map": {}}', "a.index.json", "torch"),
        (TAR, "a.bin", "packed"),
        (TAR[:256] + b"x" + TAR[256:], "a.bin", "unknown"),
        (b"\x80" + TAR[1:], "a.bin", "packed"),
        (b"text", "a.bin", "unknown"),
    ],
)
def test_files__by_their_first_bytes(content: bytes, name: str, kind: str, tmp_path: Path) -> None:
    assert kind_of(tmp_path, name, content) == kind


@pytest.mark.parametrize(
    ("suffixes", "kind"),
    [
        ("onnx", "ONNX"), ("keras", "Keras"), ("h5 hdf5", "HDF5"), ("gguf", "GGUF"), ("tflite", "TensorFlow Lite"),
        ("msgpack", "Flax"), ("npz", "NumPy"), ("npy", "array"), ("parquet csv", "table"),
        ("mlmodel ptl mar", "mobile"), ("pdparams", "Paddle"), ("engine plan", "engine"), ("pt2", "torch.export"),
        ("distcp", "part"), ("pt pth bin ckpt tar txt", "unknown"),
    ],
)  # fmt: skip
def test_files__by_their_suffix_where_the_content_says_nothing(suffixes: str, kind: str, tmp_path: Path) -> None:
    for suffix in suffixes.split():
        assert kind_of(tmp_path, f"a.{suffix}", b"says nothing of it") == kind


def test_checkpoint_folder__of_sentence_transformers_never_leaves_the_repo(tmp_path: Path) -> None:
    repo, outside = tmp_path / "repo", tmp_path / "outside"
    for folder in (repo, repo / "0_CLIPModel", outside):
        folder.mkdir()
    (repo / "link").symlink_to(outside)
    assert checkpoint_folder(repo) == repo  # without modules
    for path, below in (
        ("0_CLIPModel", "0_CLIPModel"), ("0_CLIPModel/../0_CLIPModel/", "0_CLIPModel"), ("", ""), (".", ""),
        ("absent", ""), ("../outside", ""), (str(outside), ""), ("link", ""), ("..", ""), (None, ""), (3, ""),
    ):  # fmt: skip
        (repo / "modules.json").write_text(json.dumps([{"path": path}, {"path": "1_Normalize"}]))
        assert checkpoint_folder(repo) == repo
        for folder in (repo / "0_CLIPModel", outside, tmp_path):
            (folder / "config.json").write_text("{}")
        assert checkpoint_folder(repo) == (repo / below).resolve()
        for folder in (repo / "0_CLIPModel", outside, tmp_path):
            (folder / "config.json").unlink()
    for content in ("[", "[1]", '{"path": "0_CLIPModel"}', "[]"):
        (repo / "modules.json").write_text(content)
        (repo / "0_CLIPModel" / "config.json").write_text("{}")
        assert checkpoint_folder(repo) == repo
    (repo / "modules.json").write_text('[{"path": "0_CLIPModel"}]')
    (repo / "config.json").write_text("{}")
    assert checkpoint_folder(repo) == repo  # which has a configuration itself


def test_read_config__of_a_link_to_nothing_is_refused_and_no_file_is_empty(tmp_path: Path) -> None:
    file = tmp_path / "repo" / "config.json"
    file.parent.mkdir()
    assert read_config(file) == {}
    for content, config in (("{}", {}), ('{"a": 1}', {"a": 1}), ("[1]", {}), ("null", {})):
        file.write_text(content)
        assert read_config(file) == config
    for content in ("{", "[" * 100_000, "\ud800"):
        file.write_text(content, errors="surrogatepass")
        with pytest.raises(EncoderError, match=r"^repo/config\.json"):
            read_config(file)
    file.unlink()
    for target in ("absent", "."):
        file.symlink_to(target)
        with pytest.raises(EncoderError, match=r"^repo/config\.json: "):
            read_config(file)
        file.unlink()
