"""Photos in the tar shards of a WebDataset: ``webdataset:shard-{000..146}.tar``, on disk, over HTTP or in a store.

Files of one name before its first dot are a sample: ``0001.jpg``, ``0001.cls``, ``0001.json``. Each shard is indexed
once; a photo is then one read at an offset. Nothing is copied. A run that was stopped while it indexed goes on with the
next shard.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from builders.errors import DataError, PhotoError, UsageError
from builders.files import MAX_PHOTO_BYTES, cache_folder, is_lasting, is_remote, write_bytes_atomically
from builders.photos import (
    UNLABELLED,
    ColumnSources,
    Labels,
    PhotoSet,
    Stamps,
    file_stamp,
    is_settled,
    labels_of,
    lasting_stamp,
    open_unchanged,
    stamps_within,
)
from builders.processes import progress_bar
from builders.sources.columns.given import with_columns
from builders.sources.folders import drawn_splits
from builders.sources.remote.drawing import Streaming, drawn_order
from builders.sources.tar_index import MAX_ARCHIVE_FILE_BYTES, TAR_ERRORS, check_size
from builders.untrusted import (
    UntrustedInputError,
    first_line,
    open_untrusted,
    parse_json,
    read_untrusted_arrays,
    readable,
    too_large,
)

IMAGES = ("jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp", "gif", "heic", "avif", "ppm")
"""Endings of the pictures of samples, the preferred ones first."""

MAX_SHARDS = 100_000

MAX_LABEL_BYTES = 1 << 20
"""Of a file with a label."""

_INDEX_VERSION = 2


class _Sample(NamedTuple):
    """A sample of a shard: where its picture is, and the texts of the columns that are wanted."""

    key: str
    offset: int
    size: int
    texts: tuple[str, ...]


@dataclass(frozen=True)
class ShardSource:
    """Photos inside shards, read by offset. It has no open file, so copies for workers share nothing."""

    shards: tuple[str, ...]
    """Paths or addresses."""
    identities: tuple[str, ...]
    """What changes with the bytes of each shard: the stamp of a path, or what a server says, which may be nothing."""
    shard: np.ndarray
    """int32 [photos]."""
    offsets: np.ndarray
    """int64 [photos]."""
    sizes: np.ndarray
    """int64 [photos]."""

    def read(self, row: int) -> bytes:
        """The bytes of a photo. Raises ``PhotoError``."""
        place, identity = self.shards[self.shard[row]], self.identities[self.shard[row]]
        offset, size = int(self.offsets[row]), int(self.sizes[row])
        if size > MAX_PHOTO_BYTES:
            raise PhotoError(f"the file has {too_large(size, MAX_PHOTO_BYTES)}")
        try:
            if is_remote(place):
                from builders.untrusted import read_range

                data = read_range(place, offset, size, identity)
            else:
                with open_unchanged(place, identity) as stream:
                    stream.seek(offset)
                    data = stream.read(size)
        except (OSError, DataError) as error:
            raise PhotoError(f"the shard cannot be read ({getattr(error, 'strerror', None) or error})") from None
        if len(data) != size:
            raise PhotoError(f"the shard {place.rpartition('/')[2]} ends in the middle of the photo")
        return data

    @property
    def is_remote(self) -> bool:
        """See ``PhotoSet.is_remote``."""
        return any(map(is_remote, self.shards))

    def stamps(self, rows: np.ndarray) -> Stamps | None:
        """See ``PhotoSet.stamps``; None where a server does not say whether a shard changed."""
        if not all(map(is_lasting, self.identities)):
            return None
        of_shard = [
            lasting_stamp(f"{place} {identity}") if is_remote(place) else file_stamp(place)
            for place, identity in zip(self.shards, self.identities, strict=True)
        ]
        return stamps_within(of_shard, self.shard[rows], self.offsets[rows], self.sizes[rows])


def webdataset_photos(
    pattern: str,
    *,
    columns: ColumnSources,
    image: str = "",
    seed: int = 0,
    val_share: float = 0.25,
    streaming: Streaming | None = None,
) -> PhotoSet:
    """Photos of the shards that a pattern names.

    Labels and other columns are ``cls`` (or the ending of another file of text) and ``json.FIELD``; the label is
    ``cls`` if none is named. Ids are ``SHARD/KEY``.

    Args:
        pattern: path or address with ranges ``{000..146}`` and choices ``{a,b}``.
        columns: named by the user.
        image: ending of the picture of each sample, where there are several.
        seed, val_share: of a split that is drawn.
        streaming: open only as many shards, drawn by seed, as hold the photos that are wanted.

    Raises:
        UsageError: the pattern is malformed, or a column is in no sample.
        DataError: a shard is not there, is no tar, or there is no photo in them.
    """
    shards = expanded_shards(pattern)
    evidence = {"shards": f"{len(shards)}"}
    wanted = tuple(dict.fromkeys(["cls", *columns.of_table()]))
    samples: list[_Sample] = []
    shard: list[int] = []
    identities = []
    with progress_bar(total=len(shards), desc="indexing shards", unit="shard", delay=2) as bar:
        opened: list[str] = []
        for place in shards if streaming is None else _drawn_shards(shards, streaming.seed):
            if streaming is not None and streaming.limit is not None and len(samples) >= streaming.limit:
                break
            some, identity = _indexed_shard(place, wanted, image)
            number = len(opened)
            opened.append(place)
            samples += some
            shard += [number] * len(some)
            identities.append(identity)
            bar.update()
    if len(opened) < len(shards):
        evidence["shards"] = f"{len(opened):,} of {len(shards):,}, drawn by seed"
    if not samples:
        ending = f".{image}" if image else f".{', .'.join(IMAGES[:4])}, ..."
        raise DataError(f"webdataset:{readable(pattern)}: no file that ends in {ending} in {len(opened)} shards")
    table = {
        name: labels_of(sample.texts[i] or None for sample in samples)
        for i, name in enumerate(wanted)
        if any(sample.texts[i] for sample in samples)
    }
    stems = [place.rpartition("/")[2].removesuffix(".tar") for place in opened]
    of_first = shards[0].rpartition("/")[2].removesuffix(".tar")
    ids = tuple(f"{stems[s]}/{sample.key}" for s, sample in zip(shard, samples, strict=True))
    if len(set(ids)) < len(ids):
        repeated = next(name for name, count in Counter(ids).items() if count > 1)
        raise DataError(f"webdataset:{readable(pattern)}: two samples are called {readable(repeated)}")
    photos = PhotoSet(
        name=f"webdataset:{readable(of_first)}" + (f" and {len(shards) - 1} more" if len(shards) > 1 else ""),
        ids=ids,
        splits=np.zeros(len(ids), dtype=np.int8),
        labels=table.get("cls", Labels((), np.full(len(ids), UNLABELLED, dtype=np.int32))),
        source=ShardSource(
            tuple(opened),
            tuple(identities),
            np.array(shard, dtype=np.int32),
            np.array([sample.offset for sample in samples], dtype=np.int64),
            np.array([sample.size for sample in samples], dtype=np.int64),
        ),
        rows=np.arange(len(ids), dtype=np.int64),
        evidence=evidence,
        drawn_splits=True,
    )
    if not columns.split:
        photos = drawn_splits(photos, seed=seed, val_share=val_share)
    return with_columns(photos, columns, table=table, seed=seed, val_share=val_share)


def _drawn_shards(shards: Sequence[str], seed: int) -> list[str]:
    """Shards in the order in which they are opened where some suffice: that of the draw, one of each kind at a time. A
    kind is a name without its numbers, such as those of a split.

    >>> _drawn_shards(["train-0.tar", "train-1.tar", "train-2.tar", "val-0.tar"], seed=0)[:2]
    ['train-1.tar', 'val-0.tar']
    """
    kinds: Counter[str] = Counter()
    order = []
    for index in drawn_order([shard.rpartition("/")[2] for shard in shards], seed):
        kind = re.sub(r"\d+", "#", shards[index])
        order.append((kinds[kind], shards[index]))
        kinds[kind] += 1
    return [shard for _, shard in sorted(order, key=lambda pair: pair[0])]


def expanded_shards(pattern: str) -> list[str]:
    """Every path or address of a pattern; paths of this machine are absolute.

    Raises:
        UsageError: a brace is not closed, holds no range or choice, or there are too many shards.

    >>> expanded_shards("s3://b/{train,val}-{08..10}.tar")[:4]
    ['s3://b/train-08.tar', 's3://b/train-09.tar', 's3://b/train-10.tar', 's3://b/val-08.tar']
    """
    head, opened, rest = pattern.partition("{")
    if not opened:
        address = pattern.removeprefix("file://")
        return [address if is_remote(address) else os.path.abspath(os.path.expanduser(address))]
    inner, closed, tail = rest.partition("}")
    span = re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})", inner)
    if not closed or (not span and "," not in inner):
        raise UsageError(f"webdataset:{readable(pattern)}: write a range {{000..146}} or a choice {{a,b}}")
    if span:
        low, high = int(span[1]), int(span[2])
        if not low <= high < low + MAX_SHARDS:
            raise UsageError(f"webdataset:{readable(pattern)}: {inner} is no range of up to {MAX_SHARDS:,} shards")
        choices = [f"{number:0{len(span[1])}}" for number in range(low, high + 1)]
    else:
        choices = inner.split(",")
    shards = [shard for choice in choices for shard in expanded_shards(f"{head}{choice}{tail}")]
    if len(shards) > MAX_SHARDS:
        raise UsageError(f"webdataset:{readable(pattern)}: more than {MAX_SHARDS:,} shards")
    return shards


def _indexed_shard(place: str, wanted: tuple[str, ...], image: str) -> tuple[list[_Sample], str]:
    """Samples of a shard, from the cached index if the shard has not changed since; and its identity."""
    if is_remote(place):
        from builders.untrusted import RemoteStream, remote_facts

        size, identity = remote_facts(place)
        settled = is_lasting(identity)
    else:
        stamp = file_stamp(place)
        size, identity, settled = 0, stamp.text, is_settled(stamp.changed_ns)
    key = json.dumps([_INDEX_VERSION, place, identity, size, wanted, image])
    cached = cache_folder() / "webdataset" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    try:
        stored = read_untrusted_arrays(cached)
        named = json.loads(stored["named"].tobytes())
        numbers = zip(named["keys"], stored["offsets"].tolist(), stored["sizes"].tolist(), named["texts"], strict=True)
        return [_Sample(str(name), at, length, tuple(map(str, of))) for name, at, length, of in numbers], identity
    except (UntrustedInputError, ValueError, KeyError, TypeError, RecursionError):
        pass
    try:
        if is_remote(place):
            stream: Any = RemoteStream(place, size, identity)
            samples = _samples(stream, wanted, image, place)
        else:
            with open_untrusted(place, limit=MAX_ARCHIVE_FILE_BYTES) as file:
                samples = _samples(file, wanted, image, place)
    except UntrustedInputError as error:
        raise DataError(f"webdataset:{error}") from None
    except (*TAR_ERRORS, OSError) as error:
        raise DataError(f"webdataset:{readable(place)}: damaged or not a tar file ({first_line(error)})") from None
    if not settled:
        return samples, identity
    buffer = io.BytesIO()
    # an array of text takes the length of the longest one for each
    named = json.dumps({"keys": [sample.key for sample in samples], "texts": [sample.texts for sample in samples]})
    np.savez_compressed(
        buffer,
        named=np.frombuffer(named.encode(), dtype=np.uint8),
        offsets=np.array([sample.offset for sample in samples], dtype=np.int64),
        sizes=np.array([sample.size for sample in samples], dtype=np.int64),
    )
    write_bytes_atomically(cached, buffer.getvalue())
    return samples, identity


def _samples(stream: BinaryIO, wanted: Sequence[str], image: str, place: str) -> list[_Sample]:
    """The samples of an opened shard: headers and wanted texts are read, pictures are not."""
    pictures: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    texts: dict[str, dict[str, str]] = defaultdict(dict)
    endings = {name.partition(".")[0] for name in wanted}
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        for member in tar:
            folder, _, name = member.name.removeprefix("./").rpartition("/")
            stem, _, ending = name.partition(".")
            if not member.isfile() or not stem or not ending:
                continue
            check_size(member)
            key, ending = f"{folder}/{stem}" if folder else stem, ending.lower()
            if ending == image if image else ending.rpartition(".")[2] in IMAGES:
                pictures[key][ending] = member.offset_data, member.size
            elif ending in endings and member.size <= MAX_LABEL_BYTES:
                content = tar.extractfile(member)
                assert content is not None
                texts[key][ending] = content.read().decode("utf-8", "replace")
    samples = []
    for key, endings_of in pictures.items():
        ending = min(
            endings_of, key=lambda one: (one.count("."), IMAGES.index(one) if one in IMAGES else len(IMAGES), one)
        )
        parsed: dict[str, Any] = {}
        values = tuple(_value(texts[key], name, parsed, f"{place}: {key}") for name in wanted)
        samples.append(_Sample(key, *endings_of[ending], values))
    return samples


def _value(texts: dict[str, str], name: str, parsed: dict[str, Any], where: str) -> str:
    """A column of a sample as text; empty where it has none."""
    ending, _, path = name.partition(".")
    if ending not in texts:
        return ""
    if ending != "json" or not path:
        return texts[ending].strip()
    if "json" not in parsed:
        parsed["json"] = parse_json(texts["json"], where)
    value = parsed["json"]
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return "" if value is None or isinstance(value, dict | list) else str(value)
