"""Files of repositories and folders: which are fetched, which library reads them, options, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub import errors
from safetensors.torch import save_file

from benchmark.encoders.loaders.hub import (
    check_files,
    fetch,
    folder_checkpoint,
    is_checkpoint,
    library_of,
    library_of_card,
    load_files,
    read_config,
    read_tensors,
    split_options,
    wanted_files,
)
from benchmark.encoders.registry import LoadRequest
from builders.errors import CamtraceError, EncoderError, RemoteError, UsageError

OPTIONS = "output=..., patches=..., size=..., resize=..., mean=..., std=..., interpolation=..., joined by &"


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("a/b", {}), ("a/b@c?output=x", {"output": "x"}), ("a/b?size=2&mean=1&std=1", {"size": "2", "mean": "1",
         "std": "1"}),
        ("a/b?", None), ("a/b?output=", None), ("a/b?output", None), ("a/b?other=1", None), ("a/b?size=2&x=1", None),
    ],
)  # fmt: skip
def test_split_options(spec: str, options: Any) -> None:
    if options is not None:
        assert split_options(spec) == (spec.partition("?")[0], options)
        return
    with pytest.raises(UsageError) as refused:
        split_options(spec)
    assert str(refused.value) == f"{spec}: after ? stand {OPTIONS}"
    with pytest.raises(UsageError) as refused:
        split_options("a/b?size=1&output=x&size=2")
    assert "a/b?size=1&output=x&size=2" in str(refused.value)


@pytest.mark.parametrize(
    ("card", "name"),
    [
        ("---\nlibrary_name: timm\ntags: x\n---\n", "timm"), ("---\nx: y\nlibrary_name: 'open_clip'\n---", "open_clip"),
        ('---\nlibrary_name:"a-b"\n---', "a-b"), ("library_name: timm\n", None),
         ("---\nx: 1\n---\nlibrary_name: timm", None),
        ("---\n my_library_name: timm\n---", None), ("---\nlibrary_name:\n---", None),
    ],
)  # fmt: skip
def test_library_of_card(card: str, name: str | None, tmp_path: Path) -> None:
    assert library_of_card(tmp_path) is None
    (tmp_path / "README.md").write_text(card)
    assert library_of_card(tmp_path) == name


NAMES = [
    "README.md",
    "config.json",
    "vocab.txt",
    "merges.model",
    "chat_template.jinja",
    "0_CLIPModel/config.json",
    "1_Dense/config.json",
    "own.py",
]
SMALL = [name for name in NAMES if name not in ("1_Dense/config.json", "own.py")]


@pytest.mark.parametrize(
    ("more", "options", "weights"),
    [
        ("model.safetensors pytorch_model.bin", {}, "model.safetensors"),
        ("pytorch_model.bin tf_model.h5", {}, "pytorch_model.bin"),
        ("pytorch_model-00001-of-00002.bin pytorch_model-00002-of-00002.bin model.fp16.safetensors", {},
         "pytorch_model-00001-of-00002.bin pytorch_model-00002-of-00002.bin"),
        ("0_CLIPModel/model.safetensors", {}, ""),
        ("0_CLIPModel/model.safetensors 1_Dense/model.safetensors modules.json", {},
         "0_CLIPModel/model.safetensors modules.json"),
        ("open_clip_config.json open_clip_pytorch_model.bin open_clip_model.safetensors model.safetensors", {},
         "open_clip_config.json open_clip_model.safetensors"),
        ("open_clip_config.json open_clip_pytorch_model.safetensors", {},
         "open_clip_config.json open_clip_pytorch_model.safetensors"),
        ("open_clip_config.json open_clip_pytorch_model.pth pytorch_model.bin", {"library_name": "open_clip"},
         "open_clip_config.json open_clip_pytorch_model.pth"),
        ("open_clip_config.json pytorch_model.pth", {}, "open_clip_config.json pytorch_model.pth"),
        ("open_clip_config.json open_clip_model.safetensors model.safetensors", {"library_name": "timm"},
         "open_clip_config.json model.safetensors"),
        ("open_clip_config.json open_clip_model.safetensors", {"repo": "timm/x"},
         "open_clip_config.json open_clip_model.safetensors"),
        ("model-00001-of-00001.safetensors pytorch_model.bin", {"repo": "timm/x"}, "pytorch_model.bin"),
        ("model-00001-of-00001.safetensors pytorch_model.bin", {},
         "model-00001-of-00001.safetensors pytorch_model.bin"),
        ("", {"trust_remote_code": True}, "own.py"),
    ],
)  # fmt: skip
def test_wanted_files(more: str, options: Any, weights: str) -> None:
    assert wanted_files([*NAMES, *more.split()], **options) == sorted([*SMALL, *weights.split()])


def write(folder: Path, **files: Any) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))


def test_library_of__where_the_card_and_the_files_disagree(tmp_path: Path) -> None:
    for number, (files, name, card, library) in enumerate((
        ({"config": {"architecture": "x", "model_type": "vit"}}, "a/b", None, "timm"),
        ({"config": {"architecture": "x", "model_type": "vit"}}, "a/b", "transformers", "transformers"),
        ({"config": {"architecture": "x"}, "open_clip_config": {}}, "a/b", None, "open_clip"),
        ({"config": {"architecture": "x"}, "open_clip_config": {}}, "a/b", "timm", "timm"),
        ({"config": {"model_type": "vit"}, "open_clip_config": {}}, "timm/b", None, "open_clip"),
    )):  # fmt: skip
        folder = tmp_path / str(number)
        write(folder, **files)
        assert library_of(folder, name, card) == library
        assert is_checkpoint(folder)
    write(tmp_path / "none", config=[1])
    assert not is_checkpoint(tmp_path / "none")
    with pytest.raises(UsageError) as refused:
        library_of(tmp_path / "none", "mine", "keras")
    assert "open_clip" in str(refused.value)
    write(tmp_path / "x", open_clip_config={})
    with pytest.raises(UsageError) as refused:
        load_files(folder_checkpoint(LoadRequest(f"{tmp_path}/x?output=a&patches=2")), LoadRequest("x"))
    assert "local-dir:x?output=a&patches=2" in str(refused.value)
    assert (
        folder_checkpoint(LoadRequest(f"local-dir:{tmp_path}/x?patches=2&output=a")).name
        == "local-dir:x?output=a&patches=2"
    )
    with pytest.raises(UsageError, match="local-dir:/no/such"):
        folder_checkpoint(LoadRequest("local-dir:/no/such"))


def test_read_config_and_tensors(tmp_path: Path) -> None:
    assert read_config(tmp_path / "config.json") == {}
    for content, config in (('{"a": 1}', {"a": 1}), ("[1]", {}), ("3", {})):
        (tmp_path / "config.json").write_text(content)
        assert read_config(tmp_path / "config.json") == config
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(EncoderError, match=f"{tmp_path.name}"):
        read_config(tmp_path / "config.json")
    with pytest.raises(EncoderError, match=f"{tmp_path.name}"):
        read_tensors(tmp_path)
    for i in (1, 2):
        torch.save({f"b{i}": torch.ones(1)}, tmp_path / f"pytorch_model-0000{i}-of-00002.bin")
    torch.save({"x": torch.ones(1)}, tmp_path / "other.bin")
    assert sorted(read_tensors(tmp_path)) == ["b1", "b2"]
    save_file({"a": torch.ones(1)}, tmp_path / "model.safetensors")
    assert sorted(read_tensors(tmp_path)) == ["a"]


def test_check_files__of_a_folder_for_another_framework(tmp_path: Path) -> None:
    write(tmp_path, config={})
    (tmp_path / "tf_model.h5").write_text("x")
    with pytest.raises(UsageError, match="TensorFlow"):
        check_files(tmp_path, "mine")
    for ending in ("safetensors", "bin", "pth", "pt"):
        file = tmp_path / f"model.{ending}"
        file.write_text("x")
        check_files(tmp_path, "mine")
        file.unlink()
        file.mkdir()
        file.rmdir()
    for name in ("a.json", "a.txt", "a.model", "a.pt"):
        (tmp_path / "model.bin").write_text("x")
        (tmp_path / name).symlink_to("/dev/null")
        with pytest.raises(EncoderError, match=f"{name}"):
            check_files(tmp_path, "mine")
        (tmp_path / name).unlink()
    (tmp_path / "a.other").symlink_to("/dev/null")
    check_files(tmp_path, "mine")


class Hub:
    """The client's calls, by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, **files: Any) -> None:
        self.folder, self.names, self.fetched, self.sha = folder, ["config.json"], [], "c" * 40  # type: ignore[var-annotated]
        self.error: Exception | None = None
        monkeypatch.setattr(huggingface_hub.HfApi, "model_info", self.model_info)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", self.download)

    def model_info(self, repo: str, revision: str | None = None) -> Any:
        if self.error is not None:
            raise self.error
        siblings = [SimpleNamespace(rfilename=name) for name in self.names]
        return SimpleNamespace(siblings=siblings, library_name=None, sha=self.sha)

    def download(self, repo: str, revision: str | None = None, **options: Any) -> str:
        self.fetched.append((repo, revision, options))
        return str(self.folder)


