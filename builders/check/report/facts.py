"""What the page of a build says, counted in its tables. Everything that is read is untrusted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.dataset import FAILURES_FILE, PHOTOS, Build, read_build
from builders.errors import DataError
from builders.flickrexif import METADATA
from builders.splits import photo_groups
from builders.untrusted import (
    describe_error,
    parquet_errors,
    parse_json,
    read_table,
    read_untrusted_text,
    readable,
    table_schema,
)

MAX_VALUES = 12
"""Most frequent values that a distribution lists."""

MAX_REASONS = 20
"""Reasons for missing items that are listed."""

MAX_FAILURES_BYTES = 256 * 2**20

NOT_KNOWN = "not known"

_COLUMNS = {
    "Owners": ("owner",),
    "Scenes": ("scene",),
    "Makes": ("camera_make",),
    "Devices": ("camera_model", "camera"),
    "Types of devices": ("label_device_type", "camera_type"),
    "Years": ("year",),
    "Months": ("month",),
    "Sizes of files": ("size",),
    "Licences": ("licence",),
    "JPEG qualities of the source": ("source_quality",),
    "Chroma subsampling of the source": ("source_subsampling",),
}
"""Distributions by their title: the first of the columns that the build has."""

_IN_ORDER = ("Years", "Months", "JPEG qualities of the source")
"""Distributions that are listed by value, not by frequency."""


@dataclass(frozen=True)
class Count:
    """One value of a distribution."""

    name: str
    photos: int
    share: float
    """Of the photos of the distribution, 0 to 1."""


@dataclass(frozen=True)
class Distribution:
    """How many photos have each value of a column."""

    title: str
    counts: tuple[Count, ...]
    """At most ``MAX_VALUES``."""
    values: int
    """Distinct values, ``NOT_KNOWN`` not counted."""
    photos: int
    note: str = ""

    @property
    def listed(self) -> int:
        """Distinct values among ``counts``, ``NOT_KNOWN`` not counted."""
        return sum(count.name != NOT_KNOWN for count in self.counts)


@dataclass(frozen=True)
class ClassRows:
    """Rows of each class of one column in each split."""

    config: str
    column: str
    splits: tuple[str, ...]
    classes: tuple[tuple[str, tuple[int, ...]], ...]
    """Name and rows by split, the largest first; at most ``MAX_VALUES``."""
    count: int
    """Number of classes."""


@dataclass(frozen=True)
class Missing:
    """Photos that are not in the data for one reason."""

    reason: str
    photos: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Duplicates:
    """Equal and nearly equal photos in the data."""

    kind: str
    groups: int
    photos: int
    straddling: int
    """Groups in several splits."""


@dataclass(frozen=True)
class ReportFacts:
    """Everything on the page but the pictures."""

    folder: str
    build: Build
    photos: int
    distributions: tuple[Distribution, ...]
    classes: tuple[ClassRows, ...]
    duplicates: tuple[Duplicates, ...]
    missing: tuple[Missing, ...]
    licences: tuple[Count, ...]
    evidence: tuple[tuple[str, str], ...]


def report_facts(folder: Path) -> ReportFacts:
    """Read the tables of a finished build. No pixels are read.

    Args:
        folder: of the build; untrusted.

    Raises:
        DataError: no finished build is there, or its tables cannot be read.
    """
    build = read_build(folder)
    try:
        photos = _photo_table(folder, build)
        distributions = tuple(_distributions(photos))
        return ReportFacts(
            folder=readable(folder.resolve().name),
            build=build,
            photos=len(photos),
            distributions=distributions,
            classes=tuple(_class_rows(folder, build)),
            duplicates=tuple(_duplicates(photos)),
            missing=_missing(folder, build),
            licences=_licences(photos, build),
            evidence=_evidence(build),
        )
    except parquet_errors(AttributeError, TypeError) as error:
        raise DataError(f"{folder}: its tables are not those of a build ({describe_error(error)})") from None


def shards_of(build: Build, config: str) -> list[tuple[str, str]]:
    """Split and path of each shard of a config, each shard once."""
    listed = [(split.split, shard.file) for split in build.splits if split.config == config for shard in split.shards]
    return list({file: (split, file) for split, file in reversed(listed)}.values())[::-1]


def class_names(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """Names of the classes of each ``ClassLabel`` column."""
    from datasets import Features

    features = Features.from_arrow_schema(schema)
    return {
        name: tuple(readable(str(n)) for n in feature.names)
        for name, feature in features.items()
        if getattr(feature, "names", None)
    }


def _photo_config(build: Build) -> str:
    """The config whose rows describe the photos: one that has them all, or the default config."""
    return next((config for config in (METADATA, PHOTOS) if config in build.configs), build.default)


def _photo_table(folder: Path, build: Build) -> pa.Table:
    """One row for each photo, without pictures, with its split in the column ``_split`` and classes by name."""
    parts = []
    config = _photo_config(build)
    shards = shards_of(build, config)
    if build.shared is not None and config == build.default:  # photos of no config that has them all
        shards = [(group.split.partition("-")[0], s.file) for group in build.shared.groups for s in group.shards]
    for split, file in shards:
        schema = table_schema(folder / file)
        columns = [name for name in schema.names if not pa.types.is_nested(schema.field(name).type)]
        table = read_table(folder / file, columns)
        for name, names in class_names(schema).items():
            table = table.set_column(table.column_names.index(name), name, class_words(table[name], names))
        if "split" not in table.column_names:
            table = table.append_column("split", pa.array([split] * len(table), pa.string()))
        parts.append(table)
    photos = pa.concat_tables(parts, promote_options="default")
    if "photo_id" in photos.column_names:
        ids = photos["photo_id"].to_numpy(zero_copy_only=False).astype(str)
        photos = photos.take(pa.array(np.sort(np.unique(ids, return_index=True)[1])))
    return photos


def class_words(codes: pa.ChunkedArray, names: Sequence[str]) -> pa.ChunkedArray:
    """Names of classes in place of codes; null where there is none."""
    values = codes.cast(pa.int64()).combine_chunks()
    valid = pc.and_(pc.greater_equal(values, 0), pc.less(values, len(names)))
    return pa.chunked_array([pc.take(pa.array(names, pa.string()), pc.if_else(valid, values, None))])


def _distributions(photos: pa.Table) -> Iterator[Distribution]:
    names = photos.column_names
    if "label" in names:
        yield _distribution("Labels", photos["label"])
    for title, columns in _COLUMNS.items():
        column = next((name for name in columns if name in names), None)
        if column is not None:
            distribution = _distribution(title, photos[column])
            if distribution.values:
                yield distribution
    if {"width", "height"} <= set(names):
        yield _distribution("Pixels", _pixels(photos["width"], photos["height"]), in_order=True)
    for name in names:
        if name.startswith("label_") and name != "label_device_type":
            yield _distribution(f"Label {readable(name.removeprefix('label_'))}", photos[name])


def _distribution(title: str, column: pa.ChunkedArray, *, in_order: bool = False) -> Distribution:
    counts = Counter[str]()
    for pair in pc.value_counts(column.cast(pa.string())).to_pylist():
        counts[readable(str(pair["values"])) if pair["values"] not in (None, "") else NOT_KNOWN] += pair["counts"]
    total = sum(counts.values())
    known = len(counts) - (NOT_KNOWN in counts)
    listed = counts.most_common(MAX_VALUES)
    if title in _IN_ORDER or in_order:
        listed = sorted(listed, key=_by_value)
    note = ""
    if title == "Owners" and known:
        sizes = sorted(n for name, n in counts.items() if name != NOT_KNOWN)
        note = f"{known:,} owners, median {sizes[len(sizes) // 2]:,} photos, largest {sizes[-1]:,}"
    return Distribution(title, _shares(listed, total), known, total, note)


def distribution_of(title: str, words: Iterable[str]) -> Distribution:
    """The distribution of some words.

    >>> distribution_of("Codecs", ["PNG", "PNG", "WEBP"]).counts[0]
    Count(name='PNG', photos=2, share=0.6666666666666666)
    """
    return _distribution(title, pa.chunked_array([pa.array(list(words), pa.string())]))


def _by_value(pair: tuple[str, int]) -> tuple[float, str]:
    number = "".join(c for c in pair[0].partition(" ")[0] if c.isdigit() or c == ".")
    return (float(number) if number.replace(".", "", 1).isdigit() else np.inf, pair[0])


def _shares(counts: Iterable[tuple[str, int]], total: int) -> tuple[Count, ...]:
    return tuple(Count(name, n, n / max(total, 1)) for name, n in counts)


_PIXEL_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32)
"""Megapixels between the classes of sizes."""


def _pixels(width: pa.ChunkedArray, height: pa.ChunkedArray) -> pa.ChunkedArray:
    """Class of the number of pixels of each photo, as text."""
    sides = [column.cast(pa.int64()).fill_null(0).to_numpy().astype(np.float64) for column in (width, height)]
    megapixels = sides[0] * sides[1] / 1e6
    names = [f"{low:g} to {high:g} megapixels" for low, high in zip((0, *_PIXEL_BOUNDS), _PIXEL_BOUNDS, strict=False)]
    names.append(f"{_PIXEL_BOUNDS[-1]:g} megapixels and more")
    at = np.searchsorted(_PIXEL_BOUNDS, megapixels, side="right")
    return pa.chunked_array([pc.take(pa.array(names), pc.if_else(pa.array(megapixels > 0), pa.array(at), None))])


def _class_rows(folder: Path, build: Build) -> Iterator[ClassRows]:
    shared = set(build.shared.configs) if build.shared else set()
    for config in build.configs:
        splits = [split for split in build.splits if split.config == config]
        names = class_names(table_schema(folder / splits[0].shards[0].file))
        for column in names if config not in shared else [config]:
            if config in (PHOTOS, METADATA) or (column == "label" and config != build.default):
                continue
            counts = np.zeros((len(splits), len(names[column])), dtype=np.int64)
            for at, split in enumerate(splits):
                for shard in split.shards:
                    codes = read_table(folder / shard.file, [column]).column(0).cast(pa.int64()).drop_null().to_numpy()
                    inside = codes[(codes >= 0) & (codes < counts.shape[1])]
                    counts[at] += np.bincount(inside, minlength=counts.shape[1])
            order = np.argsort(-counts.sum(axis=0), kind="stable") if counts.shape[1] > MAX_VALUES else None
            listed = range(counts.shape[1]) if order is None else order[:MAX_VALUES].tolist()
            classes = tuple((names[column][code], tuple(counts[:, code].tolist())) for code in listed)
            yield ClassRows(config, column, tuple(s.split for s in splits), classes, counts.shape[1])


def _duplicates(photos: pa.Table) -> Iterator[Duplicates]:
    names = photos.column_names
    splits = photos["split"].to_numpy(zero_copy_only=False).astype(str)
    digest = next((name for name in ("source_sha256", "sha256") if name in names), None)
    if digest is not None:
        words = [word or "" for word in photos[digest].to_pylist()]
        yield _groups("equal files", photo_groups(len(words), digests=words), splits)
    if "perceptual_hash" in names and "near_duplicates" not in names:
        hashes = photos["perceptual_hash"].cast(pa.int64()).fill_null(0).to_numpy().view(np.uint64)
        yield _groups("nearly equal pictures", photo_groups(len(hashes), hashes=hashes), splits)
    if "near_duplicates" in names:
        words = [word or "" for word in photos["near_duplicates"].to_pylist()]
        yield _groups("nearly equal pictures", photo_groups(len(words), scenes=words), splits)


def _groups(kind: str, groups: np.ndarray, splits: np.ndarray) -> Duplicates:
    sizes = np.bincount(groups) if len(groups) else np.zeros(0, dtype=np.int64)
    codes = np.unique(splits, return_inverse=True)[1]
    sides = np.unique(np.stack([groups, codes]), axis=1)[0] if len(groups) else groups
    straddling = int((np.bincount(sides, minlength=len(sizes)) > 1).sum()) if len(groups) else 0
    return Duplicates(kind, int((sizes > 1).sum()), int(sizes[sizes > 1].sum()), straddling)


def _missing(folder: Path, build: Build) -> tuple[Missing, ...]:
    """Reasons of ``failures.jsonl`` and of the builder, the most frequent first. A photo counts once for a reason."""
    ids: dict[str, dict[str, None]] = {}
    path = folder / FAILURES_FILE
    if path.is_file():
        for line in read_untrusted_text(path, limit=MAX_FAILURES_BYTES).split("\n"):
            failure = parse_json(line, str(path)) if line.strip() else {}
            if isinstance(failure, dict) and failure:
                reason = readable(str(failure.get("reason", NOT_KNOWN)))[:300]
                ids.setdefault(reason, {})[readable(str(failure.get("id", NOT_KNOWN)))[:200]] = None
    missing = [Missing(reason, len(names), tuple(names)[:3]) for reason, names in ids.items()]
    left_out = build.recipe.get("left_out")
    for reason, count in left_out.items() if isinstance(left_out, dict) else ():
        if isinstance(count, int):
            missing.append(Missing(readable(str(reason))[:300], count, ()))
    return tuple(sorted(missing, key=lambda m: -m.photos)[:MAX_REASONS])


def _licences(photos: pa.Table, build: Build) -> tuple[Count, ...]:
    """Photos by licence: that of each row, or that of the data set."""
    if "licence" in photos.column_names:
        counts = Counter(readable(word) if word else NOT_KNOWN for word in photos["licence"].to_pylist())
    else:
        counts = Counter({readable(str(build.recipe.get("license", NOT_KNOWN))): len(photos)})
    return _shares(counts.most_common(), len(photos))


def _evidence(build: Build) -> tuple[tuple[str, str], ...]:
    """What the build says about its source and its settings."""
    recipe: Mapping[str, Any] = build.recipe
    facts = {"source": recipe.get("source"), "licence of the data set": recipe.get("license")}
    for name in ("source_evidence", "evidence", "splits"):
        stated = recipe.get(name)
        facts |= {str(key): value for key, value in stated.items()} if isinstance(stated, dict) else {}
    if isinstance(recipe.get("settings"), list):
        facts["settings"] = "; ".join(json.dumps(s, ensure_ascii=False)[:300] for s in recipe["settings"][:MAX_VALUES])
    return tuple((readable(name), readable(str(value))[:500]) for name, value in facts.items() if value)
