"""Scan of the files of a subject: for each block of photos a Parquet file of facts, and an npz file of pixel features.

A block is complete or absent. An interrupted run resumes, and a block whose files have changed (size, time of change)
is read again. Only one block is in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.audit.features import FEATURES, values_of
from benchmark.audit.subjects import BLOCK, PhotoSubject, Row, StreamedSubject, Subject
from builders.errors import DataError, PhotoError, disk_error
from builders.exif import HEAD_BYTES, file_facts
from builders.files import scratch_prefix, sweep_scratch, write_bytes_atomically
from builders.photos import hash64
from builders.processes import WorkerKilled, run_in_pool
from builders.untrusted import UntrustedInputError, describe_error, error_text, may_pass, read_untrusted_arrays

SCAN_VERSION = 1
"""Raised by one whenever the same file would give other facts."""

KNOWN = ("id", "label", "split", "source", "owner", "content", "near", "failure")
"""Columns of a block that are no features. ``content`` is a hash of size and first bytes, ``near`` the perceptual hash
(0 if it was not requested), ``failure`` the reason why a file could not be read, or empty."""


@dataclass(frozen=True)
class Plan:
    """The features that are read of each photo."""

    pixels_share: float = 0.0
    """Share of the photos, 0 to 1, drawn by a hash of their ids, that are decoded for the pixel layers."""
    near: bool = False
    """Whether every photo is decoded (at an eighth of its size) to find near-duplicates."""

    @property
    def name(self) -> str:
        """Hash of everything that determines the files of a block."""
        text = f"{SCAN_VERSION} {self.pixels_share!r} {self.near} {sorted(FEATURES)} {BLOCK}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def draws(self, photo_id: str) -> bool:
        """Whether this photo is decoded for the pixel layers."""
        return self.pixels_share > 0 and hash64(f"audit\0{photo_id}") < self.pixels_share * 2.0**64


class Block(NamedTuple):
    """The facts of one block of photos."""

    facts: pa.Table
    """One row for each photo: ``KNOWN`` columns and every feature."""
    pixels: dict[str, np.ndarray]
    """``rows`` (positions in the block), ``numbers``, ``whole`` and ``border`` of decoded photos."""


@dataclass(frozen=True)
class Scan:
    """A finished scan on disk."""

    folder: Path
    count: int
    """Number of blocks."""

    def blocks(self) -> Iterator[Block]:
        """The blocks in order, read one at a time. A damaged one is removed, and raises ``DataError``."""
        for number in range(self.count):
            path = self.folder / f"{number:05d}.parquet"
            try:
                arrays = read_untrusted_arrays(path.with_suffix(".npz"))
                block = Block(pq.read_table(path, page_checksum_verification=True), arrays)
            except (UntrustedInputError, OSError, ValueError, KeyError, EOFError) as error:
                path.unlink(missing_ok=True)
                raise DataError(f"{path}: damaged ({error_text(error)}), removed; run again, it is read anew") from None
            yield block


@contextlib.contextmanager
def scanned(subject: Subject, plan: Plan, cache: Path, *, workers: int = 1, progress: bool = True) -> Iterator[Scan]:
    """The scan of a subject: blocks of an earlier run are reused, the others are read.

    Args:
        subject: the photos.
        plan: the features to read.
        cache: folder of scans that can be resumed; a scan of a subject without a key is in a temporary folder.
        workers: processes; a streamed subject uses one.
        progress: whether to show a bar on stderr after two seconds, where that is a terminal.

    Raises:
        DataError: the folder cannot be written to (``DiskError``), or a worker was killed.
    """
    sweep_scratch()
    key = subject.key() if isinstance(subject, PhotoSubject) else ""
    folder = cache / "audit" / f"{key}-{plan.name}" if key else Path(tempfile.mkdtemp(prefix=scratch_prefix()))
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if isinstance(subject, StreamedSubject):
                count = _scan_stream(subject, plan, folder, progress)
            else:
                count = _scan_photos(subject, plan, folder, workers, progress)
        except OSError as error:
            raise disk_error(error, folder, saved="finished blocks are saved") from None
        yield Scan(folder, count)
    finally:
        if not key:
            shutil.rmtree(folder, ignore_errors=True)


def _scan_photos(subject: PhotoSubject, plan: Plan, folder: Path, workers: int, progress: bool) -> int:
    total = len(subject.photos)
    missing = [n for n in range(subject.blocks) if not _is_done(folder, n, subject.stamp(n))]
    with _bar(total, progress) as bar:
        bar.update(total - sum(min(BLOCK, total - n * BLOCK) for n in missing))
        if workers <= 1 or len(missing) <= 1:
            for number in missing:
                _scan_block(subject, plan, folder, number, subject.rows(number), bar.update)
            return subject.blocks
        try:
            run_in_pool(_scan_in_worker, missing, shared=(subject, plan, folder), workers=workers, progress=bar.update)
        except WorkerKilled as error:
            raise DataError(f"{subject.name}: {error}; run again: finished blocks are not read again") from None
    return subject.blocks


def _scan_stream(subject: StreamedSubject, plan: Plan, folder: Path, progress: bool) -> int:
    number = 0
    with _bar(None, progress) as bar:
        while rows := subject.next_block():
            _scan_block(subject, plan, folder, number, rows, bar.update)
            number += 1
    return number


def _scan_in_worker(shared: tuple[PhotoSubject, Plan, Path], number: int, tick: Callable[[], object]) -> None:
    subject, plan, folder = shared
    _scan_block(subject, plan, folder, number, subject.rows(number), lambda photos: [tick() for _ in range(photos)])


def _scan_block(
    subject: Subject, plan: Plan, folder: Path, number: int, rows: list[Row], progress: Callable[[int], object]
) -> None:
    stamp = subject.stamp(number) if isinstance(subject, PhotoSubject) else ""
    columns: dict[str, list[Any]] = {name: [] for name in (*KNOWN, *FEATURES)}
    pixels: dict[str, list[Any]] = {name: [] for name in ("rows", "numbers", "whole", "border")}
    for position, row in enumerate(rows):
        known, values = _photo(subject, plan, number * BLOCK + position, position, row, pixels)
        for name, value in known.items():
            columns[name].append(value)
        for name in FEATURES:
            columns[name].append(values.get(name))
        if position % 64 == 63:
            progress(64)
    progress(len(rows) % 64)
    if any(map(may_pass, columns["failure"])):
        stamp = f"{stamp} not whole"  # read again by the next run
    arrays = {name: np.array(values) for name, values in pixels.items()}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes_atomically(folder / f"{number:05d}.npz", buffer.getvalue())
    table = pa.table({name: pa.array(values, _type(name)) for name, values in columns.items()})
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"stamp": stamp}), sink, write_page_checksum=True)
    write_bytes_atomically(
        folder / f"{number:05d}.parquet", sink.getvalue()
    )  # written last: a block with this file is complete


def _photo(
    subject: Subject, plan: Plan, index: int, position: int, row: Row, pixels: dict[str, list[Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Known columns and features of one photo. A file that cannot be read is a failure, not an exception."""
    known: dict[str, Any] = {
        "id": shown(row.id),
        "label": shown(row.label),
        "split": row.split,
        "source": shown(row.source),
        "owner": shown(row.owner),
        "content": 0,
        "near": 0,
        "failure": "",
    }
    try:
        head = subject.head(index, HEAD_BYTES)
        content = hashlib.blake2b(head.data, digest_size=8, salt=head.size.to_bytes(16, "little")).digest()
        known["content"] = int.from_bytes(content, "little")
        values = values_of(file_facts(head, lambda limit: subject.head(index, limit)))
        if plan.near or plan.draws(row.id):
            data = subject.read(index)
            if plan.draws(row.id):
                from benchmark.audit.pixel_features import pixel_facts

                facts = pixel_facts(data)
                known["near"] = facts.perceptual_hash
                for name, value in (
                    ("rows", position),
                    ("numbers", list(facts.numbers.values())),
                    ("whole", facts.whole),
                    ("border", facts.border),
                ):
                    pixels[name].append(value)
            else:
                from builders.splits import photo_hash

                known["near"] = photo_hash(data)
    except PhotoError as error:
        return known | {"failure": shown(str(error))}, {}
    except MemoryError:
        return known | {"failure": "not enough memory"}, {}
    except Exception as error:  # untrusted file: any error of a library costs this row alone
        return known | {"failure": shown(describe_error(error))}, {}
    return known, values


def shown(text: str) -> str:
    r"""Untrusted text with escapes for characters that cannot be printed, or are no Unicode.

    >>> shown("a\x1b[31m\udcff")
    'a\\x1b[31m\\xff'
    """
    if text.isascii() and text.isprintable():
        return text
    raw = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in raw)


def _type(name: str) -> pa.DataType:
    if name in ("content", "near"):
        return pa.uint64()
    if name in FEATURES and FEATURES[name].kind == "number":
        return pa.float64()
    return pa.dictionary(pa.int32(), pa.string()) if name not in ("id", "failure") else pa.string()


def _is_done(folder: Path, number: int, stamp: str) -> bool:
    path = folder / f"{number:05d}.parquet"
    try:
        metadata = pq.read_schema(path).metadata or {}
        return metadata.get(b"stamp", b"?").decode() == stamp and path.with_suffix(".npz").is_file()
    except (OSError, pa.ArrowInvalid):
        return False


def _bar(total: int | None, progress: bool) -> Any:
    from builders.processes import progress_bar

    return progress_bar(total=total, desc="reading headers", unit="photo", delay=2, silent=not progress)
