"""A folder or archive of a camera set, or its tables, become a photo set: one photo for each scene and device.

``layouts.py`` parses paths and ``tables.py`` reads the sets that tables describe; splits keep scenes together.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from builders.errors import DataError, UsageError
from builders.extras.cameras.archives import Entry, entries_below, source_of
from builders.extras.cameras.design import (
    OTHER_FILES,
    SIMULATED_FILE,
    Oddities,
    design_text,
    missing_text,
    not_a_photo,
    simulated_evidence,
    stated_facts,
)
from builders.extras.cameras.layouts import ES_GRIDS, PATH_LAYOUTS, SLIDE, Capture, PathLayout
from builders.extras.cameras.terms import terms_of
from builders.photos import (
    CLUSTER,
    SPLITS,
    TERMS_OF_USE,
    UNLABELLED,
    ColumnSources,
    Labels,
    PhotoSet,
    PhotoSource,
    hash64,
    labels_of,
)
from builders.sources import seeded_splits, with_columns


@dataclass(frozen=True)
class CameraSet:
    """The photos of one set, in their order."""

    kind: str
    name: str
    """Of its folder or archive."""
    captures: tuple[Capture, ...]
    source: PhotoSource
    evidence: Mapping[str, str]
    table: Mapping[str, Labels] = field(default_factory=dict)
    """Columns of the set's table that the user named, by name."""


def camera_photos(
    kind: str,
    path: str,
    *,
    columns: ColumnSources,
    part: str = "",
    scenes: int | None = None,
    seed: int = 0,
    val_share: float = 0.25,
) -> PhotoSet:
    """Photos of a folder or archive in the layout of a camera set, with splits apart in scenes.

    Columns are ``scene``, ``device``, ``unit``, ``platform`` and ``cluster``, as far as the set has them; attributes
    ``make``, ``model``, ``exposure``, ``aperture``, ``iso``; groups everything that has two values or more.

    Args:
        kind: one of ``PATH_LAYOUTS``.
        path: of the folder, or of one archive.
        columns: named by the user.
        part: of a set whose parts have settings of their own: ``es-val``.
        scenes: number of scenes to take, drawn by a hash; all photos of a scene stay together.
        seed, val_share: of the split.

    Raises:
        DataError: the path does not have the layout, or an archive cannot be read in place.
        UsageError: there is no such part.
    """
    layout, root = PATH_LAYOUTS[kind], Path(path).expanduser()
    entries = entries_below(root, kind)
    simulated = simulated_evidence(entries, root)
    pictures, odd = _photo_entries(entries)
    entries, captures = _captures(pictures, layout, _folders_of(root), odd)
    if not captures:
        raise _nothing_there(kind, path, layout, odd, pictures)
    entries, captures = _of_part(kind, path, layout, entries, captures, part)
    entries, captures = _one_of_each(entries, captures, odd)
    captures = _named_devices(captures)
    chosen = CameraSet(
        kind,
        _without_endings([root.resolve().name])[0],
        tuple(captures),
        source_of(entries, root),
        stated_facts(simulated, design_text(layout, captures), missing_text(layout, captures), odd),
    )
    return photos_of_set(chosen, cluster=layout.cluster, columns=columns, scenes=scenes, seed=seed, val_share=val_share)


def _folders_of(root: Path) -> tuple[str, ...]:
    """Names of the folder and its parent: a user may name a folder inside the set."""
    parts = root.resolve().parts
    return _without_endings(parts[1:][-2:])


def _without_endings(parts: Sequence[str]) -> tuple[str, ...]:
    return tuple(part[:-4] if part.lower().endswith((".zip", ".tar")) else part for part in parts)


def _photo_entries(entries: Sequence[Entry]) -> tuple[list[Entry], Oddities]:
    """Entries that are photos by their names; the others are counted."""
    odd, photos = Oddities(), []
    for entry in entries:
        reason = not_a_photo(entry.path)
        if not reason:
            photos.append(entry)
        elif reason != OTHER_FILES or entry.path.rpartition("/")[2] not in (SIMULATED_FILE, "README.md"):
            odd.add(reason, entry.path)
    return photos, odd


def _captures(
    entries: Sequence[Entry], layout: PathLayout, folders: tuple[str, ...], odd: Oddities
) -> tuple[list[Entry], list[Capture]]:
    """Entries of the layout and what they say; the others are counted."""
    used, captures = [], []
    for entry in entries:
        archive = _without_endings(entry.archive.split("/")) if entry.archive else ()
        parsed = layout.parse((*folders, *archive, *entry.path.split("/")))
        if isinstance(parsed, str):
            odd.add(parsed, entry.path)
        else:
            used.append(entry)
            captures.append(parsed)
    return used, captures


