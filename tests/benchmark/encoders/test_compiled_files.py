"""Compiled networks on disk, and the worker process of a first conversion: what is stored, passed, limited and said."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest

from benchmark.encoders import CompiledFile
from benchmark.encoders.runtime import cache
from benchmark.encoders.runtime.cache import CompiledNetwork, package_versions


class Model:
    """A compiled model that is its bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def export_model(self) -> io.BytesIO:
        return io.BytesIO(self.data)


def stored(folder: Path) -> CompiledNetwork:
    network = CompiledNetwork(folder, "key")
    assert network.write([Model(b"abc"), Model(b""), Model(b"de")], 2e-7) == 2e-7
    return network


def test_package_versions__of_those_that_are_installed() -> None:
    versions = package_versions(["pillow", "no-such-package", "numpy"])
    assert versions == {"pillow": PIL.__version__, "numpy": np.__version__}


def test_compiled_network__what_is_written_and_read_again(tmp_path: Path) -> None:
    absent = CompiledNetwork(tmp_path, "key")
    assert absent.read() is None
    assert (absent.error, absent.file) == (math.inf, CompiledFile(0, on_disk=False, new=False))
    assert stored(tmp_path).file == CompiledFile(5, on_disk=True, new=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key.blob", "key.json"]
    blob, about = tmp_path / "key.blob", tmp_path / "key.json"
    assert blob.read_bytes() == b"abcde"
    digest = hashlib.sha256(b"abcde").hexdigest()
    assert json.loads(about.read_text()) == {"relative_error": 2e-7, "sha256": digest, "bytes": [3, 0, 2]}
    assert about.read_text().endswith("}\n")
    os.utime(blob, (1, 1))
    again = CompiledNetwork(tmp_path, "key")
    assert again.read() == [b"abc", b"", b"de"]
    assert (again.error, again.file) == (2e-7, CompiledFile(5, on_disk=True, new=False))
    assert blob.stat().st_mtime > 1  # the last use decides which one is removed
    assert again.write([Model(b"xy")], 9e-6) == 2e-7  # known under the error of the first compilation
    assert json.loads(about.read_text())["relative_error"] == 2e-7
    assert CompiledNetwork(tmp_path, "key").read() == [b"xy"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"sha256": "0" * 64}, 2e-7),
        ({"bytes": 5}, 2e-7),
        ({"bytes": None}, 2e-7),
        ({"relative_error": "much"}, math.inf),
        ({"relative_error": None}, math.inf),
        *((text, math.inf) for text in ("", "{", "[]", "null")),
    ],
)
def test_compiled_network__a_damaged_description_is_none(change: Any, error: float, tmp_path: Path) -> None:
    stored(tmp_path)
    about = tmp_path / "key.json"
    about.write_text(
        change if isinstance(change, str) else json.dumps({**json.loads(about.read_text()), **change}),
    )
    network = CompiledNetwork(tmp_path, "key")
    assert network.read() is None
    assert (network.error, network.file) == (error, CompiledFile(0, on_disk=True, new=False))


@pytest.mark.parametrize("missing", ["sha256", "bytes", "relative_error"])
def test_compiled_network__a_description_without_an_entry_is_none(missing: str, tmp_path: Path) -> None:
    stored(tmp_path)
    about = json.loads((tmp_path / "key.json").read_text())
    about.pop(missing)
    (tmp_path / "key.json").write_text(json.dumps(about))
    assert CompiledNetwork(tmp_path, "key").read() is None


def test_compiled_network__a_file_that_was_removed_leaves_the_error(tmp_path: Path) -> None:
    stored(tmp_path)
    (tmp_path / "key.blob").unlink()
    network = CompiledNetwork(tmp_path, "key")
    assert network.read() is None
    assert (network.error, network.file) == (2e-7, CompiledFile(0, on_disk=False, new=False))


def test_write__a_full_disk_costs_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "write_bytes_atomically", full)
    assert stored(tmp_path).file == CompiledFile(5, on_disk=False, new=True)
    assert list(tmp_path.iterdir()) == []
