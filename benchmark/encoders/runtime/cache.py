"""Compiled networks on disk: one file of models per network, with a checksum; the least recently used are removed."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.compute import library_version
from builders.files import write_bytes_atomically, write_text_atomically

MAX_BYTES = 4 << 30
"""Largest size of all compiled networks in a folder, each as large as its weights."""


def package_versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of those packages that are installed.

    >>> list(package_versions(["torch", "no-such-package"]))
    ['torch']
    """
    return {package: version for package in packages if (version := library_version(package)) is not None}


@dataclass(frozen=True)
class CompiledFile:
    """The file of a compiled network."""

    bytes: int
    on_disk: bool
    """False if it could not be written, such as on a full disk."""
    new: bool
    """Whether it was compiled by this process."""


NO_FILE = CompiledFile(0, on_disk=True, new=False)
"""Of a network that another library than torch has not compiled."""


class CompiledNetwork:
    """Compiled models of one network in one file; a JSON file next to it has their SHA-256, sizes and error."""

    def __init__(self, folder: Path, key: str) -> None:
        self._file, self._description = folder / f"{key}.blob", folder / f"{key}.json"
        self.bytes = 0
        self._new = False
        self.error = float("inf")
        """Relative error against torch, as measured when the network was compiled for the first time."""

    def read(self) -> list[bytes] | None:
        """The compiled models; None where they are absent or damaged."""
        try:
            description = json.loads(self._description.read_text(encoding="utf-8"))
            self.error = float(description["relative_error"])
            data = self._file.read_bytes()
            if hashlib.sha256(data).hexdigest() != description["sha256"]:
                return None
            ends = list(itertools.accumulate(description["bytes"]))
            os.utime(self._file)
        except (OSError, ValueError, KeyError, TypeError):  # absent, or written by another program
            return None
        self.bytes = len(data)
        return [data[start:end] for start, end in itertools.pairwise([0, *ends])]

    @property
    def file(self) -> CompiledFile:
        """Its size, 0 if it was neither read nor written."""
        return CompiledFile(self.bytes, self._file.exists(), self._new)

    def write(self, models: Sequence[Any], error: float) -> float:
        """Store compiled models and remove those of other networks that exceed ``MAX_BYTES``.

        A full disk costs the copy, not the run.

        Args:
            models: as OpenVINO compiled them.
            error: relative error against torch.

        Returns:
            The error under which the network is known: that of the first compilation, where it was read before.
        """
        error = self.error if self.error < float("inf") else error
        with contextlib.suppress(OSError):
            blobs = [model.export_model().getvalue() for model in models]
            data = b"".join(blobs)
            self.bytes, self._new = len(data), True
            if len(data) <= MAX_BYTES:
                write_bytes_atomically(self._file, data)
            description = {
                "relative_error": error,
                "sha256": hashlib.sha256(data).hexdigest(),
                "bytes": [len(blob) for blob in blobs],
            }
            write_text_atomically(self._description, json.dumps(description) + "\n")
            remove_least_recently_used(self._file.parent, MAX_BYTES)
        return error


def remove_least_recently_used(folder: Path, max_bytes: int) -> None:
    """Remove compiled networks, the least recently used first, until at most ``max_bytes`` are left."""
    files = sorted(((path, path.stat()) for path in folder.glob("*.blob")), key=lambda file: file[1].st_mtime)
    total = sum(stat.st_size for _, stat in files)
    for path, stat in files:
        if total <= max_bytes:
            break
        path.unlink(missing_ok=True)
        total -= stat.st_size