def _nothing_there(kind: str, path: str, layout: PathLayout, odd: Oddities, pictures: Sequence[Entry]) -> DataError:
    """The refusal of a place without a photo of the set, with the set that was probably meant."""
    folders = _folders_of(Path(path).expanduser())
    for other, known in PATH_LAYOUTS.items():
        probe = [known.parse((*folders, *entry.path.split("/"))) for entry in pictures[:50]]
        if other != kind and sum(isinstance(parsed, Capture) for parsed in probe) > len(probe) / 2:
            meant = f"did you mean {other}:{path}?"
            return DataError(f"{kind}:{path}: its files are in the layout of {known.title}: {meant}")
    reasons = odd.text()
    return DataError(
        f"{kind}:{path}: no photo of {layout.title} there, whose paths look like {layout.form}"
        + (f"; {reasons}" if reasons else "")
    )


def _of_part(
    kind: str, path: str, layout: PathLayout, entries: list[Entry], captures: list[Capture], part: str
) -> tuple[list[Entry], list[Capture]]:
    """The photos of one part of a set whose parts have settings of their own."""
    if not layout.part_of_settings:
        if part:
            raise UsageError(f"{kind}:{path}: {layout.title} has no parts with settings of their own: leave part= out")
        return entries, captures
    if all(not capture.part for capture in captures):
        highest = max(int(capture.groups["setting"].partition(" ")[2]) for capture in captures)
        part = part or ("es-val" if highest > len(ES_GRIDS["es-test"].iso) ** 3 else "")
        if part not in ES_GRIDS:
            raise DataError(
                f"{kind}:{path}: no folder says what the settings mean: give the folder that holds "
                f"{', '.join(ES_GRIDS)}, or say which part it is: part=es-test"
            )
        captures = [_with_settings(capture, part) for capture in captures]
    parts = sorted({capture.part for capture in captures if capture.part})
    if part and part not in parts:
        raise UsageError(f"{kind}:{path}: part={part}: it holds {' and '.join(parts)}")
    if not part and len(parts) > 1:
        raise DataError(
            f"{kind}:{path}: {' and '.join(parts)} have settings of their own, so that one is read at a time: add "
            f"?part={parts[0]}"
        )
    keep = [i for i, capture in enumerate(captures) if capture.part == (part or parts[0])]
    return [entries[i] for i in keep], [captures[i] for i in keep]


def _with_settings(capture: Capture, part: str) -> Capture:
    mode, _, number = capture.groups["setting"].partition(" ")
    settings = ES_GRIDS[part].settings(int(number)) if mode == "param" else {}
    return replace(capture, part=part, settings=settings or {})


def _one_of_each(entries: list[Entry], captures: list[Capture], odd: Oddities) -> tuple[list[Entry], list[Capture]]:
    """The first photo of each cell, in the order of ids: unpacked before archived, complete names before copies."""
    order = sorted(range(len(entries)), key=lambda i: (captures[i].further, entries[i].archive, entries[i].path))
    first: dict[tuple[str, ...], int] = {}
    for i in order:
        earlier = first.setdefault(captures[i].cell, i)
        if earlier == i:
            continue
        if entries[i].archive != entries[earlier].archive:
            place = f"{entries[i].archive}/{entries[i].path}"
            odd.add("photos that are there unpacked or in another archive too", place)
        else:
            odd.add("further shots or copies of one scene by one device", entries[i].path)
    first_rows = sorted(first.values(), key=lambda i: captures[i].id)
    return [entries[i] for i in first_rows], [captures[i] for i in first_rows]


def _named_devices(captures: Sequence[Capture]) -> list[Capture]:
    """The photos with device, unit, make and model from the most frequent spelling of each device's folder.

    Where all folders end in a number (``D02_Sony_Xperia_Z1_1``), it is the body of the model; else the device's is.
    """
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for capture in captures:
        spellings[capture.device][capture.name] += 1
    names = {key: max(count, key=lambda name: (bool(name), count[name], name)) for key, count in spellings.items()}
    folders = [name for key, name in names.items() if name and name != key]  # a scanner is its own name
    numbered = bool(folders) and all(re.fullmatch(r".+_.+_\d+", name) for name in folders)
    stated: dict[str, dict[str, Any]] = {}
    for key, name in names.items():
        model, _, number = name.rpartition("_") if numbered else (name, "", key)
        make, _, rest = model.partition("_")
        of_model = {"unit": number, "make": make, "model": f"{make} {rest.replace('_', ' ')}".strip()}
        stated[key] = {"device": f"{key} {name}", **of_model} if name and name != key else {}
    return [replace(capture, **stated[capture.device]) for capture in captures]


