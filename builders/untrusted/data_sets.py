"""Checks that an untrusted data set makes ``load_dataset`` read files inside it only, wherever its card points."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from builders.errors import DataError, PhotoError
from builders.files import MAX_PHOTO_BYTES
from builders.untrusted.documents import UntrustedInputError, parse_yaml
from builders.untrusted.files import MAX_CONFIG_BYTES, read_untrusted, read_untrusted_text
from builders.untrusted.hub_client import from_hub
from builders.untrusted.listing import walk_folders
from builders.untrusted.text import readable

CARDS = ("README.md", ".huggingface.yaml")
"""Files of a data set that name its data files."""


def check_data_set(location: str, revision: str | None = None) -> None:
    """Check that a data set contains its data, before a library follows the paths in its card.

    Its card must be YAML without aliases whose ``data_files`` and ``data_dir`` are paths inside the data set. A local
    folder must consist of regular files and folders, and links to such inside it.

    Args:
        location: ``org/name`` on the Hub, or the path of a local folder.
        revision: commit, tag or branch on the Hub.

    Raises:
        DataError: with the reason.
    """
    folder = Path(location)
    if folder.is_dir():
        _check_files(folder)
    elif folder.exists():
        return  # a single file: its reader reports what is wrong with it
    for name in CARDS:
        card = _card(folder, location, revision, name)
        if card is None:
            continue
        text = read_untrusted_text(card)
        described = text if name != "README.md" else _front(text)
        check_card(parse_yaml(described, f"{location}: {name}"), f"{location}: {name}")


def check_card(described: Any, where: str) -> None:
    """Check that the configurations of a card name files inside the data set.

    Args:
        described: the YAML of the card, as plain values.
        where: first words of an error.

    Raises:
        DataError: a path leaves the data set.

    >>> check_card({"configs": [{"config_name": "a", "data_files": "../x.csv"}]}, "README.md")
    Traceback (most recent call last):
    builders.errors.DataError: README.md: its data are at '../x.csv', which is not inside the data set
    """
    configs = described.get("configs") if isinstance(described, Mapping) else None
    for config in configs if isinstance(configs, list) else ():
        if isinstance(config, Mapping):
            for path in (*_texts(config.get("data_files")), *_texts(config.get("data_dir"))):
                if not _inside(path):
                    raise DataError(f"{where}: its data are at {readable(path)!r}, which is not inside the data set")


def read_image_cell(cell: Any, roots: tuple[str, ...]) -> bytes:
    """The file of an image cell: its bytes, or those of a regular file inside the data set.

    Args:
        cell: ``{"bytes": ..., "path": ...}``; untrusted.
        roots: folders with the files of the data set.

    Raises:
        PhotoError: the cell has neither, or names another file.
    """
    if cell is None:
        raise PhotoError("the row holds no image")
    if not isinstance(cell, Mapping) or not isinstance(cell.get("bytes"), bytes | None):
        raise PhotoError("the cell is no image")
    data, path = cell.get("bytes"), cell.get("path")
    if data is not None:
        return data
    if not isinstance(path, str) or not path:
        raise PhotoError("the row holds neither bytes nor a path")
    for root in roots if "\0" not in path else ():
        if os.path.realpath(path).startswith(os.path.realpath(root).rstrip(os.sep) + os.sep):
            try:
                return read_untrusted(path, limit=MAX_PHOTO_BYTES, inside=Path(root))
            except UntrustedInputError as error:
                raise PhotoError(f"the file of the row: {error.reason}") from None
    raise PhotoError(f"the row names a file outside the data set ({readable(path[:200])})")


def roots_of(location: str) -> tuple[str, ...]:
    """Folders with the files of a data set: the local folder, or the caches of the Hub's clients."""
    if Path(location).is_dir():
        return (os.path.realpath(location),)
    from datasets import config
    from huggingface_hub import constants

    repository_cache = os.path.join(constants.HF_HUB_CACHE, f"datasets--{location.replace('/', '--')}")
    return repository_cache, str(config.EXTRACTED_DATASETS_PATH), str(config.DOWNLOADED_DATASETS_PATH)


def _front(text: str) -> str:
    """The YAML before the text of a card, by the library's own pattern: another one may miss what the library reads."""
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    match = REGEX_YAML_BLOCK.search(text)
    return match[2] if match else ""


def _card(folder: Path, location: str, revision: str | None, name: str) -> Path | None:
    if folder.is_dir():
        return folder / name if os.path.lexists(folder / name) else None
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        with from_hub(MAX_CONFIG_BYTES):
            return Path(huggingface_hub.hf_hub_download(location, name, repo_type="dataset", revision=revision))
    # Absent, or it cannot be fetched: then the library cannot read it either, and reports it.
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError, ValueError):
        return None


def _check_files(folder: Path) -> None:
    root = os.path.realpath(folder)
    for parent, folders, files in walk_folders(root):
        for name in (*files, *folders):
            path = os.path.join(parent, name)
            where = f"{folder}: {readable(os.path.relpath(path, root))}"
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                if not os.path.realpath(path).startswith(root.rstrip(os.sep) + os.sep):
                    raise DataError(f"{where} is a link that leaves the folder")
                try:
                    status = os.stat(path)
                except OSError as error:
                    raise DataError(f"{where} is a link to nothing ({error.strerror})") from None
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                raise DataError(f"{where} is neither a file nor a folder")


def _texts(value: Any) -> Iterator[str]:
    """Every path in a ``data_files`` of any form; names of splits are left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key != "split":
                yield from _texts(item)


def _inside(path: str) -> bool:
    parts = path.replace("\\", "/").split("/")
    leaves = path.startswith(("/", "\\", "~")) or ".." in parts or parts[0][1:2] == ":"
    return not (leaves or "://" in path or "::" in path)
