"""A state -> a folder that load_dataset reads: one config per attribute, and ``metadata`` of every photo.

By default no pixels are written: rows carry the address and hash of each file, and ``load`` fetches them. With pixels,
only photos whose licence lets them be handed on are taken, and their bytes are written as they were fetched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from builders.dataset import (
    ORIGINAL,
    PHOTOS,
    Build,
    Card,
    LabelledPart,
    PixelRights,
    finish_folder,
    prepare_folder,
    source_datasets,
)
from builders.errors import DataError
from builders.exif import ATTRIBUTES, STUDY_ATTRIBUTES, LabelSet, aliases_version
from builders.flickrexif.build.collect import Collection, codes_and_words, collect
from builders.flickrexif.build.inspect_files import inspect_files
from builders.flickrexif.build.rows import (
    METADATA,
    METADATA_FEATURES,
    RowMaker,
    configs_of,
    photo_features,
    write_metadata,
    write_photos,
)
from builders.flickrexif.search.status import funnel
from builders.flickrexif.store.store import State
from builders.flickrexif.store.tombstones import (
    TOMBSTONES_FILE,
    add_folder_tombstones,
    read_tombstones,
    remove_taken_down,
)
from builders.photos import HUB_SPLITS, SPLITS, UNLABELLED, Labels
from builders.splits import (
    Limits,
    Sizes,
    Splits,
    SplitTable,
    ValidationReport,
    class_limits,
    make_splits,
    read_split_file,
    tables_of,
    validate,
)


@dataclass(frozen=True)
class BuildPlan:
    """How to build."""

    output: Path
    pixels: bool = False
    label_set: LabelSet = "clean"
    attributes: tuple[str, ...] = STUDY_ATTRIBUTES
    seed: int = 0
    sizes: Sizes = field(default_factory=Sizes)
    assign: str = "hash"
    split_files: tuple[Path, ...] = ()
    """Splits of the study instead of our own, one file per attribute: photos, labels, leaks and all."""
    workers: int = 1
    fresh: bool = False
    contact: str | None = None


@dataclass(frozen=True)
class Built:
    """What a build wrote, and what the validator thinks of it."""

    build: Build
    report: ValidationReport
    left_out: Mapping[str, int]
    limits: tuple[Limits, ...] = ()
    """What keeps each attribute small; none of the study's own splits."""


def build(state: State, plan: BuildPlan) -> Built:
    """Build a data set from what a state holds.

    Raises:
        DataError: there is nothing to build from.
        UsageError: the output folder is somebody else's, or holds another build.
    """
    remove_taken_down(state)
    inspect_files(state, workers=plan.workers)
    collection = collect(state, pixels=plan.pixels, label_set=plan.label_set, progress=True)
    if not len(collection):
        why = ", ".join(f"{reason} {count}" for reason, count in collection.left_out.items())
        raise DataError(
            f"{state.folder}: no photo to build from ({why or 'nothing is selected: search or import first'})"
        )
    labels = label_columns(collection, plan)
    splits = split_photos(collection, labels, plan)
    limits = () if plan.split_files else limits_of(labels, splits, plan)
    parts = [part for name in labels for part in _parts(name, labels[name], splits)]
    tables = _tables(collection, labels, splits)
    if plan.split_files:
        tables = [read_split_file(path) for path in plan.split_files]
        parts = [part for table in tables for part in _released_parts(table, collection.ids)]
    configs = configs_of(parts)
    columns = photo_features({part.config: part.names for part in parts}, plan.pixels)
    prepare_folder(plan.output, (*((PHOTOS,) if plan.pixels else configs), METADATA), fresh=plan.fresh)
    state.set("built", sorted({*(state.setting("built") or []), str(plan.output.resolve())}))

    maker = RowMaker(str(state.folder.resolve()), collection.of("path"), collection.rows, plan.pixels)
    shared, written = write_photos(parts, maker, columns, plan.output, workers=plan.workers, fresh=plan.fresh)
    where = [SPLITS[s] for s in splits.splits]
    written.append(write_metadata(collection.table, where, plan.output, fresh=plan.fresh))
    with_photos = {s.config for s in shared.splits()} if shared else set()
    features = dict.fromkeys((*configs, *({PHOTOS} & with_photos)), columns) | {METADATA: METADATA_FEATURES}
    add_folder_tombstones(plan.output, read_tombstones(state))
    report = validate(tables)
    finished = finish_folder(
        plan.output,
        kind="flickrexif",
        splits=written,
        features=features,
        default=next(iter(features)),
        card=_card(state, collection, report, splits, limits, plan),
        recipe=_recipe(plan, splits),
        pixels=PixelRights(True),
        shared=shared,
        counted={config: [config] for config in configs} | {PHOTOS: []},
    )
    return Built(finished, report, collection.left_out, limits)


def label_columns(collection: Collection, plan: BuildPlan) -> dict[str, Labels]:
    """Class indices of the attributes of the plan."""
    labels = {}
    for name in plan.attributes:
        names = ATTRIBUTES[name].classes[plan.label_set]
        index = {word: i for i, word in enumerate(names)}
        which, words = codes_and_words(collection.table[f"label_{name}"])
        classes = np.array([index.get(word, UNLABELLED) for word in words], dtype=np.int32)
        labels[name] = Labels(names, classes[which])
    return labels


