"""What two builds of a data set have in common: photos that came, went or changed, their labels and their splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders.dataset import Build, read_build
from builders.errors import DataError
from builders.sources import local_splits
from builders.untrusted import first_line, readable

PHOTO_ID = "photo_id"

BYTES_COLUMNS = ("source_sha256", "sha256")
"""Hash of the photo's file; the first of these columns that a config has."""

MAX_NAMED = 5
"""Ids that the text names for each kind of difference."""


@dataclass(frozen=True)
class ConfigDiff:
    """Differences of one config. Ids are in ascending order."""

    config: str
    equal: int
    """Photos of both builds without a difference."""
    added: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    changed_bytes: tuple[str, ...] = ()
    """Photos whose file is another one."""
    moved: tuple[str, ...] = ()
    """Photos in other splits."""
    changed_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By column, such as ``label``: photos whose values changed; not for the columns that follow from other bytes."""

    @property
    def is_equal(self) -> bool:
        return not (self.added or self.lost or self.changed_bytes or self.moved or self.changed_columns)


@dataclass(frozen=True)
class BuildDiff:
    """Differences of two builds."""

    configs: tuple[ConfigDiff, ...]
    recipe: Mapping[str, tuple[Any, Any]]
    """Settings of ``build.json`` that differ, by name: (of the first, of the second)."""

    @property
    def is_equal(self) -> bool:
        """Whether photos, labels and splits are equal; settings may differ."""
        return all(config.is_equal for config in self.configs)


def diff_builds(first: Path, second: Path) -> BuildDiff:
    """Compare two finished builds photo by photo. No pixels are read: files are compared by their hashes.

    Args:
        first, second: built folders; untrusted.

    Raises:
        DataError: a folder has no finished build, its tables cannot be read, or they have no photo ids.
    """
    builds = [read_build(folder) for folder in (first, second)]
    names = tuple(dict.fromkeys(config for build in builds for config in build.configs))
    configs = []
    for config in names:
        photos = [
            _photos(folder, config) if config in build.configs else {}
            for folder, build in zip((first, second), builds, strict=True)
        ]
        configs.append(_diff(config, *photos))
    return BuildDiff(tuple(configs), _recipe_diff(*builds))


def diff_text(diff: BuildDiff) -> str:
    """The differences in lines."""
    lines = [] if not diff.is_equal else ["photos, labels and splits are equal"]
    for config in diff.configs:
        kinds = {"added": config.added, "lost": config.lost, "other bytes": config.changed_bytes}
        kinds |= {"other split": config.moved}
        kinds |= {f"other {name}": ids for name, ids in config.changed_columns.items()}
        lines.append(f"{config.config}: {config.equal:,} photos equal")
        lines += [f"  {kind}: {len(ids):,} ({_named(ids)})" for kind, ids in kinds.items() if ids]
    lines += [f"setting {name}: {a} -> {b}" for name, (a, b) in diff.recipe.items()]
    return "\n".join(map(readable, lines))


def diff_json(diff: BuildDiff) -> dict[str, Any]:
    """The differences as JSON values, with every id."""
    return {
        "equal": diff.is_equal,
        "configs": {
            c.config: {
                "equal": c.equal,
                "added": list(c.added),
                "lost": list(c.lost),
                "changed_bytes": list(c.changed_bytes),
                "moved": list(c.moved),
                "changed_columns": {name: list(ids) for name, ids in c.changed_columns.items()},
            }
            for c in diff.configs
        },
        "settings": {name: list(values) for name, values in diff.recipe.items()},
    }


@dataclass
class _Photo:
    """The rows of one photo."""

    splits: set[str] = field(default_factory=set)
    rows: dict[str, list[str]] = field(default_factory=dict)
    """Values of each column as text, one for each row."""

    def values(self, column: str) -> Counter[str]:
        """Without their order: the rows of a photo have none that matters."""
        return Counter(self.rows.get(column, ()))


def _photos(folder: Path, config: str) -> dict[str, _Photo]:
    try:
        parts = local_splits(str(folder), config)
    except Exception as error:  # libraries raise errors of any type for a damaged folder
        raise DataError(f"{folder}: {config} cannot be read ({first_line(error)})") from None
    if parts is None:
        raise DataError(f"{folder}: {config} has no tables that can be read in place")
    photos: dict[str, _Photo] = {}
    for split, table in parts.items():
        if PHOTO_ID not in table.column_names:
            raise DataError(f"{folder}: {config}/{split} has no column {PHOTO_ID}")
        names = [n for n, f in table.features.items() if type(f).__name__ != "Image"]
        columns = {name: table[name] for name in names}
        for row, photo_id in enumerate(columns[PHOTO_ID]):
            photo = photos.setdefault(str(photo_id), _Photo())
            photo.splits.add(str(split))
            for name in names:
                if name != PHOTO_ID:
                    value = columns[name][row]
                    labels = getattr(table.features[name], "names", None)
                    # the name of a class stays when its number moves
                    if labels is not None and isinstance(value, int) and 0 <= value < len(labels):
                        value = labels[value]
                    photo.rows.setdefault(name, []).append(str(value))
    return photos


def _diff(config: str, first: Mapping[str, _Photo], second: Mapping[str, _Photo]) -> ConfigDiff:
    common = sorted(first.keys() & second.keys())
    bytes_column = next((n for n in BYTES_COLUMNS for p in (*first.values(), *second.values()) if n in p.rows), None)
    changed: dict[str, list[str]] = {}
    moved, bytes_changed = [], []
    equal = 0
    for photo_id in common:
        a, b = first[photo_id], second[photo_id]
        columns = [name for name in dict.fromkeys((*a.rows, *b.rows)) if a.values(name) != b.values(name)]
        other_bytes = bytes_column in columns
        if other_bytes:
            bytes_changed.append(photo_id)
        if a.splits != b.splits:
            moved.append(photo_id)
        for name in columns:
            # other bytes have another size, quality and so on: one difference, not six
            follows = name in BYTES_COLUMNS or (other_bytes and name.startswith(("width", "height", "source_")))
            if not follows:
                changed.setdefault(name, []).append(photo_id)
        equal += not columns and a.splits == b.splits
    return ConfigDiff(
        config,
        equal,
        added=tuple(sorted(second.keys() - first.keys())),
        lost=tuple(sorted(first.keys() - second.keys())),
        changed_bytes=tuple(bytes_changed),
        moved=tuple(moved),
        changed_columns={name: tuple(ids) for name, ids in changed.items()},
    )


def _recipe_diff(first: Build, second: Build) -> dict[str, tuple[Any, Any]]:
    settings = [{"kind": b.kind, **b.codec, **b.recipe} for b in (first, second)]
    skipped = ("ids_hash", "items_per_shard", "build")
    names = dict.fromkeys((*settings[0], *settings[1]))
    pairs = {name: (settings[0].get(name), settings[1].get(name)) for name in names if name not in skipped}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _named(ids: Sequence[str]) -> str:
    return ", ".join(ids[:MAX_NAMED]) + (", ..." if len(ids) > MAX_NAMED else "")
