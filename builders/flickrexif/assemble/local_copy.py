"""Load a published data set without pixels and write the same data set with them, for your own use.

Each file is fetched from its address and must have the published hash. Photos that their owners have deleted or changed
since are recorded failures; photos that a tombstone covers are never requested. Where no hash was published (the
builder of the data set did not fetch the file), the file is accepted as it is and marked unpinned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from builders.dataset import (
    BUILD_FILE,
    PHOTOS,
    Build,
    Card,
    LabelledPart,
    PixelRights,
    finish_folder,
    parse_build,
    prepare_folder,
    source_datasets,
)
from builders.errors import DataError, PhotoError, unknown_name
from builders.flickrexif.api.licences import LICENCES
from builders.flickrexif.api.search_results import is_nsid, photo_id, side_of, text_of
from builders.flickrexif.assemble.rows import METADATA, UNPINNED, RowMaker, photo_features, write_photos
from builders.flickrexif.fetch.fetch import fetch
from builders.flickrexif.fetch.transfer import FetchCounts, FetchPlan
from builders.flickrexif.store.photos import ImportedPhoto, import_photos
from builders.flickrexif.store.store import State
from builders.flickrexif.store.tombstones import TOMBSTONES_FILE, Tombstones, add_folder_tombstones, read_tombstones
from builders.sources import DatasetRepo

NOT_FOR_REDISTRIBUTION = PixelRights(
    False, "It holds photos that were fetched for your own use, under licences that differ from photo to photo."
)


@dataclass(frozen=True)
class LocalCopy:
    """Result of ``load``."""

    build: Build
    fetched: FetchCounts
    taken_down: int
    """Photos left out because they have been taken down."""
    loaded: int
    """Photos in the data set."""
    unpinned: int
    """Of these, photos without a published hash to check."""
    missing: int
    """Photos that could not be fetched."""


def load_local_copy(
    source: str,
    state: State,
    output: Path,
    plan: FetchPlan,
    *,
    configs: Sequence[str] = (),
    revision: str | None = None,
) -> LocalCopy:
    """Fetch the files of a published FlickrExif and write the data set with them.

    Args:
        source: a folder that ``build`` wrote, or ``namespace/name`` on the Hub.
        state: stores what is fetched, so that a second load fetches only new photos.
        output: folder to write.
        plan: how to fetch.
        configs: which attributes; all of them if empty.
        revision: of a Hub data set.

    Raises:
        DataError: the source is no FlickrExif, or cannot be read.
        UsageError: there is no such config, or the output folder contains other files.
    """
    published = _read(DatasetRepo(source, revision))
    available = [config for config in published.build.configs if config not in (METADATA, PHOTOS)]
    for config in configs:
        if config not in available:
            raise unknown_name(f"config of {source}", config, available)
    chosen = list(configs) or available
    tombstones = published.tombstones | read_tombstones(state)
    taken_down: set[str] = set()
    parts: list[LabelledPart] = []
    rows: dict[str, Mapping[str, Any]] = {}
    for config in chosen:
        for split, data in published.rows(config).items():
            part_rows = [row for row in data if not tombstones.covers(row["photo_id"], row["owner"])]
            taken_down |= {row["photo_id"] for row in data if tombstones.covers(row["photo_id"], row["owner"])}
            for row in part_rows:
                rows.setdefault(row["photo_id"], row)
            at = {photo: i for i, photo in enumerate(rows)}
            photos = np.array([at[row["photo_id"]] for row in part_rows], dtype=np.int64)
            labels = np.array([row[config] for row in part_rows], dtype=np.int64)
            parts.append(LabelledPart(config, split, tuple(data.features[config].names), photos, labels))
    import_photos(state, _published_photos(rows.values()))
    counts = fetch(state, replace(plan, sizes=("any",)))
    columns = photo_features({part.config: part.names for part in parts}, pixels=True)
    prepare_folder(output, [PHOTOS])
    files = {str(r[0]): r for r in state.rows("SELECT photo_id, path, sha256 FROM files WHERE status = 'ok'")}
    unpinned = {id for id, row in rows.items() if not row["sha256"] and id in files}
    for id in unpinned:
        rows[id] = {**rows[id], "sha256": UNPINNED + files[id]["sha256"]}
    paths = {id: row["path"] for id, row in files.items()}
    reasons = {str(r[0]): r[1] for r in state.rows("SELECT photo_id, error FROM files WHERE status != 'ok'")}
    folder = str(state.folder.resolve())
    other_columns = {"image", *chosen}
    shared_columns = tuple(
        {name: value for name, value in row.items() if name in columns and name not in other_columns}
        for row in rows.values()
    )
    maker = _FetchedRows(folder, tuple(map(paths.get, rows)), shared_columns, True, reasons)
    shared, written = write_photos(parts, maker, columns, output)
    written = shared.splits() if shared else written
    missing = {failure.id for split in written for failure in split.failures}
    loaded = {id: row for id, row in rows.items() if id not in missing}
    add_folder_tombstones(output, tombstones)
    state.set("built", sorted({*(state.setting("built") or []), str(output.resolve())}))
    build = finish_folder(
        output,
        kind="flickrexif",
        splits=() if shared else written,
        features={split.config: columns for split in written},
        default=chosen[0],
        card=_card(loaded, len(missing), len(unpinned - missing), len(taken_down), published),
        recipe={"copy_of": dict(published.build.recipe), "configs": chosen},
        pixels=NOT_FOR_REDISTRIBUTION,
        shared=shared,
        counted={config: [config] for config in chosen} | {PHOTOS: []},
    )
    return LocalCopy(build, counts, len(taken_down), len(loaded), len(unpinned - missing), len(missing))


@dataclass(frozen=True)
class _FetchedRows(RowMaker):
    """Rows whose file may be missing, with the reason."""

    reasons: Mapping[str, str]

    def row(self, photo: int, labels: Mapping[str, int]) -> dict[str, Any]:
        if self.paths[photo] is None:
            raise PhotoError(self.reasons.get(self.columns[photo]["photo_id"]) or "it was not fetched")
        return super().row(photo, labels)


@dataclass(frozen=True)
class _Published:
    """A published data set: a folder or a repository on the Hub."""

    repo: DatasetRepo
    build: Build
    tombstones: Tombstones

    def rows(self, config: str) -> dict[str, Any]:
        """The rows of each split that ``build.json`` lists, on disk."""
        splits = self.repo.load(self.repo.location, config)
        listed = [s.split for s in self.build.splits if s.config == config]
        for split in listed:
            if split not in splits:
                raise DataError(f"{self.repo.location}: {config} has no split {split}, which {BUILD_FILE} lists")
        return {split: splits[split] for split in listed}


def _read(repo: DatasetRepo) -> _Published:
    source, text = repo.location, repo.text(BUILD_FILE)
    if text is None:
        raise DataError(f"{source}: no {BUILD_FILE} there, so it is no data set that 'flickrexif build' made")
    build = parse_build(text, f"{source}/{BUILD_FILE}")
    if build.kind != "flickrexif" or build.recipe.get("pixels", True):
        raise DataError(f"{source}: is not a FlickrExif without pixels; load_dataset reads it as it is")
    return _Published(repo, build, Tombstones.from_text(repo.text(TOMBSTONES_FILE) or ""))


def _published_photos(rows: Iterable[Mapping[str, Any]]) -> Iterator[ImportedPhoto]:
    """Photos of the published rows. The table is untrusted: rows that make no sense are left out."""
    licence_ids = {licence.slug: id for id, licence in LICENCES.items()}
    for row in rows:
        try:
            id = photo_id(row["photo_id"])
        except ValueError:
            continue
        owner, url, size, sha256 = (text_of(row[name], 2000) for name in ("owner", "url", "size", "sha256"))
        if not is_nsid(owner) or not url:
            continue
        urls = {size or "unknown": (url, side_of(row["width"]), side_of(row["height"]))}
        licence = licence_ids.get(text_of(row["licence"]))
        yield ImportedPhoto(id, owner, urls, licence=licence, expected_sha256=sha256 or None)


def _card(
    rows: Mapping[str, Mapping[str, Any]], missing: int, unpinned: int, taken_down: int, published: _Published
) -> Card:
    return Card(
        template="flickrexif.md.jinja",
        pretty_name="FlickrExif (own copy)",
        license="other",
        source_datasets=source_datasets(*([] if published.repo.local else [f"hub:{published.repo.location}"])),
        context={
            "pixels": True,
            "label_set": published.build.recipe.get("label_set", "clean"),
            "funnel": (),
            "left_out": {"taken down": taken_down, "not to be had": missing},
            "licences": dict(Counter(row["licence"] for row in rows.values()).most_common()),
            "unpinned": unpinned,
            "photos": len(rows),
            "owners": len({row["owner"] for row in rows.values()}),
            "limits": (),
            "evidence": dict(published.build.recipe.get("splits", {})),
            "problems": (),
            "findings": 0,
            "contact": "the data set that this is a copy of",
            "tombstones_file": TOMBSTONES_FILE,
            "split_files": list(published.build.recipe.get("split_files", ())),
        },
    )