def split_photos(collection: Collection, labels: Mapping[str, Labels], plan: BuildPlan) -> Splits:
    """Balanced splits that share no owner, file or near-duplicate."""
    return make_splits(
        collection.ids,
        {name: column.values for name, column in labels.items()},
        owners=collection.of("owner"),
        hashes=_hashes(collection),
        digests=collection.of("sha256"),
        sizes=plan.sizes,
        assign="stratified" if plan.assign == "stratified" else "hash",
        seed=plan.seed,
    )


def _hashes(collection: Collection) -> np.ndarray:
    """Perceptual ones, uint64; 0 where unknown."""
    return np.asarray(collection.table["perceptual_hash"].to_numpy(), dtype=np.int64).view(np.uint64)


def limits_of(labels: Mapping[str, Labels], splits: Splits, plan: BuildPlan) -> tuple[Limits, ...]:
    """What limits each attribute of the plan, and what another ``--least`` would give."""
    return tuple(class_limits(name, column, splits.splits, plan.sizes) for name, column in labels.items())


def _parts(name: str, column: Labels, splits: Splits) -> list[LabelledPart]:
    """The three splits of an attribute, with the classes that have photos; none if fewer than two have."""
    kept = splits.classes[name]
    if len(kept) < 2:
        return []
    new = {int(old): i for i, old in enumerate(kept)}
    names = tuple(column.names[old] for old in kept)
    parts = []
    for split, word in enumerate(HUB_SPLITS):
        rows = np.flatnonzero(splits.selected[name] == split)
        parts.append(
            LabelledPart(name, word, names, rows, np.array([new[int(v)] for v in column.values[rows]], dtype=np.int64))
        )
    return parts


def _released_parts(table: SplitTable, ids: Sequence[str]) -> list[LabelledPart]:
    """The rows of a released split file of which we have the photo, as released."""
    position = {photo_id: i for i, photo_id in enumerate(ids)}
    words = table.labels if table.labels is not None else np.full(len(table.ids), "")
    names = tuple(np.unique(words).tolist())
    index = {name: i for i, name in enumerate(names)}
    parts = []
    for split, word in enumerate(HUB_SPLITS):
        rows = [r for r in table.rows(split) if table.ids[r] in position]
        at = np.array([position[table.ids[r]] for r in rows], dtype=np.int64)
        parts.append(
            LabelledPart(table.name, word, names, at, np.array([index[words[r]] for r in rows], dtype=np.int64))
        )
    return parts


def _tables(collection: Collection, labels: Mapping[str, Labels], splits: Splits) -> list[SplitTable]:
    years = collection.table["year"].fill_null(0).to_numpy().astype(np.int64)
    return tables_of(
        collection.ids,
        labels,
        splits,
        owners=collection.of("owner"),
        digests=collection.of("sha256"),
        hashes=_hashes(collection),
        years=years,
    )


def _recipe(plan: BuildPlan, splits: Splits) -> dict[str, Any]:
    return {
        "label_set": plan.label_set,
        "aliases": aliases_version(),
        "attributes": list(plan.attributes),
        "pixels": plan.pixels,
        "seed": plan.seed,
        "sizes": asdict(plan.sizes),
        "splits": dict(splits.evidence),
        "split_files": [path.name for path in plan.split_files],
    }


def sources_of(state: State) -> tuple[str, ...]:
    """``source_datasets``: photos that a search found are original, imported ones are of the data sets they came in."""
    named = tuple(name for name in state.setting("imported_from") or () if "/" in name)
    found = ORIGINAL if state.value("SELECT 1 FROM photos WHERE selected = 1 AND source != 'import'") else ()
    return (*found, *source_datasets(*(f"hub:{name}" for name in named)))


def _card(
    state: State,
    collection: Collection,
    report: ValidationReport,
    splits: Splits,
    limits: Sequence[Limits],
    plan: BuildPlan,
) -> Card:
    return Card(
        template="flickrexif.md.jinja",
        pretty_name="FlickrExif",
        license="other" if plan.pixels else "cc-by-4.0",
        tags=("exif", "camera", "image-forensics", "photography", "flickr"),
        source_datasets=sources_of(state),
        context={
            "pixels": plan.pixels,
            "label_set": plan.label_set,
            "funnel": funnel(state),
            "left_out": collection.left_out,
            "licences": collection.licence_counts(),
            "unpinned": 0,
            "photos": len(collection),
            "owners": len(codes_and_words(collection.table["owner"])[1]),
            "evidence": dict(splits.evidence),
            "limits": limits,
            "least": plan.sizes.least,
            "problems": [f for f in report.findings if f.level != "ok"],
            "findings": len(report.findings),
            "contact": plan.contact or "the Community tab of this repository",
            "tombstones_file": TOMBSTONES_FILE,
            "split_files": [path.name for path in plan.split_files],
        },
    )
