"""Numbered Parquet shards of a data set: a shard is complete or absent, whatever ends the run.

``write_shard(job, number)`` depends only on the job and the number, so any engine may call it; ``write_shards`` calls
it from a pool of processes on this machine. The bytes of a shard do not depend on workers, order or reruns.

The rows of a job come from *items* (photos, pairs, renders). ``make_rows(i)`` returns the rows of item ``i``, or
raises: then the item is recorded as a failure, and no other row is affected. Layout of an output folder::

    data/<config>/<split>-00000-of-00012.parquet    read by load_dataset
    .build/<config>/<split>-00000-of-00012.json     its marker, written last: recipe, rows, hash, failures
    failures.jsonl                                  every item that is missing in the data, with the reason
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
from builders.untrusted import UntrustedInputError, describe_error, may_pass, open_untrusted, read_untrusted_json

FORMAT_VERSION = 1
"""Part of every recipe hash. Raise it by one when the same recipe gives other bytes."""

STATE_FOLDER = ".build"
"""Folder of the markers; it is neither loaded nor published."""

PREVIOUS_FOLDER = "previous"
"""Folder below ``STATE_FOLDER`` with the shards of an earlier build during an update (``builders.dataset.update``)."""

SHARD_BYTES = 400 * 2**20
"""Target size of a shard in bytes: the Hub recommends less than 500 MB for its viewer."""

SMALL_SHARD_BYTES = 2**20
"""Size below which the shards of a split are merged: a split of less than 32 MiB has fewer than 16 files."""


@dataclass(frozen=True)
class ShardJob:
    """One split of one config, cut into shards. Picklable if ``make_rows`` is."""

    output: Path
    """Folder of the data set."""
    config: str
    split: str
    """Name for ``load_dataset``: ``train``, ``validation``, ``test``."""
    features: Features
    """Columns of the rows. An ``Image`` cell is ``{"bytes": ..., "path": ...}``, never a PIL image."""
    ids: Sequence[str]
    """Id of each item, also for failures."""
    make_rows: Callable[[int], Iterable[ShardRow]]
    """Makes the rows of one item. A ``PhotoError`` (or any ``Exception``) is a failure of the item."""
    recipe: Mapping[str, Any]
    """JSON values that determine the rows: parameters, seed, codec canary. Shards of another recipe are not reused."""
    items_per_shard: int = 1000
    rows_recipe: Mapping[str, Any] | None = None
    """JSON values that determine the rows of an item together with its id and its source. Rows of an earlier build with
    equal values may be copied (``builders.dataset.update``); None if rows of this job never are."""

    @property
    def count(self) -> int:
        """Number of shards, at least 1 so that an empty split can be loaded."""
        return max(1, -(-len(self.ids) // self.items_per_shard))

    @property
    def recipe_hash(self) -> str:
        """Hash of everything that determines the bytes of the shards: 16 hex digits."""
        contents = {
            "format": FORMAT_VERSION,
            "pyarrow": pa.__version__,
            "features": self.features.to_dict(),
            "ids": _hash_ids(self.ids),
            "items_per_shard": self.items_per_shard,
            "recipe": dict(self.recipe),
        }
        return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def rows_recipe_hash(self) -> str | None:
        """Hash of ``rows_recipe`` and the names of the columns: 16 hex digits; None without a rows recipe."""
        if self.rows_recipe is None:
            return None
        contents = {"format": FORMAT_VERSION, "columns": list(self.features), "rows": dict(self.rows_recipe)}
        return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()[:16]

    def items(self, number: int) -> range:
        """Indices of the items of shard ``number``."""
        start = number * self.items_per_shard
        return range(start, min(start + self.items_per_shard, len(self.ids)))

    def file(self, number: int) -> str:
        """Path of shard ``number`` relative to ``output``."""
        return shard_file(self.config, self.split, number, self.count)

    def marker(self, number: int) -> Path:
        """Path of the marker of shard ``number``, which exists if the shard is complete."""
        return self.output / STATE_FOLDER / self.config / f"{self.split}-{number:05d}-of-{self.count:05d}.json"


@dataclass(frozen=True)
class ItemFailure:
    """One item that is missing in the data."""

    id: str
    reason: str


@dataclass(frozen=True)
class Shard:
    """One finished shard, as its marker describes it."""

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
    """Path of a shard relative to the folder of its data set.

    >>> shard_file("jpeg", "train", 0, 12)
    'data/jpeg/train-00000-of-00012.parquet'
    """
    return f"data/{config}/{split}-{number:05d}-of-{count:05d}.parquet"


def write_shard(job: ShardJob, number: int, tick: Callable[[], object] = lambda: None) -> Shard:
    """Write one shard, or return the finished shard if it exists.

    Args:
        job: with the rows of the shard.
        number: of the shard, 0 <= number < ``job.count``.
        tick: called after each item.

    Raises:
        DataError: the disk is full, or the folder cannot be written to; no incomplete file is left.
    """
    finished = finished_shard(job, number)
    if finished is not None:
        return finished
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
        marker = {**asdict(shard), "rows_recipe_hash": job.rows_recipe_hash}
        write_text_atomically(job.marker(number), json.dumps(marker, indent=1) + "\n", durable=True)
    except OSError as error:
        raise cannot_write(job.output, error) from None
    finally:
        temporary.unlink(missing_ok=True)
    return shard


def finished_shard(job: ShardJob, number: int) -> Shard | None:
    """The shard, if its marker agrees with the job and its file has the bytes that were written; else None.

    A shard that lacks a photo because a disk did not give it is none.

    Raises:
        UsageError: the folder contains this shard from another recipe.
    """
    try:
        raw = read_untrusted_json(job.marker(number))
        raw.pop("rows_recipe_hash", None)
        shard = Shard(**{**raw, "failures": tuple(ItemFailure(**f) for f in raw["failures"])})
        has_size = (job.output / job.file(number)).stat().st_size == shard.file_bytes
    except (OSError, UntrustedInputError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if shard.recipe_hash != job.recipe_hash:
        raise UsageError(
            f"{job.output} holds a build of {job.config}/{job.split} from other photos or settings: "
            "choose another --output, say --update if the photos changed, or --fresh to replace it"
        )
    if not has_size or shard.file != job.file(number) or any(may_pass(failure.reason) for failure in shard.failures):
        return None
    if file_sha256(job.output / shard.file) != shard.sha256:
        name = job.output / shard.file
        print(f"camtrace: warning: {name}: does not match its checksum; made again", file=sys.stderr)
        job.marker(number).unlink(missing_ok=True)
        return None
    return shard


def file_sha256(path: Path) -> str:
    """SHA-256 of a regular file, read in pieces."""
    digest = hashlib.sha256()
    with open_untrusted(path, limit=sys.maxsize) as stream:
        while piece := stream.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def cannot_write(output: Path, error: OSError) -> DiskError:
    """The error for a full disk, or for a folder that cannot be written to."""
    return disk_error(error, output, saved="finished shards are saved")


def items_per_shard(bytes_per_item: float, items: int) -> int:
    """Items per shard: at most about ``SHARD_BYTES``; sets are cut into 16 files for several workers to share.

    Files that would be smaller than ``SMALL_SHARD_BYTES`` are merged with others of their split. The cut does not
    depend on the number of workers, so neither do the files.

    >>> items_per_shard(4e6, 10_000), items_per_shard(1e5, 1000), items_per_shard(1e4, 1000)
    (104, 63, 200)
    """
    by_size, small = (int(size // max(bytes_per_item, 1)) for size in (SHARD_BYTES, 2 * SMALL_SHARD_BYTES))
    most = max(1, min(by_size, max(64, -(-items // 16), small)))
    shards = max(1, -(-items // most))
    return max(1, -(-items // shards))  # even: no last shard of a few items


def rows_of(
    job: ShardJob, items: Iterable[int], failures: list[ItemFailure], tick: Callable[[], object]
) -> Iterable[ShardRow]:
    """The rows of these items, one item after another. Items that fail are appended to ``failures``."""
    for item in items:
        try:
            rows = list(job.make_rows(item))
        except PhotoError as error:
            failures.append(ItemFailure(job.ids[item], str(error)))
        except (CamtraceError, MemoryError):
            raise
        except Exception as error:  # libraries raise errors of any type for a hostile file
            failures.append(ItemFailure(job.ids[item], describe_error(error)))
        else:
            yield from rows
        tick()


def _hash_ids(ids: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for item_id in ids:
        digest.update(item_id.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()
