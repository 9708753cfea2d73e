"""Folders by address: on a disk that machines share, or in any store of fsspec (``s3://``, ``hf://buckets/``).

A file is complete or absent: on disks by a temporary name and a rename, in object stores because an upload is atomic.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.errors import DataError, UsageError, disk_error, missing_package
from builders.files import sweep_temporaries, temporary_path, write_bytes_atomically
from builders.untrusted import (
    files_below,
    first_line,
    list_folder,
    open_store,
    open_untrusted,
    read_untrusted,
    store_errors,
    walk_folders,
)

PACKAGE_OF = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
"""Protocol of an address -> the package that fsspec needs for it."""

OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "hf", "oss", "oci"})
"""Protocols of stores without folders."""


MAX_READ_BYTES = 1 << 30
"""Of a plan, a marker or a block of embeddings, which are read into memory."""


@dataclass(frozen=True)
class StorageFolder:
    """A folder on a disk or in an object store.

    >>> StorageFolder.of("s3://bucket/run/") / "ranks"
    StorageFolder(address='s3://bucket/run/ranks')
    """

    address: str
    """A path, or an address with ``://``, without a slash at the end."""

    @classmethod
    def of(cls, address: str | Path) -> StorageFolder:
        """The folder of an address as users write it.

        Raises:
            UsageError: the address of a repository, where every file would be a commit.
        """
        text = str(address)
        if text.startswith("file://"):
            text = text.removeprefix("file://")
        if text.startswith("hf://") and not text.startswith("hf://buckets/"):
            raise UsageError(
                f"{text}: in a repository every file is a commit, of which the Hub takes 128 an hour; give "
                "hf://buckets/OWNER/NAME/..., and publish when all is finished"
            )
        return cls(text.rstrip("/") or "/")

    def __truediv__(self, name: str) -> StorageFolder:
        return StorageFolder(f"{self.address}/{name}")

    def __str__(self) -> str:
        return self.address

    @property
    def folder(self) -> Path | None:
        """Its path if it is on a disk of this machine, else None."""
        return None if "://" in self.address else Path(self.address)

    def path(self, name: str) -> str:
        """The address of a file in it."""
        return f"{self.address}/{name}"

    def read(self, name: str) -> bytes | None:
        """The bytes of a file; None if it is absent.

        Raises:
            DataError: it cannot be read.
        """
        try:
            if self.folder is not None:
                return read_untrusted(_present(self.folder / name), limit=MAX_READ_BYTES)
            files, path = self._remote(name)
            with store_errors():
                data: bytes = files.cat_file(path)
            return data
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unread(name, error) from None

    def write(self, name: str, data: bytes) -> None:
        """Write a file; replaces an existing one.

        Raises:
            DiskError: it cannot be written.
        """
        with self._writing(name):
            if self.folder is not None:
                write_bytes_atomically(self.folder / name, data, durable=True)
                return
            files, path = self._remote(name)
            with store_errors():
                self._make_folder(files, path)
                files.pipe_file(path, data)

    def put(self, file: Path, name: str) -> None:
        """Copy a file of this machine into the folder.

        Raises:
            DiskError: it cannot be written.
        """
        with self._writing(name):
            if self.folder is not None:
                target = self.folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary = temporary_path(target)
                try:
                    shutil.copyfile(file, temporary)
                    temporary.replace(target)
                finally:
                    temporary.unlink(missing_ok=True)
                return
            files, path = self._remote(name)
            with store_errors():
                self._make_folder(files, path)
                files.put_file(str(file), path)

    def get(self, name: str, file: Path) -> None:
        """Copy a file of the folder to this machine.

        Raises:
            DataError: it is absent, or cannot be read.
            DiskError: it cannot be written to this machine.
        """
        temporary = temporary_path(file)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if self.folder is not None:
                source = _present(self.folder / name)
                with open_untrusted(source, limit=sys.maxsize) as stream, open(temporary, "wb") as copy:
                    shutil.copyfileobj(stream, copy, 1 << 20)
            else:
                files, path = self._remote(name)
                with store_errors():
                    files.get_file(path, str(temporary))
            temporary.replace(file)
        except FileNotFoundError:
            raise DataError(f"{self.path(name)}: is not there") from None
        except OSError as error:
            raise (self._unread(name, error) if error.errno is None else disk_error(error, file)) from None
        finally:
            temporary.unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Names of the files directly in it, sorted; none if the folder is absent. Raises ``DataError``."""
        try:
            if self.folder is not None:
                names = list_folder(self.folder, may_be_absent=True).files
                return [name for name in names if (self.folder / name).is_file()]
            files, path = self._remote("")
            with store_errors():
                files.invalidate_cache()
                listed = files.ls(path.rstrip("/"), detail=True)
            return sorted(entry["name"].rpartition("/")[2] for entry in listed if entry["type"] == "file")
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._unlisted(error) from None

    def all_names(self) -> list[str]:
        """Relative paths of the files in it and below, sorted; none if the folder is absent. Raises ``DataError``."""
        if self.folder is not None:
            names = files_below(self.folder, may_be_absent=True)
            return sorted(name for name in names if (self.folder / name).is_file())
        files, path = self._remote("")
        root = path.rstrip("/")
        try:
            with store_errors():
                files.invalidate_cache()
                return sorted(name.removeprefix(f"{root}/") for name in files.find(root) if name != root)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unlisted(error) from None

    def remove(self, name: str) -> None:
        """Remove a file, if it exists. Raises ``DiskError``."""
        try:
            if self.folder is not None:
                (self.folder / name).unlink(missing_ok=True)
            else:
                files, path = self._remote(name)
                with store_errors():
                    files.rm_file(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise disk_error(error, self.path(name)) from None

    def sweep(self) -> None:
        """Remove files that killed ranks left half-written in it and below. No process may be writing there."""
        if self.folder is not None:
            for folder in walk_folders(self.folder, may_be_absent=True):
                sweep_temporaries(Path(folder.path), exclusive=True)

    def _remote(self, name: str) -> tuple[Any, str]:
        """fsspec's file system, and the path of a file in it."""
        try:
            return open_store(self.path(name))
        except ImportError:
            protocol = self.address.partition("://")[0]
            package = PACKAGE_OF.get(protocol, f"fsspec[{protocol}]")
            raise UsageError(missing_package(package, self.address, install=package)) from None
        except OSError as error:
            raise UsageError(f"{self.address}: no address that can be read ({first_line(error)})") from None

    def _unread(self, name: str, error: OSError) -> DataError:
        return DataError(f"{self.path(name)}: cannot be read ({error.strerror or first_line(error)})")

    def _unlisted(self, error: OSError) -> DataError:
        return DataError(f"{self.address}: cannot be listed ({first_line(error)})")

    def _make_folder(self, files: Any, path: str) -> None:
        """Make the folder of a file, except in object stores, which would make a bucket of a misspelt name."""
        if self.address.partition("://")[0] not in OBJECT_STORES:
            files.makedirs(path.rpartition("/")[0], exist_ok=True)

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise disk_error(error, self.path(name)) from None


def _present(path: Path) -> Path:
    """The path of what is there; raises ``FileNotFoundError`` for what is not."""
    if not os.path.lexists(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return path


def download_files(place: StorageFolder, folder: Path) -> None:
    """Copy every file of a storage folder into a folder of this machine; none if the storage folder is absent."""
    for name in place.all_names():
        place.get(name, folder / name)


def upload_files(folder: Path, place: StorageFolder) -> None:
    """Copy every file of a folder of this machine to a storage folder; replaces existing files."""
    for name in files_below(folder, may_be_absent=True):
        if (folder / name).is_file() and not name.endswith(".tmp"):
            place.put(folder / name, name)
