"""Look into fetched files, each once: is it the file that arrived, can it be decoded, what does its Exif say.

Files come from strangers: Exif is read in limited worker processes, pixels in others, and a file that brings one down
costs one recorded failure.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from PIL import Image
from tqdm.auto import tqdm

from builders.errors import PhotoError
from builders.exif import read_many
from builders.flickrexif.store.store import State
from builders.splits import photo_hash

_PORTION = 1000


@dataclass(frozen=True)
class InspectedPixels:
    """What the pixels of one file say."""

    hash: int = 0
    """Perceptual, 0 to 2**63 - 1; 0: none."""
    width: int = 0
    height: int = 0
    reason: str | None = None
    """Why the file cannot be used."""
    damaged: bool = False
    """Whether it is not the file that was fetched: another copy of it may be good."""


def inspect_files(state: State, *, workers: int = 1) -> int:
    """Look into every file that has not been looked into. Returns how many. Resumes.

    A file that is gone from the disk or not the one that was fetched counts as not fetched from then on, and is said.

    Args:
        state: has the files; keeps what was seen.
        workers: processes.
    """
    query = (
        "SELECT f.photo_id, f.path, f.sha256 FROM files f LEFT JOIN looks l ON l.photo_id = f.photo_id"
        " AND l.sha256 = f.sha256 WHERE f.status = 'ok' AND l.photo_id IS NULL ORDER BY f.photo_id"
    )
    waiting = [tuple(row) for row in state.rows(query)]
    with tqdm(total=len(waiting), desc="look into files", unit="photo", disable=None) as bar:
        for start in range(0, len(waiting), _PORTION):
            portion = waiting[start : start + _PORTION]
            paths = [state.path_of(path) for _, path, _ in portion]
            seen = _pixels_of(paths, [sha for *_, sha in portion], workers)
            readings = read_many(paths, workers=workers)
            with state.transaction() as db:
                for (id, path, sha), pixels, reading in zip(portion, seen, readings, strict=True):
                    if pixels.damaged:
                        db.execute("DELETE FROM files WHERE photo_id = ?", (id,))
                        what = f"{state.path_of(path)}: {pixels.reason}; 'flickrexif fetch' gets it again"
                        tqdm.write(f"camtrace: warning: {what}", file=sys.stderr)
                        continue
                    raw = json.dumps(dict(reading.acquisition.raw), ensure_ascii=False)
                    values = (id, sha, pixels.hash, pixels.width, pixels.height, raw, pixels.reason)
                    db.execute("INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            bar.update(len(portion))
    return len(waiting)


def inspect_pixels(path: Path, sha256: str) -> InspectedPixels:
    """Check the bytes against their hash and decode them far enough to compare pictures. Never raises for bad bytes."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return InspectedPixels(reason=f"the file cannot be read ({error.strerror})", damaged=True)
    if hashlib.sha256(data).hexdigest() != sha256:
        return InspectedPixels(reason="the file is not the one that was fetched", damaged=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = photo_hash(data)
            with Image.open(io.BytesIO(data)) as image:
                return InspectedPixels(value, *image.size)
    except PhotoError as error:
        return InspectedPixels(reason=str(error))
    except Exception as error:  # photo_hash accepted it, Pillow's header reader did not
        return InspectedPixels(reason=f"cannot be opened ({type(error).__name__})")


def _pixels_of(paths: Sequence[Path], hashes: Sequence[str], workers: int) -> list[InspectedPixels]:
    if workers <= 1:
        return [inspect_pixels(path, sha) for path, sha in zip(paths, hashes, strict=True)]
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            return list(pool.map(inspect_pixels, paths, hashes, chunksize=16))
    except BrokenProcessPool:
        return [_alone(path, sha) for path, sha in zip(paths, hashes, strict=True)]


def _alone(path: Path, sha256: str) -> InspectedPixels:
    """One file in a process of its own, after some file of its portion took a whole pool down."""
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(inspect_pixels, path, sha256).result()
    except BrokenProcessPool:
        return InspectedPixels(reason="decoding it ends the process that does it")
