"""Inspect fetched files, each once: hash, whether the picture can be decoded, perceptual hash, size and Exif.

The files are untrusted: Exif and pixels are read in sandboxes, and a file that crashes one is a recorded failure.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from builders.errors import PhotoError
from builders.exif import read_many
from builders.flickrexif.store.store import State
from builders.pixels import MAX_PIXELS
from builders.processes import Sandbox, SandboxError, WorkerLost, map_sandboxed, progress_bar
from builders.splits import VARIANTS, photo_variants

_FILES_PER_TRANSACTION = 1000

_MEMORY_BYTES = 10 * 2**30
"""For the pixels of a file: the largest photo that is decoded takes 6.5 GB."""

_TIMEOUT_S = 300.0
"""For the pixels of a file."""


@dataclass(frozen=True)
class InspectedPixels:
    """What the pixels of one file show."""

    hashes: tuple[int, ...] = ()
    """Perceptual hashes of the variants (``builders.splits.photo_variants``), each 0 to 2**63 - 1; 0: none. The first
    is that of the whole picture."""
    width: int = 0
    height: int = 0
    reason: str | None = None
    """Why the file cannot be used."""
    damaged: bool = False
    """Whether the file differs from the one that was fetched, so that fetching it again may help."""

    @property
    def hash(self) -> int:
        """Perceptual hash of the whole picture; 0: none."""
        return self.hashes[0] if self.hashes else 0


def inspect_files(state: State, *, workers: int = 1) -> int:
    """Inspect every file that has not been inspected. Resumable.

    A file that is missing on the disk or differs from the one that was fetched becomes unfetched, with a warning. Files
    that an earlier version inspected, without the hashes of their variants, are inspected again if they are there.

    Args:
        state: has the files; stores the results.
        workers: processes.

    Returns:
        The number of files.
    """
    query = (
        "SELECT f.photo_id, f.path, f.sha256, l.photo_id IS NOT NULL FROM files f"
        " LEFT JOIN looks l ON l.photo_id = f.photo_id AND l.sha256 = f.sha256"
        " WHERE f.status = 'ok' AND (l.photo_id IS NULL OR l.variants IS NULL) ORDER BY f.photo_id"
    )
    pending = [tuple(row) for row in state.rows(query)]
    with progress_bar(total=len(pending), desc="look into files", unit="photo") as bar:
        for start in range(0, len(pending), _FILES_PER_TRANSACTION):
            chunk = pending[start : start + _FILES_PER_TRANSACTION]
            paths = [state.path_of(path) for _, path, *_ in chunk]
            pixels_of_files = _inspect_pixels_of(paths, [sha for _, _, sha, _ in chunk], workers)
            readings = read_many(paths, workers=workers)
            with state.transaction() as db:
                for (id, path, sha, inspected), pixels, reading in zip(chunk, pixels_of_files, readings, strict=True):
                    if pixels.damaged and inspected:  # what is known of the file stays known
                        db.execute("UPDATE looks SET variants = X'' WHERE photo_id = ?", (id,))
                        continue
                    if pixels.damaged:
                        db.execute("DELETE FROM files WHERE photo_id = ?", (id,))
                        what = f"{state.path_of(path)}: {pixels.reason}; 'flickrexif fetch' gets it again"
                        tqdm.write(f"camtrace: warning: {what}", file=sys.stderr)
                        continue
                    raw = json.dumps(dict(reading.acquisition.raw), ensure_ascii=False)
                    variants = np.array(pixels.hashes, dtype=">u8").tobytes()
                    values = (id, sha, pixels.hash, pixels.width, pixels.height, raw, pixels.reason, variants)
                    db.execute("INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            bar.update(len(chunk))
    return len(pending)


def _inspect_pixels(path: Path, sha256: str) -> InspectedPixels:
    """Compare the bytes with their hash and decode them for the perceptual hash. Never raises for bad bytes."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return InspectedPixels(reason=f"the file cannot be read ({error.strerror})", damaged=True)
    if hashlib.sha256(data).hexdigest() != sha256:
        return InspectedPixels(reason="the file is not the one that was fetched", damaged=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hashes = tuple(photo_variants(data).tolist())
            with Image.open(io.BytesIO(data)) as image:
                return InspectedPixels(hashes, *image.size)
    except PhotoError as error:
        return InspectedPixels(reason=str(error))
    except Exception as error:  # photo_variants accepted it, but Pillow's header reader did not
        return InspectedPixels(reason=f"cannot be opened ({type(error).__name__})")


def _inspect_pixels_of(paths: Sequence[Path], hashes: Sequence[str], workers: int) -> list[InspectedPixels]:
    inspected = map_sandboxed(
        _inspect,
        zip(paths, hashes, strict=True),
        target=f"{__name__}:inspect_in_worker",
        workers=workers,
        timeout_s=_TIMEOUT_S,
        memory_bytes=_MEMORY_BYTES,
    )
    return list(inspected)


def _inspect(sandbox: Sandbox, file: tuple[Path, str]) -> InspectedPixels:
    path, sha256 = file
    try:
        return sandbox.call(path, sha256, parse=_inspected)
    except WorkerLost:
        return InspectedPixels(reason="decoding it ends the process that does it")
    except SandboxError as error:
        return InspectedPixels(reason=f"decoding it {error}")


def inspect_in_worker(path: Path, sha256: str) -> dict[str, Any]:
    """``_inspect_pixels`` as values of JSON. Called in a sandbox."""
    return asdict(_inspect_pixels(path, sha256))


def _inspected(answer: Any) -> InspectedPixels:
    """The result of ``inspect_in_worker``, which is untrusted."""
    width, height = (int(answer[name]) for name in ("width", "height"))
    hashes = tuple(int(value) for value in answer["hashes"])
    if not (all(0 <= value < 2**63 for value in hashes) and 0 <= width <= MAX_PIXELS and 0 <= height <= MAX_PIXELS):
        raise ValueError("numbers that no photo has")
    if len(hashes) not in (0, VARIANTS):
        raise ValueError("another number of hashes than a photo has")
    reason = answer["reason"]
    return InspectedPixels(hashes, width, height, None if reason is None else str(reason), bool(answer["damaged"]))
