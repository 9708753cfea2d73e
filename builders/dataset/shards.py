"""Rows -> numbered Parquet shards that resume: a shard is complete or absent, whatever kills the run.

``write_shard(job, number)`` is a pure function of the job and a number: any engine may call it. ``write_shards`` calls
it from a pool of processes on this machine. The bytes of a shard depend on neither workers nor order nor reruns.

A job names its rows by *items* (photos, pairs, renders); ``make_rows(i)`` gives the rows of item ``i`` or raises; that
is recorded as one failure and costs no other row. Layout of an output folder::

    data/<config>/<split>-00000-of-00012.parquet    what load_dataset reads
    .build/<config>/<split>-00000-of-00012.json     its marker, written last: recipe, rows, hash, failures
    failures.jsonl                                  every item that is missing from the data, with the reason
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Features

from builders.dataset.parquet_writer import ShardRow, write_parquet
from builders.errors import CamtraceError, DiskError, PhotoError, UsageError, disk_error
from builders.files import temporary_path, write_text_atomically
from builders.untrusted import describe_error

FORMAT_VERSION = 1
"""Raised by one whenever the same recipe would give other bytes; part of every recipe hash."""

STATE_FOLDER = ".build"
"""Folder of the markers; neither loaded nor published."""

SHARD_BYTES = 400 * 2**20
"""Size of a shard that ``items_per_shard`` aims at: under the 500 MB that the Hub's viewer likes."""


