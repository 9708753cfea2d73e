"""How many bytes of each file of others are read at most, by every loader that opens one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchmark.encoders.loaders import hub
from builders.errors import EncoderError


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "spiece.model"])
def test_check_files__a_description_that_is_too_large(name: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    (tmp_path / name).touch()
    os.truncate(tmp_path / name, 256 << 20)
    hub.check_files(tmp_path, "mine")
    os.truncate(tmp_path / name, (256 << 20) + 1)
    with pytest.raises(EncoderError, match=f"{name}"):
        hub.check_files(tmp_path, "mine")
    os.truncate(tmp_path / "model.safetensors", (256 << 20) + 1)
    (tmp_path / name).write_text(json.dumps({}))
    hub.check_files(tmp_path, "mine")


@pytest.mark.parametrize("name", ["a.safetensors", "b.bin", "c.pth", "d.pt", "e.json", "f.txt", "g.model"])
def test_check_files__a_link_to_nothing_and_a_pipe(name: str, tmp_path: Path) -> None:
    for make in (os.mkfifo, lambda file: os.symlink("absent", file)):
        (tmp_path / "model.safetensors").touch()
        make(tmp_path / name)
        with pytest.raises(EncoderError, match=rf"^mine: {name}: "):
            hub.check_files(tmp_path, "mine")
        (tmp_path / name).unlink()
    hub.check_files(tmp_path, "mine")
