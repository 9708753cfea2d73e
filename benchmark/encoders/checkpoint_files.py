"""What the small files of a checkpoint say, whoever made them: regular files of modest size, or refused by name."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.errors import EncoderError
from builders.outside import (
    MAX_CONFIG_BYTES,
    MAX_HUB_FILE_BYTES,
    Refused,
    list_folder,
    open_outside,
    read_outside,
    read_outside_text,
    said_by_client,
)

if TYPE_CHECKING:
    import torch

_READ = (".safetensors", ".bin", ".pth", ".pt")
"""Ends of names of weights files."""

LARGEST_DESCRIPTION = 256 * 2**20
"""Bytes of a configuration or vocabulary: the largest vocabularies have 40 MB."""


def check_files(folder: Path, name: str) -> None:
    """See that a library can read a checkpoint: regular files, and none of its descriptions too large to be one.

    Raises:
        EncoderError: one is a pipe, a device, a link to nothing, or too large; or the folder cannot be listed.
    """
    try:
        files = [folder / file for file in list_folder(folder).files]
    except Refused as refused:
        raise EncoderError(f"{name}: {refused.reason}") from None
    for file in files:
        if file.suffix in _READ or file.suffix in (".json", ".txt", ".model"):
            try:
                with open_outside(file, limit=MAX_HUB_FILE_BYTES if file.suffix in _READ else LARGEST_DESCRIPTION):
                    pass
            except Refused as refused:
                raise EncoderError(f"{name}: {file.name}: {refused.reason}") from None


def read_config(file: Path) -> dict[str, Any]:
    """A configuration; nothing where there is none, or where it is no object. Raises ``EncoderError``."""
    if not os.path.lexists(file):
        return {}
    try:
        config = json.loads(read_outside_text(file))
    except Refused as refused:
        raise EncoderError(f"{file.parent.name}/{file.name}: {refused.reason}") from None
    except (RecursionError, ValueError) as error:
        raise EncoderError(f"{file.parent.name}/{file.name} is not readable JSON ({said_by_client(error)})") from None
    return config if isinstance(config, dict) else {}


def read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All weights that ``save_pretrained`` of transformers wrote, in one file or several; safetensors preferred.

    Raises:
        EncoderError: there are none.
    """
    import torch
    from safetensors.torch import load_file

    for pattern, read in (
        (r"model(-\d+-of-\d+)?\.safetensors", load_file),
        (r"pytorch_model(-\d+-of-\d+)?\.bin", lambda file: torch.load(file, map_location="cpu", weights_only=True)),
    ):
        files = [file for file in sorted(folder.iterdir()) if re.fullmatch(pattern, file.name)]
        if files:
            return {name: tensor for file in files for name, tensor in read(file).items()}
    raise EncoderError(f"{folder.name}: there is no model.safetensors or pytorch_model.bin")


def library_of_card(folder: Path) -> str | None:
    """``library_name`` in the YAML head of the card, if there is one."""
    try:
        text = read_outside(folder / "README.md", limit=MAX_CONFIG_BYTES).decode("utf-8", "replace")
    except Refused:
        return None
    head = text.split("\n---", 1)[0] if text.startswith("---") else ""
    found = re.search(r"^library_name:\s*['\"]?([\w-]+)", head, re.MULTILINE)
    return found.group(1) if found else None
