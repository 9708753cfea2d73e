"""Views as files that are made when they are opened: ``camtrace-view://<set>/<row>-<class>.jpg`` for fsspec.

A column of such addresses is an ordinary ``datasets.Image`` column, so all functions of the library for images in files
(decode, format, transform, map, embed, save) work with views. An address needs the set that it belongs to. The set is
in the memory of this process and of processes forked from it; if its photos are in files, it is also in a private
folder, which spawned processes read.
"""

from __future__ import annotations

import atexit
import io
import os
import pickle
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import fsspec

from builders.errors import PhotoError, UsageError
from builders.files import private_scratch, scratch_prefix, sweep_scratch
from builders.pixels import Parameter, decode_rgb, processed_file
from builders.processed.rows import ProcessingSettings, file_name
from builders.untrusted import read_image_cell


@dataclass(frozen=True)
class AllowedFolders:
    """Reads image cells: their bytes, or a regular file in an allowed folder."""

    folders: tuple[str, ...]
    named: bool
    """Whether the user named a folder."""

    def read(self, cell: Any) -> bytes:
        """The file of a cell. Raises ``PhotoError``: neither bytes nor such a file."""
        try:
            return read_image_cell(cell, self.folders)
        except PhotoError as error:
            if self.named or "outside the data set" not in str(error):
                raise
            raise PhotoError(f"{error}; if its photos lie there, say so by folder=DIR") from None


def allowed_folders(dataset: Any, folder: str | os.PathLike[str] | None) -> AllowedFolders:
    """The folders whose files rows of a data set may name.

    Args:
        dataset: a ``datasets.Dataset`` or ``IterableDataset``.
        folder: folder of its files, named by the user.

    Raises:
        UsageError: there is no such folder.
    """
    if folder is not None and not Path(folder).expanduser().is_dir():
        raise UsageError(f"folder={os.fspath(folder)}: there is no such folder")
    named = [] if folder is None else [os.path.realpath(Path(folder).expanduser())]
    return AllowedFolders((*named, *_arrow_folders(dataset), *_hub_folders(dataset)), folder is not None)


def _arrow_folders(dataset: Any) -> Iterator[str]:
    """Folders of the files that the data set is read from."""
    for file in getattr(dataset, "cache_files", None) or ():
        yield os.path.dirname(os.path.realpath(file["filename"]))


def _hub_folders(dataset: Any) -> Iterator[str]:
    """Caches of the Hub's clients: the repository of the data set by name, and downloaded files and archives."""
    from datasets import config
    from huggingface_hub import constants

    name = str(dataset.info.dataset_name or "")
    cache = Path(constants.HF_HUB_CACHE)
    if name and cache.is_dir():
        yield from (str(path) for path in cache.glob("datasets--*") if path.name.rpartition("--")[2] == name)
    yield from (str(config.DOWNLOADED_DATASETS_PATH), str(config.EXTRACTED_DATASETS_PATH))


PROTOCOL = "camtrace-view"

WRITTEN_OUT = "with_processing(..., decode=False).map(dict).with_format(None)"
"""The code that turns views into rows with their bytes, for messages."""

MAX_DECODED = 2
"""Decoded photos that are cached for their next view: views of one photo are adjacent rows."""


@dataclass(frozen=True)
class ViewSet:
    """Makes the views of one wrapped data set. Picklable if its photos are."""

    photos: Any
    """``datasets.Dataset`` with the image column alone, undecoded."""
    image: str
    ids: tuple[str, ...]
    settings: ProcessingSettings
    files: AllowedFolders

    @property
    def parameter(self) -> Parameter:
        return self.settings.question

    def original(self, row: int) -> bytes:
        """The original file of a photo. Raises ``PhotoError``."""
        return cell_file(self.photos[row][self.image], self.files)


_lock = threading.Lock()

_decoded: OrderedDict[tuple[str, int], Any] = OrderedDict()

_sets: dict[str, ViewSet] = {}


def share_views(views: ViewSet) -> str:
    """Register a set of views. Returns its token: 16 hex digits at the beginning of its addresses."""
    token = secrets.token_hex(8)
    _sets[token] = views
    if views.photos.cache_files:  # a pickle names files; photos in memory would be copied
        sweep_scratch()
        folder = private_scratch()
        if folder is not None:
            path = folder / f"{scratch_prefix()}{token}"  # a later process removes files of killed ones
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                pickle.dump(views, stream)
            atexit.register(_forget, path, os.getpid())
    return token


