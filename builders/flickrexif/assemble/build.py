"""Build a folder that load_dataset reads from a state: one config per attribute, and ``metadata`` of every photo.

By default no pixels are written: rows contain the address and hash of each file, and ``load`` fetches them. With
pixels, only photos whose licence permits redistribution are used, and their bytes are written as they were fetched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
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
from builders.flickrexif.assemble.collect import Collection, codes_and_words, collect
from builders.flickrexif.assemble.inspect_files import inspect_files
from builders.flickrexif.assemble.rows import (
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
    near_duplicate_names,
    photo_groups,
    read_split_file,
    tables_of,
    validate,
)

RAI = {
    "dataCollection": "Public photos that people uploaded to Flickr under permissive licences, found with its API.",
    "dataUseCases": "To measure what visual encoders know of the camera and its settings. Not for naming the camera, "
    "the place or the person behind a photo.",
    "personalSensitiveInformation": "Photos may show people who did not consent. Flickr's name of each owner is there "
    "for the credit that licences require; positions, serial numbers and names in Exif were never read.",
    "dataBiases": "People on Flickr are no sample of all people, and those who choose a permissive licence are no "
    "sample of Flickr.",
    "dataReleaseMaintenancePlan": "Licences and deletions are looked up again with each version; owners can have a "
    "photo removed, as the card says.",
}
"""What the card of FlickrExif says, in the RAI vocabulary of Croissant."""


@dataclass(frozen=True)
class BuildPlan:
    """How to build."""

    output: Path
    """Folder of the data set."""
    pixels: bool = False
    """Whether rows contain the files."""
    label_set: LabelSet = "clean"
    """The classes of labels."""
    attributes: tuple[str, ...] = STUDY_ATTRIBUTES
    """One config each."""
    seed: int = 0
    """Of the splits."""
    sizes: Sizes = field(default_factory=Sizes)
    """Photos per class and split."""
    assign: str = "hash"
    """``hash`` or ``stratified``: how owners get their split."""
    split_files: tuple[Path, ...] = ()
    """Given splits, such as the study's, one file per attribute; photos, labels and leaks are those of the files."""
    workers: int = 1
    """Processes."""
    fresh: bool = False
    """Replace an existing build."""
    contact: str | None = None
    """For take-down, on the card."""


@dataclass(frozen=True)
class Built:
    """Result of a build."""

    build: Build
    report: ValidationReport
    """Problems of the splits."""
    left_out: Mapping[str, int]
    """Photos that could not be used, by reason."""
    limits: tuple[Limits, ...]
    """What limits the size of each attribute; empty for given splits."""


def build(state: State, plan: BuildPlan) -> Built:
    """Build a data set from the photos of a state.

    Args:
        state: of the collection.
        plan: how to build.

    Raises:
        DataError: there is no photo to build from.
        UsageError: the output folder contains other files, or another build.
    """
    remove_taken_down(state)
    inspect_files(state, workers=plan.workers)
    collection = collect(state, pixels=plan.pixels, label_set=plan.label_set, progress=True)
    if not len(collection):
        reasons = ", ".join(f"{reason} {count}" for reason, count in collection.left_out.items())
        raise DataError(
            f"{state.folder}: no photo to build from ({reasons or 'nothing is selected: search or import first'})"
        )
    labels = _label_columns(collection, plan)
    near = photo_groups(len(collection), hashes=collection.hashes(), digests=collection.of("sha256"))
    splits = _split_photos(collection, labels, plan, near)
    limits = () if plan.split_files else _limits_of(labels, splits, plan)
    parts = [part for name in labels for part in _parts(name, labels[name], splits)]
    same_picture = near_duplicate_names(collection.ids, near)
    tables = _tables(collection, labels, splits, same_picture)
    if plan.split_files:
        tables = [_with_facts(read_split_file(path), collection, same_picture) for path in plan.split_files]
        parts = [part for table in tables for part in _released_parts(table, collection.ids)]
    configs = configs_of(parts)
    columns = photo_features({part.config: part.names for part in parts}, plan.pixels)
    prepare_folder(plan.output, (*((PHOTOS,) if plan.pixels else configs), METADATA), fresh=plan.fresh)
    state.set("built", sorted({*(state.setting("built") or []), str(plan.output.resolve())}))

    maker = RowMaker(str(state.folder.resolve()), collection.of("path"), collection.rows, plan.pixels)
    shared, written = write_photos(parts, maker, columns, plan.output, workers=plan.workers, fresh=plan.fresh)
    split_names = [SPLITS[s] for s in splits.splits]
    written.append(write_metadata(collection.table, split_names, same_picture, plan.output, fresh=plan.fresh))
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
        recipe={**_recipe(plan, splits), "left_out": dict(collection.left_out)},
        pixels=PixelRights(True),
        shared=shared,
        counted={config: [config] for config in configs} | {PHOTOS: []},
    )
    return Built(finished, report, collection.left_out, limits)