def photos_of_set(
    camera_set: CameraSet,
    *,
    cluster: str,
    columns: ColumnSources,
    scenes: int | None,
    seed: int,
    val_share: float,
) -> PhotoSet:
    """The photo set of a camera set, with a split of its scenes.

    Args:
        camera_set: the set.
        cluster: group that errs together, where it is more than a scene.
        columns, scenes, seed, val_share: as of ``camera_photos``.

    Raises:
        DataError: there are fewer than two scenes.
    """
    captures = camera_set.captures
    text = {
        "scene": [c.scene for c in captures],
        "device": [c.device for c in captures],
        "unit": [c.unit for c in captures],
        "platform": [c.platform for c in captures],
    }
    groups = {name: text[name] for name in ("device", "platform")}
    for name in dict.fromkeys(name for c in captures for name in c.groups):
        # a slide is one staining by one scanner, or several scenes: no group beside these
        (text if name == SLIDE else groups)[name] = [c.groups.get(name, "") for c in captures]
    attributes: dict[str, list[str]] = {"make": [c.make for c in captures], "model": [c.model for c in captures]}
    for name in dict.fromkeys(name for c in captures for name in c.settings):
        attributes[name] = [c.settings.get(name, "") for c in captures]
    label = labels_of(c.label or None for c in captures)
    shared = text[cluster] if cluster else text["scene"]
    splits, how = _splits(camera_set, shared, [c.label or None for c in captures], seed, val_share)
    simulated = (
        "simulated-" if "simulated" in camera_set.evidence and not camera_set.name.startswith("simulated") else ""
    )
    photos = PhotoSet(
        name=f"{camera_set.kind}:{simulated}{camera_set.name}",
        ids=tuple(c.id for c in captures),
        splits=splits,
        labels=label,
        source=camera_set.source,
        rows=np.arange(len(captures), dtype=np.int64),
        attributes={name: labels for name, values in attributes.items() if (labels := _varying(values))},
        groups={name: labels for name, values in groups.items() if (labels := _varying(values))},
        columns={
            **{name: np.array(values) for name, values in text.items() if any(values)},
            **({CLUSTER: np.array(shared)} if cluster else {}),
        },
        evidence={
            **camera_set.evidence,
            "splits": how,
            TERMS_OF_USE: terms_of(camera_set.kind, "simulated" in camera_set.evidence),
        },
        drawn_splits=True,
    )
    photos = with_columns(photos, columns, table=camera_set.table, seed=seed, val_share=val_share)
    return photos if scenes is None else _some_scenes(photos, scenes, seed)


def _splits(
    camera_set: CameraSet, shared: Sequence[str], labels: Sequence[str | None], seed: int, val_share: float
) -> tuple[np.ndarray, str]:
    """int8 [photos]: a split that keeps photos of one scene (or cluster) together, stratified by its class."""
    if not any(shared):
        splits = seeded_splits([c.id for c in camera_set.captures], labels, seed=seed, val_share=val_share)
        return np.array([SPLITS.index(s) for s in splits], np.int8), f"seeded, seed {seed}: the set names no scenes"
    class_of = dict(zip(shared, labels, strict=True))
    if len(class_of) < 2:
        raise DataError(f"{camera_set.kind}:{camera_set.name}: all photos are of one scene, and a split needs two")
    drawn = seeded_splits(list(class_of), list(class_of.values()), seed=seed, val_share=val_share)
    side = {unit: SPLITS.index(split) for unit, split in zip(class_of, drawn, strict=True)}
    if len(set(side.values())) < 2:  # classes of one scene each
        drawn = seeded_splits(list(class_of), [None] * len(class_of), seed=seed, val_share=val_share)
        side = {unit: SPLITS.index(split) for unit, split in zip(class_of, drawn, strict=True)}
    how = f"seeded split of scenes, seed {seed}, {val_share:g} for val"
    return np.array([side[unit] for unit in shared], np.int8), how


def _some_scenes(photos: PhotoSet, count: int, seed: int) -> PhotoSet:
    """The photos of some scenes, drawn by a hash from both splits in proportion; each scene keeps all its photos."""
    if "scene" not in photos.columns:
        raise UsageError(f"{photos.name}: scenes={count}: the set names no scenes")
    scenes, first = np.unique(photos.columns["scene"], return_index=True)
    ranks = np.array([hash64(f"scenes\0{seed}\0{scene}") for scene in scenes], dtype=np.uint64)
    taken = np.empty(len(scenes))
    for split in np.unique(photos.splits):
        members = np.flatnonzero(photos.splits[first] == split)
        members = members[np.argsort(ranks[members], kind="stable")]
        taken[members] = (np.arange(len(members)) + 0.5) / len(members)
        taken[members[0]] = -1
    chosen = scenes[np.argsort(taken, kind="stable")[:count]]
    return photos.select(np.flatnonzero(np.isin(photos.columns["scene"], chosen)))


def _varying(values: Sequence[str]) -> Labels | None:
    """Labels of a column with two values or more; None for others. Numbers are in the order of their size."""
    names = {value for value in values if value}
    if len(names) < 2:
        return None
    ordered = tuple(sorted(names, key=_order))
    index = {name: i for i, name in enumerate(ordered)}
    return Labels(ordered, np.array([index.get(value, UNLABELLED) for value in values], dtype=np.int32))


def _order(name: str) -> tuple[int, Any]:
    head, _, tail = name.partition(" ")
    for text in (name, tail):
        try:
            return (0, (Fraction(text), head))
        except (ValueError, ZeroDivisionError):
            continue
    return (1, name)