def address(token: str, parameter: Parameter, row: int, code: int) -> str:
    """The address of one view.

    >>> from builders.pixels import ALL_PARAMETERS
    >>> address("0123456789abcdef", ALL_PARAMETERS["jpeg"], 7, 2)
    'camtrace-view://0123456789abcdef/7-2.jpg'
    """
    return f"{PROTOCOL}://{token}/{row}-{code}{parameter.made_by[code].suffix}"


def cell_file(cell: Any, files: AllowedFolders) -> bytes:
    """The file of an image cell: a view of another set, or a file in an allowed folder. Raises ``PhotoError``."""
    path = cell.get("path") if isinstance(cell, dict) else None
    if isinstance(path, str) and path.startswith(f"{PROTOCOL}://") and cell.get("bytes") is None:
        return view_file(path)
    return files.read(cell)


def view_file(path: str) -> bytes:
    """The file at an address.

    Raises:
        PhotoError: the set of the address is not in this process, or the photo cannot be processed.
    """
    token, views, row, code = _parsed(path)
    made_by = views.parameter.made_by[code]
    return processed_file(_decoded_photo(token, views, row), made_by, views.ids[row], views.settings.seed)


def view_cell(path: str) -> dict[str, Any]:
    """The image cell of a view as a build stores it. Raises as ``view_file``."""
    _, views, row, code = _parsed(path)
    return {"bytes": view_file(path), "path": file_name(views.ids[row], views.parameter, code)}


def _parsed(path: str) -> tuple[str, ViewSet, int, int]:
    match = re.fullmatch(r"(?:camtrace-view://)?([0-9a-f]{16})/(\d{1,12})-(\d{1,4})\.\w+", path)
    if match is None:
        raise PhotoError("not the address of a view")
    views, row, code = _set_of(match[1]), int(match[2]), int(match[3])
    if row >= len(views.ids) or code >= len(views.parameter.classes):
        raise PhotoError("not the address of a view")
    return match[1], views, row, code


def _decoded_photo(token: str, views: ViewSet, row: int) -> Any:
    with _lock:
        if (token, row) in _decoded:
            _decoded.move_to_end((token, row))
            return _decoded[token, row]
    image = decode_rgb(views.original(row))
    with _lock:
        _decoded[token, row] = image
        while len(_decoded) > MAX_DECODED:
            _decoded.popitem(last=False)
    return image


class ViewImage(datasets.Image):
    """An image column of views.

    Images that a ``map`` returns unchanged stay views, as images in local files stay files. Otherwise the library would
    encode them again, which destroys the traces.
    """

    def decode_example(self, value: Any, token_per_repo_id: Any = None) -> Any:
        image = super().decode_example(value, token_per_repo_id)
        path = value.get("path") if isinstance(value, dict) and value.get("bytes") is None else None
        if isinstance(path, str) and path.startswith(f"{PROTOCOL}://"):
            image.filename = path
        return image

    def __eq__(self, other: object) -> bool:
        return isinstance(other, datasets.Image) and (self.mode, self.decode) == (other.mode, other.decode)

    __hash__ = None  # type: ignore[assignment]


class ViewFiles(fsspec.AbstractFileSystem):
    """Views as a read-only file system of fsspec."""

    protocol = PROTOCOL
    cachable = False

    def _open(self, path: str, mode: str = "rb", **options: Any) -> io.BytesIO:
        if mode != "rb":
            raise PhotoError("views can be read, not written")
        return io.BytesIO(view_file(self._strip_protocol(path)))

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        raise UsageError(
            f"views are made when they are read: {WRITTEN_OUT} writes them out, and that can be saved and pushed"
        )

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return path.removeprefix(f"{PROTOCOL}://") if isinstance(path, str) else path


fsspec.register_implementation(PROTOCOL, ViewFiles, clobber=True)


def _set_of(token: str) -> ViewSet:
    if token not in _sets:
        folder = private_scratch(make=False)
        path = next(folder.glob(f"*-{token}"), None) if folder else None
        if path is None:
            raise PhotoError(
                "the data set that this view belongs to is not in this process: call with_processing here, or save "
                f"there what {WRITTEN_OUT} writes out"
            )
        with open(path, "rb") as stream:  # written by share_views to a folder that only this user can write
            _sets[token] = pickle.load(stream)
    return _sets[token]


def _forget(path: Path, process: int) -> None:
    if os.getpid() == process:
        path.unlink(missing_ok=True)