def _label_columns(collection: Collection, plan: BuildPlan) -> dict[str, Labels]:
    """Labels of the attributes of a plan, by attribute."""
    labels = {}
    for name in plan.attributes:
        names = ATTRIBUTES[name].classes[plan.label_set]
        index = {word: i for i, word in enumerate(names)}
        codes, words = codes_and_words(collection.table[f"label_{name}"])
        classes = np.array([index.get(word, UNLABELLED) for word in words], dtype=np.int32)
        labels[name] = Labels(names, classes[codes])
    return labels


def _split_photos(
    collection: Collection, labels: Mapping[str, Labels], plan: BuildPlan, near: np.ndarray | None
) -> Splits:
    """Balanced splits that have no owner, file or near-duplicate in common. ``near``: groups of near-duplicates."""
    return make_splits(
        collection.ids,
        {name: column.values for name, column in labels.items()},
        owners=collection.of("owner"),
        near=near,
        digests=collection.of("sha256"),
        sizes=plan.sizes,
        assign="stratified" if plan.assign == "stratified" else "hash",
        seed=plan.seed,
    )


def _limits_of(labels: Mapping[str, Labels], splits: Splits, plan: BuildPlan) -> tuple[Limits, ...]:
    """What limits the size of each attribute, and the sizes by other values of ``--least``."""
    return tuple(class_limits(name, column, splits.splits, plan.sizes) for name, column in labels.items())


def _parts(name: str, column: Labels, splits: Splits) -> list[LabelledPart]:
    """The three splits of an attribute, with the classes that have photos; none if fewer than two classes have."""
    classes = splits.classes[name]
    if len(classes) < 2:
        return []
    new = {int(old): i for i, old in enumerate(classes)}
    names = tuple(column.names[old] for old in classes)
    parts = []
    for split, word in enumerate(HUB_SPLITS):
        rows = np.flatnonzero(splits.selected[name] == split)
        parts.append(
            LabelledPart(name, word, names, rows, np.array([new[int(v)] for v in column.values[rows]], dtype=np.int64))
        )
    return parts


def _released_parts(table: SplitTable, ids: Sequence[str]) -> list[LabelledPart]:
    """The rows of a released split file whose photo is in the collection, with the released labels."""
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


def _with_facts(table: SplitTable, collection: Collection, near: np.ndarray) -> SplitTable:
    """A given split table with owners, files and near-duplicates of its photos, as far as they are collected."""
    position = {photo_id: i for i, photo_id in enumerate(collection.ids)}
    at = np.array([position.get(photo_id, -1) for photo_id in table.ids], dtype=np.int64)
    owners, digests, names = (
        np.array([*values, ""])[at] for values in (collection.of("owner"), collection.of("sha256"), near.tolist())
    )
    return replace(table, owners=owners, digests=digests, near=names)


def _tables(collection: Collection, labels: Mapping[str, Labels], splits: Splits, near: np.ndarray) -> list[SplitTable]:
    years = collection.table["year"].fill_null(0).to_numpy().astype(np.int64)
    return tables_of(
        collection.ids,
        labels,
        splits,
        owners=collection.of("owner"),
        digests=collection.of("sha256"),
        near=near,
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
    """``source_datasets`` of the card: original for photos of a search, the imported data set for imported photos."""
    imported = tuple(name for name in state.setting("imported_from") or () if "/" in name)
    searched = ORIGINAL if state.value("SELECT 1 FROM photos WHERE selected = 1 AND source != 'import'") else ()
    return (*searched, *source_datasets(*(f"hub:{name}" for name in imported)))


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
        rai=RAI,
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
