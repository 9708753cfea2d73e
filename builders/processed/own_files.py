"""Which files the rows of a loaded data set may name: its own, wherever ``load_dataset`` has put them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.errors import PhotoError, UsageError
from builders.sources import cell_bytes


@dataclass(frozen=True)
class OwnFiles:
    """Reads image cells: their bytes, or a regular file in one of the folders."""

    folders: tuple[str, ...]
    named: bool
    """Whether the user said the folder."""

    def read(self, cell: Any) -> bytes:
        """The file of a cell. Raises ``PhotoError``: neither bytes nor such a file."""
        try:
            return cell_bytes(cell, self.folders)
        except PhotoError as error:
            if self.named or "outside the data set" not in str(error):
                raise
            raise PhotoError(f"{error}; if its photos lie there, say so by folder=DIR") from None


def own_files(dataset: Any, folder: str | os.PathLike[str] | None) -> OwnFiles:
    """The folders of a data set.

    Args:
        dataset: a ``datasets.Dataset`` or ``IterableDataset``.
        folder: where the user says that its files are.

    Raises:
        UsageError: there is no such folder.
    """
    if folder is not None and not Path(folder).expanduser().is_dir():
        raise UsageError(f"folder={os.fspath(folder)}: there is no such folder")
    said = [] if folder is None else [os.path.realpath(Path(folder).expanduser())]
    return OwnFiles((*said, *_arrow_folders(dataset), *_kept(dataset)), folder is not None)


def _arrow_folders(dataset: Any) -> Iterator[str]:
    """Folders of the files that the data set is read from."""
    for file in getattr(dataset, "cache_files", None) or ():
        yield os.path.dirname(os.path.realpath(file["filename"]))


def _kept(dataset: Any) -> Iterator[str]:
    """What the clients of the Hub keep of it: its repository by name, and files and archives that were downloaded."""
    from datasets import config
    from huggingface_hub import constants

    name = str(dataset.info.dataset_name or "")
    kept = Path(constants.HF_HUB_CACHE)
    if name and kept.is_dir():
        yield from (str(path) for path in kept.glob("datasets--*") if path.name.rpartition("--")[2] == name)
    yield from (str(config.DOWNLOADED_DATASETS_PATH), str(config.EXTRACTED_DATASETS_PATH))