def test_fetch__what_is_downloaded_and_from_which_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(monkeypatch, tmp_path)
    hub.names = ["config.json", "model.safetensors", "x.py"]
    assert fetch("a/b", None) == (tmp_path, hub.sha)
    assert hub.fetched.pop() == ("a/b", hub.sha, {"allow_patterns": ["config.json", "model.safetensors"]})
    fetch("a/b", "main", True, weights=False)
    assert hub.fetched.pop() == ("a/b", hub.sha, {"allow_patterns": ["config.json", "x.py"]})
    hub.sha = ""
    assert [fetch("a/b", revision)[1] for revision in ("v1", None)] == ["v1", "main"]
    hub.names = ["config.json", "flax_model.msgpack"]
    with pytest.raises(UsageError, match="a/b@v1"):
        fetch("a/b", "v1")
    assert fetch("a/b", None, weights=False)[0] == tmp_path


def caused_by(cause: Exception) -> Exception:
    error = ValueError("the client failed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.HFValidationError("x"), "UsageError: a/b@v is not a name that the Hub can have"),
        (RuntimeError("bad\nmore"), "EncoderError: a/b@v: cannot be fetched (RuntimeError: bad)"),
        (OSError(28, "No space left on device"), "EncoderError: a/b@v: cannot be fetched (DiskError: "),
        (RemoteError("the server sent too little"),
         "EncoderError: a/b@v: cannot be fetched (the server sent too little)"),
        (caused_by(RemoteError("too slow")), "EncoderError: a/b@v: cannot be fetched (too slow)"),
        (EncoderError("as it is"), "EncoderError: as it is"),
    ],
)  # fmt: skip
def test_fetch__errors_of_a_download(
    error: Exception, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub(monkeypatch, tmp_path)
    hub.names.append("model.safetensors")

    def fail(*arguments: Any, **named: Any) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(CamtraceError) as refused:
        fetch("a/b", "v")
    assert f"{type(refused.value).__name__}: {refused.value}".startswith(message)
