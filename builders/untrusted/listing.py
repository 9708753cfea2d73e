"""Complete listings of folders, or an error: ``os.walk`` and ``Path.rglob`` skip what cannot be listed."""

from __future__ import annotations

import errno
import fnmatch
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from builders.untrusted.documents import UntrustedInputError

_LOST = frozenset(
    getattr(errno, name) for name in ("EIO", "ESTALE", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN") if hasattr(errno, name)
)
"""Errors of a disk or a mount that has gone: it is unknown whether a folder or a file was there."""


class Folder(NamedTuple):
    """A folder and the names in it, sorted."""

    path: str
    folders: list[str]
    """Links to folders too. A caller of ``walk_folders`` may remove names: those folders are not walked."""
    files: list[str]
    """Everything else, links to nothing included."""

    @property
    def is_empty(self) -> bool:
        """Whether there is no name in it."""
        return not self.folders and not self.files


def list_folder(path: str | os.PathLike[str], *, may_be_absent: bool = False) -> Folder:
    """The names in a folder.

    Args:
        path: of the folder.
        may_be_absent: an absent folder has no names; by default it is an error.

    Raises:
        UntrustedInputError: it cannot be listed.
    """
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                (folders if _is_folder(entry) else files).append(entry.name)
    except OSError as error:
        if not (may_be_absent and isinstance(error, FileNotFoundError | NotADirectoryError)):
            raise UntrustedInputError(path, f"the folder cannot be listed ({error.strerror or error})") from None
    return Folder(os.fspath(path), sorted(folders), sorted(files))


def walk_folders(root: str | os.PathLike[str], *, links: bool = False, may_be_absent: bool = False) -> Iterator[Folder]:
    """Yield a folder and all folders below it, each before those in it, in the order of names.

    Args:
        root: the first folder.
        links: also walk links to folders, each real folder once.
        may_be_absent: a folder that is absent, or disappears, has no names; by default it is an error.

    Raises:
        UntrustedInputError: one of them cannot be listed.
    """
    waiting, seen = [os.fspath(root)], set[str]()
    while waiting:
        path = waiting.pop()
        if links:
            real = os.path.realpath(path)
            if real in seen:
                continue
            seen.add(real)
        folder = list_folder(path, may_be_absent=may_be_absent)
        yield folder
        below = [os.path.join(path, name) for name in reversed(folder.folders)]
        waiting += [child for child in below if links or not os.path.islink(child)]


def files_below(
    root: str | os.PathLike[str], *, links: bool = False, hidden: bool = True, may_be_absent: bool = False
) -> list[str]:
    """Every file in a folder and below it, as paths relative to it with forward slashes; files of a folder come before
    those of its sub-folders.

    Args:
        root: the folder.
        links: follow links to folders, each real folder once.
        hidden: include names that begin with a dot.
        may_be_absent: a folder that is absent, or disappears, has no names; by default it is an error.

    Raises:
        UntrustedInputError: it, or a folder below it, cannot be listed.
    """
    paths: list[str] = []
    for folder in walk_folders(root, links=links, may_be_absent=may_be_absent):
        if not hidden:
            folder.folders[:] = [name for name in folder.folders if not name.startswith(".")]
        relative = os.path.relpath(folder.path, root).replace(os.sep, "/")
        before = "" if relative == "." else f"{relative}/"
        paths += [before + name for name in folder.files if hidden or not name.startswith(".")]
    return paths


def files_matching(folder: str | os.PathLike[str], pattern: str) -> list[Path]:
    """Files in a folder, not below it, whose names match a pattern of a shell, sorted; none if the folder is absent.

    Raises:
        UntrustedInputError: it cannot be listed.
    """
    names = list_folder(folder, may_be_absent=True).files
    return [Path(folder, name) for name in names if fnmatch.fnmatchcase(name, pattern)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:  # of a link
        if error.errno in _LOST:
            raise
        return False  # reading it as a file then reports the reason
