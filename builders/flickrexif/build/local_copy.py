"""A published data set without pixels -> the same data set with them, for your own use.

Each file is fetched from its address and must have the hash that was published; what its owner has taken down or
changed since is a recorded failure, and what the list of tombstones covers is never asked for. Where no hash was
published (the file was never fetched by who built it), the file is taken as it is and called unpinned.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
from builders.flickrexif.api.search_results import is_nsid, photo_id, rank
from builders.flickrexif.build.rows import METADATA, UNPINNED, RowMaker, photo_features, write_photos
from builders.flickrexif.fetch.fetch import fetch
from builders.flickrexif.fetch.transfer import FetchCounts, FetchPlan
from builders.flickrexif.store.store import State
from builders.flickrexif.store.tombstones import TOMBSTONES_FILE, Tombstones, mark_folder, tombstones
from builders.untrusted import (
    MAX_CONFIG_BYTES,
    check_data_set,
    client_message,
    from_hub,
    quiet_clients,
    read_untrusted_text,
)

NOT_FOR_REDISTRIBUTION = PixelRights(
    False, "It holds photos that were fetched for your own use, under licences that differ from photo to photo."
)


@dataclass(frozen=True)
class LocalCopy:
    """What ``load`` made."""

    build: Build
    fetched: FetchCounts
    buried: int
    """Rows left out because they have been taken down."""
    loaded: int
    """Photos in the data set."""
    unpinned: int
    """Of these, how many had no published hash to be held to."""
    missing: int
    """Photos that were not to be had."""


def load_local_copy(
    source: str,
    state: State,
    output: Path,
    plan: FetchPlan,
    *,
    configs: Sequence[str] = (),
    revision: str | None = None,
) -> LocalCopy:
    """Fetch the files of a published FlickrExif and write it with them.

    Args:
        source: a folder that ``build`` wrote, or ``namespace/name`` on the Hub.
        state: keeps what is fetched, so that a second load fetches only what is new.
        output: folder to write.
        plan: how to fetch.
        configs: which attributes; all of them if empty.
        revision: of a Hub data set.

    Raises:
        DataError: the source is no FlickrExif, or cannot be read.
        UsageError: a config is not there, or the output folder is somebody else's.
    """
    published = _read(source, revision)
    there = [config for config in published.build.configs if config not in (METADATA, PHOTOS)]
    for config in configs:
        if config not in there:
            raise unknown_name(f"config of {source}", config, there)
    chosen = list(configs) or there
    graves = published.graves | tombstones(state)
    buried: set[str] = set()
    parts: list[LabelledPart] = []
    rows: dict[str, Mapping[str, Any]] = {}
    for config in chosen:
        for split in (s.split for s in published.build.splits if s.config == config):
            data = published.rows(config, split)
            kept = [row for row in data if not graves.cover(row["photo_id"], row["owner"])]
            buried |= {row["photo_id"] for row in data if graves.cover(row["photo_id"], row["owner"])}
            for row in kept:
                rows.setdefault(row["photo_id"], row)
            at = {photo: i for i, photo in enumerate(rows)}
            photos = np.array([at[row["photo_id"]] for row in kept], dtype=np.int64)
            labels = np.array([row[config] for row in kept], dtype=np.int64)
            parts.append(LabelledPart(config, split, tuple(data.features[config].names), photos, labels))
    _take_in(state, rows.values())
    counts = fetch(state, replace(plan, sizes=("any",)))
    columns = photo_features({part.config: part.names for part in parts}, pixels=True)
    prepare_folder(output, [PHOTOS])
    got = {str(r[0]): r for r in state.rows("SELECT photo_id, path, sha256 FROM files WHERE status = 'ok'")}
    unpinned = {id for id, row in rows.items() if not row["sha256"] and id in got}
    for id in unpinned:
        rows[id] = {**rows[id], "sha256": UNPINNED + got[id]["sha256"]}
    files = {id: row["path"] for id, row in got.items()}
    why = {str(r[0]): r[1] for r in state.rows("SELECT photo_id, error FROM files WHERE status != 'ok'")}
    folder = str(state.folder.resolve())
    apart = {"image", *chosen}
    shared_columns = tuple({n: v for n, v in row.items() if n in columns and n not in apart} for row in rows.values())
    maker = _FetchedRows(folder, tuple(map(files.get, rows)), shared_columns, True, why)
    shared, written = write_photos(parts, maker, columns, output)
    written = shared.splits() if shared else written
    missing = {failure.id for split in written for failure in split.failures}
    here = {id: row for id, row in rows.items() if id not in missing}
    mark_folder(output, graves)
    state.set("built", sorted({*(state.setting("built") or []), str(output.resolve())}))
    done = finish_folder(
        output,
        kind="flickrexif",
        splits=() if shared else written,
        features={split.config: columns for split in written},
        default=chosen[0],
        card=_card(here, len(missing), len(unpinned - missing), len(buried), published),
        recipe={"copy_of": dict(published.build.recipe), "configs": chosen},
        pixels=NOT_FOR_REDISTRIBUTION,
        shared=shared,
        counted={config: [config] for config in chosen} | {PHOTOS: []},
    )
    return LocalCopy(done, counts, len(buried), len(here), len(unpinned - missing), len(missing))


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
    source: str
    revision: str | None
    build: Build
    graves: Tombstones

    def rows(self, config: str, split: str) -> Any:
        """A ``datasets.Dataset``, on disk."""
        import datasets

        folder, shards = Path(self.source), self._files(config, split)
        try:
            if folder.is_dir():  # by file: load_dataset of a folder caches by its README, whatever its files hold
                files = [str(folder / name) for name in shards]
                with quiet_clients():
                    return datasets.load_dataset("parquet", data_files=files, split="train")
            check_data_set(self.source, self.revision)
            with from_hub():
                return datasets.load_dataset(self.source, config, split=split, revision=self.revision)
        except Exception as error:  # the libraries below raise their own trees; one sentence serves the user
            reason = client_message(error)[:300]
            raise DataError(f"{self.source}: {config}/{split} cannot be loaded ({reason})") from None

    def _files(self, config: str, split: str) -> list[str]:
        return [f.file for s in self.build.splits if (s.config, s.split) == (config, split) for f in s.shards]


def _read(source: str, revision: str | None) -> _Published:
    text = _text_file(source, BUILD_FILE, revision)
    if text is None:
        raise DataError(f"{source}: no {BUILD_FILE} there, so it is no data set that 'flickrexif build' made")
    found = parse_build(text, f"{source}/{BUILD_FILE}")
    if found.kind != "flickrexif" or found.recipe.get("pixels", True):
        raise DataError(f"{source}: is not a FlickrExif without pixels; load_dataset reads it as it is")
    graves = Tombstones.from_text(_text_file(source, TOMBSTONES_FILE, revision) or "")
    return _Published(source, revision, found, graves)


def _text_file(source: str, name: str, revision: str | None) -> str | None:
    folder = Path(source)
    if folder.is_dir():
        return read_untrusted_text(folder / name) if (folder / name).is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    try:
        with from_hub(MAX_CONFIG_BYTES):
            return read_untrusted_text(hf_hub_download(source, name, repo_type="dataset", revision=revision))
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = client_message(error)[:300]
        raise DataError(f"{source}: neither a folder nor a data set that can be read ({reason})") from None


def _take_in(state: State, rows: Iterable[Mapping[str, Any]]) -> None:
    """Photos of the published rows, to be fetched. A published table is as untrusted as any other."""
    slugs = {licence.slug: id for id, licence in LICENCES.items()}
    with state.transaction() as db:
        for row in rows:
            try:
                id = photo_id(row["photo_id"])
            except ValueError:
                continue
            if not is_nsid(row["owner"]) or not row["url"]:
                continue
            urls = json.dumps({row["size"] or "unknown": (row["url"], row["width"], row["height"])})
            db.execute(
                "INSERT INTO photos (id, owner, source, urls, rank, selected, licence, expected_sha256)"
                " VALUES (?, ?, 'import', ?, ?, 1, ?, ?) ON CONFLICT DO NOTHING",
                (id, row["owner"], urls, rank(id, 0), slugs.get(row["licence"]), row["sha256"] or None),
            )


def _card(
    rows: Mapping[str, Mapping[str, Any]], missing: int, unpinned: int, buried: int, published: _Published
) -> Card:
    return Card(
        template="flickrexif.md.jinja",
        pretty_name="FlickrExif (own copy)",
        license="other",
        source_datasets=source_datasets(*([] if Path(published.source).is_dir() else [f"hub:{published.source}"])),
        context={
            "pixels": True,
            "label_set": published.build.recipe.get("label_set", "clean"),
            "funnel": (),
            "left_out": {"taken down": buried, "not to be had": missing},
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
