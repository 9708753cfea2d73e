"""A folder by its address: on a disk that machines share, or wherever fsspec reaches (``s3://``, ``hf://buckets/``).

A file is there whole or not at all: on disks by a temporary name and a rename, on object stores because a put is one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.errors import DataError, UsageError, disk_error, missing_package
from builders.files import sweep_temporaries, temporary_path, write_bytes_atomically
from builders.untrusted import files_below, first_line, list_folder, walk_folders

PACKAGE_OF = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
"""Protocol of an address -> the package that fsspec needs for it."""

OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "hf", "oss", "oci"})
"""Protocols of stores that know no folders."""


@dataclass(frozen=True)
class StorageFolder:
    """A folder.

    >>> StorageFolder.of("s3://bucket/run/") / "ranks"
    Place(address='s3://bucket/run/ranks')
    """

    address: str
    """A path, or an address with ``://``, without a slash at its end."""

    @classmethod
    def of(cls, address: str | Path) -> StorageFolder:
        """Any way to write it.

        Raises:
            UsageError: a repository, where every file would be a commit.
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
        """Its path, if it is on a disk of this machine."""
        return None if "://" in self.address else Path(self.address)

    def path(self, name: str) -> str:
        """The address of a file in it."""
        return f"{self.address}/{name}"

    def read(self, name: str) -> bytes | None:
        """The bytes of a file; None if it is not there.

        Raises:
            DataError: it is there and cannot be read.
        """
        try:
            if self.folder is not None:
                return (self.folder / name).read_bytes()
            files, path = self._remote(name)
            found: bytes = files.cat_file(path)
            return found
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DataError(f"{self.path(name)}: cannot be read ({error.strerror or error})") from None

    def write(self, name: str, data: bytes) -> None:
        """Put a file there, in place of what has its name.

        Raises:
            DiskError: it cannot be written.
        """
        with self._writing(name):
            if self.folder is not None:
                write_bytes_atomically(self.folder / name, data, durable=True)
                return
            files, path = self._remote(name)
            self._make_folder(files, path)
            files.pipe_file(path, data)

    def put(self, file: Path, name: str) -> None:
        """Copy a file of this machine there.

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
            self._make_folder(files, path)
            files.put_file(str(file), path)

    def get(self, name: str, file: Path) -> None:
        """Copy a file from there to this machine.

        Raises:
            DataError: it is not there.
            DiskError: it cannot be written here.
        """
        temporary = temporary_path(file)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if self.folder is not None:
                shutil.copyfile(self.folder / name, temporary)
            else:
                files, path = self._remote(name)
                files.get_file(path, str(temporary))
            temporary.replace(file)
        except FileNotFoundError:
            raise DataError(f"{self.path(name)}: is not there") from None
        except OSError as error:
            raise disk_error(error, file) from None
        finally:
            temporary.unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Of the files directly in it, sorted; none if it is not there."""
        try:
            if self.folder is not None:
                names = list_folder(self.folder, may_be_absent=True).files
                return [name for name in names if (self.folder / name).is_file()]
            files, path = self._remote("")
            files.invalidate_cache()
            listed = files.ls(path.rstrip("/"), detail=True)
            return sorted(one["name"].rpartition("/")[2] for one in listed if one["type"] == "file")
        except (FileNotFoundError, NotADirectoryError):
            return []

    def all_names(self) -> list[str]:
        """Of the files in it and below, with the folders between, sorted; none if it is not there."""
        if self.folder is not None:
            names = files_below(self.folder, may_be_absent=True)
            return sorted(name for name in names if (self.folder / name).is_file())
        files, path = self._remote("")
        root = path.rstrip("/")
        try:
            files.invalidate_cache()
            return sorted(name.removeprefix(f"{root}/") for name in files.find(root) if name != root)
        except FileNotFoundError:
            return []

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            if self.folder is not None:
                (self.folder / name).unlink(missing_ok=True)
            else:
                files, path = self._remote(name)
                files.rm_file(path)
        except FileNotFoundError:
            pass

    def sweep(self) -> None:
        """Remove what killed ranks left half-written in it and below: nobody writes there now."""
        if self.folder is not None:
            for folder in walk_folders(self.folder, may_be_absent=True):
                sweep_temporaries(Path(folder.path), exclusive=True)

    def _remote(self, name: str) -> tuple[Any, str]:
        """(file system, path in it)."""
        from fsspec.core import url_to_fs

        try:
            files, path = url_to_fs(self.path(name))
        except ImportError:
            protocol = self.address.partition("://")[0]
            package = PACKAGE_OF.get(protocol, f"fsspec[{protocol}]")
            raise UsageError(missing_package(package, self.address, install=package)) from None
        except ValueError as error:
            raise UsageError(f"{self.address}: no address that can be read ({first_line(error)})") from None
        return files, path

    def _make_folder(self, files: Any, path: str) -> None:
        """Of a file; an object store has none, and would make a bucket by a misspelt name."""
        if self.address.partition("://")[0] not in OBJECT_STORES:
            files.makedirs(path.rpartition("/")[0], exist_ok=True)

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise disk_error(error, self.path(name)) from None


def gather_files(place: StorageFolder, folder: Path) -> None:
    """Copy every file of a place into a folder of this machine; none if the place is not there."""
    for name in place.all_names():
        place.get(name, folder / name)


def hand_over_files(folder: Path, place: StorageFolder) -> None:
    """Copy every file of a folder to a place, in place of what has its name."""
    for name in files_below(folder, may_be_absent=True):
        if (folder / name).is_file() and not name.endswith(".tmp"):
            place.put(folder / name, name)