@dataclass(frozen=True)
class ShardJob:
    """One split of one config, cut into shards. Picklable if ``make_rows`` is."""

    output: Path
    """Folder of the data set."""
    config: str
    split: str
    """As ``load_dataset`` will name it: ``train``, ``validation``, ``test``."""
    features: Features
    """Columns of the rows. An ``Image`` cell is ``{"bytes": ..., "path": ...}``, never a PIL image."""
    ids: Sequence[str]
    """Identity of each item, for failures; ``len(ids)`` items."""
    make_rows: Callable[[int], Iterable[ShardRow]]
    """Rows of one item. A ``PhotoError`` (or any ``Exception``) is that item's failure."""
    recipe: Mapping[str, Any]
    """JSON values that decide the rows: parameters, seed, codec canary. Shards of another recipe are not reused."""
    items_per_shard: int = 1000

    @property
    def count(self) -> int:
        """Number of shards, at least 1 so that an empty split can be loaded."""
        return max(1, -(-len(self.ids) // self.items_per_shard))

    @property
    def recipe_hash(self) -> str:
        """16 hex digits that name everything that decides the bytes."""
        described = {
            "format": FORMAT_VERSION,
            "pyarrow": pa.__version__,
            "features": self.features.to_dict(),
            "ids": _hash_ids(self.ids),
            "items_per_shard": self.items_per_shard,
            "recipe": dict(self.recipe),
        }
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]

    def items(self, number: int) -> range:
        """The items of shard ``number``."""
        start = number * self.items_per_shard
        return range(start, min(start + self.items_per_shard, len(self.ids)))

    def file(self, number: int) -> str:
        """Path of shard ``number`` relative to ``output``."""
        return shard_file(self.config, self.split, number, self.count)

    def marker(self, number: int) -> Path:
        """Path of the file that says shard ``number`` is done."""
        return self.output / STATE_FOLDER / self.config / f"{self.split}-{number:05d}-of-{self.count:05d}.json"


@dataclass(frozen=True)
class ItemFailure:
    """One item that is missing from the data."""

    id: str
    reason: str


@dataclass(frozen=True)
class Shard:
    """What a marker says of one finished shard."""

    file: str
    """Relative to the output folder, with forward slashes."""
    recipe_hash: str
    rows: int
    file_bytes: int
    data_bytes: int
    """Uncompressed, as ``dataset_info`` counts it."""
    sha256: str
    failures: tuple[ItemFailure, ...] = field(default=())


def shard_file(config: str, split: str, number: int, count: int) -> str:
    """Path of a shard below its folder.

    >>> shard_file("jpeg", "train", 0, 12)
    'data/jpeg/train-00000-of-00012.parquet'
    """
    return f"data/{config}/{split}-{number:05d}-of-{count:05d}.parquet"


def write_shard(job: ShardJob, number: int, tick: Callable[[], object] = lambda: None) -> Shard:
    """Write one shard, or return what its marker says if it is there already.

    Args:
        job: what to write.
        number: which shard, 0 <= number < ``job.count``.
        tick: called after each item.

    Raises:
        DataError: the disk is full, or the folder cannot be written to; nothing half-written is left.
    """
    done = finished_shard(job, number)
    if done is not None:
        return done
    path = job.output / job.file(number)
    temporary = temporary_path(path)
    failures: list[ItemFailure] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as stream:
            written = write_parquet(stream, job.features, rows_of(job, job.items(number), failures, tick))
            stream.flush()
            os.fsync(stream.fileno())
        shard = Shard(
            file=job.file(number),
            recipe_hash=job.recipe_hash,
            rows=written.rows,
            file_bytes=temporary.stat().st_size,
            data_bytes=written.data_bytes,
            sha256=file_sha256(temporary),
            failures=tuple(failures),
        )
        os.replace(temporary, path)
        write_text_atomically(job.marker(number), json.dumps(asdict(shard), indent=1) + "\n", durable=True)
    except OSError as error:
        raise cannot_write(job.output, error) from None
    finally:
        temporary.unlink(missing_ok=True)
    return shard


def finished_shard(job: ShardJob, number: int) -> Shard | None:
    """The shard, if its marker agrees with the job and its file is there, byte for byte as it was written.

    Raises:
        UsageError: the folder holds this shard made by another recipe.
    """
    try:
        raw = json.loads(job.marker(number).read_text(encoding="utf-8"))
        shard = Shard(**{**raw, "failures": tuple(ItemFailure(**f) for f in raw["failures"])})
        whole = (job.output / job.file(number)).stat().st_size == shard.file_bytes
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if shard.recipe_hash != job.recipe_hash:
        raise UsageError(
            f"{job.output} holds a build of {job.config}/{job.split} from other photos or settings: "
            "choose another --output, or say --fresh to replace it"
        )
    if not whole or shard.file != job.file(number):
        return None
    if file_sha256(job.output / shard.file) != shard.sha256:
        name = job.output / shard.file
        print(f"camtrace: warning: {name}: does not match its checksum; made again", file=sys.stderr)
        job.marker(number).unlink(missing_ok=True)
        return None
    return shard


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while piece := stream.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def cannot_write(output: Path, error: OSError) -> DiskError:
    """The one sentence for a disk that takes no more, or a folder that takes nothing."""
    return disk_error(error, output, kept="finished shards are kept")


def items_per_shard(bytes_per_item: float, items: int) -> int:
    """How many items a shard holds: at most about ``SHARD_BYTES``, and small sets cut so that workers share them.

    Does not depend on the number of workers, so that neither do the files.

    >>> items_per_shard(4e6, 10_000), items_per_shard(1e4, 1000)
    (104, 64)
    """
    by_size = int(SHARD_BYTES // max(bytes_per_item, 1))
    return max(1, min(by_size, max(64, -(-items // 16))))


def rows_of(
    job: ShardJob, items: Iterable[int], failures: list[ItemFailure], tick: Callable[[], object]
) -> Iterable[ShardRow]:
    """The rows of these items, one item after another; what cannot be made is added to ``failures``."""
    for item in items:
        try:
            rows = list(job.make_rows(item))
        except PhotoError as error:
            failures.append(ItemFailure(job.ids[item], str(error)))
        except (CamtraceError, MemoryError):
            raise
        except Exception as error:  # a hostile file costs one row, whatever a library makes of it
            failures.append(ItemFailure(job.ids[item], describe_error(error)))
        else:
            yield from rows
        tick()


def _hash_ids(ids: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for item_id in ids:
        digest.update(item_id.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()
