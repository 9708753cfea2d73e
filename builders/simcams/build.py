"""Write the two simulated data sets: ``simcams`` in the form of FlickrExif, ``simpairs`` in the form of PairCams."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Features, Value

from builders.dataset import (
    ORIGINAL,
    PHOTOS,
    Build,
    BuildOptions,
    Card,
    Group,
    LabelledPart,
    PixelRights,
    ShardJob,
    SharedShards,
    SplitShards,
    build_data_set,
    finish_folder,
    grouped,
    pixel_rights,
    write_groups,
)
from builders.errors import DataError, unknown_name
from builders.exif import STUDY_ATTRIBUTES
from builders.flickrexif import photo_features
from builders.paircams import CONFIG as PAIRS
from builders.paircams import PAIR_FEATURES
from builders.photos import HUB_SPLITS, SPLITS, UNLABELLED, Labels, PhotoSet
from builders.pixels import read_jpeg_header
from builders.simcams.render import Shot, SimulatedShots

ATTRIBUTION = "rendered by camtrace simcams"

_SHOT_FEATURES = {
    "scene": Value("string"),
    "scene_kind": Value("string"),
    "shrink_factor": Value("float32"),
    "camera_make": Value("string"),
    "camera_model": Value("string"),
    "camera_type": Value("string"),
    "unit": Value("int32"),
    "exposure_s": Value("string"),
    "f_number": Value("string"),
    "iso_speed": Value("int64"),
    "focal_length_mm": Value("string"),
    "focal_length_35mm": Value("float32"),
    "scene_luminance_cd_m2": Value("float32"),
}

SIMPAIRS_FEATURES = Features(
    {
        **PAIR_FEATURES,
        "licence": Value("string"),
        "attribution": Value("string"),
        **{name: feature for name, feature in _SHOT_FEATURES.items() if name != "camera_type"},
    }
)


def simcams_features(classes: Mapping[str, Sequence[str]]) -> Features:
    """Columns of every attribute config: those of FlickrExif, then those that only a simulation has.

    Args:
        classes: class names of each attribute.
    """
    return Features({**photo_features(classes, pixels=True), **_SHOT_FEATURES})


@dataclass(frozen=True)
class SimulatedRows:
    """Function from a position to its rows, for some shots. Picklable."""

    source: SimulatedShots
    ids: tuple[str, ...]
    kinds: tuple[str, ...]
    """Kind of scene of each photo."""
    photos: np.ndarray
    """int64 [items], rows of ``source``."""
    labels: np.ndarray | None
    """int64 [items, configs]; None for pairs."""
    configs: tuple[str, ...]

    def __call__(self, item: int) -> list[dict[str, Any]]:
        at = int(self.photos[item])
        data = self.source.read(at)
        shot, scenes, scene = self.source.shots[at], self.source.scenes, self.source.scene_of[at]
        row = {
            "image": {"bytes": data, "path": f"{self.ids[at].replace('/', '-')}.jpg"},
            "photo_id": self.ids[at],
            "sha256": hashlib.sha256(data).hexdigest(),
            "width": scenes.width,
            "height": scenes.height,
            "licence": scenes.licence,
            "attribution": ATTRIBUTION,
            "scene": scenes.ids[scene],
            "scene_kind": self.kinds[at],
            "shrink_factor": scenes.shrink_factor(scene),
            **_shot_columns(shot),
        }
        if self.labels is None:
            header = read_jpeg_header(data)
            codec = {
                "source_quality": header.quality if header else None,
                "source_subsampling": header.subsampling if header else None,
            }
            return [{**row, **codec, "pair_id": scenes.ids[scene], "camera": shot.camera.name}]
        unknown = dict.fromkeys(("licence_url", "licence_checked", "page", "url"), "")
        labels = dict(zip(self.configs, self.labels[item].tolist(), strict=True))
        return [{**row, **unknown, **labels, "owner": scenes.ids[scene], "size": "original"}]


def _shot_columns(shot: Shot) -> dict[str, Any]:
    """The settings of a shot in the format of the metadata of FlickrExif."""
    camera, settings = shot.camera, shot.settings
    return {
        "camera_make": camera.make,
        "camera_model": camera.model,
        "camera_type": camera.camera_type,
        "unit": shot.unit,
        "exposure_s": str(settings.exposure_s),
        "f_number": f"{settings.f_number:.1f}",
        "iso_speed": settings.iso,
        "focal_length_mm": f"{settings.focal_length_mm(camera.lens):.2f}",
        "focal_length_35mm": settings.focal_length_35mm,
        "scene_luminance_cd_m2": settings.scene_luminance_cd_m2,
    }


def build_simcams(
    photos: PhotoSet,
    output: Path,
    *,
    configs: Sequence[str] = STUDY_ATTRIBUTES,
    workers: int = 1,
    fresh: bool = False,
    ignore_space: bool = False,
    progress: bool = True,
) -> Build:
    """Write one config per attribute, class-balanced, with splits disjoint in scenes. Resumable.

    Args:
        photos: of ``simcams_photos``.
        output: folder of the data set.
        configs: of ``STUDY_ATTRIBUTES``; the first is the default config.
        workers: processes.
        fresh: replace a build of other settings in ``output``.
        ignore_space: start although the estimate exceeds the free space of the disk.
        progress: show bars and an estimate, if stderr is a terminal.

    Raises:
        UsageError: an unknown config, or ``output`` holds another build.
        DataError: not enough space, or no scene could be used.
    """
    for config in configs:
        if config not in STUDY_ATTRIBUTES:
            raise unknown_name("config", config, STUDY_ATTRIBUTES)
    attributes = {config: photos.attributes[config] for config in configs}
    jobs = simcams_jobs(photos, output, configs)
    card = Card(
        template="simcams.md.jinja",
        pretty_name="simcams: one scene, many cameras",
        license=_card_licence(photos),
        source_datasets=ORIGINAL if _card_licence(photos) == "cc0-1.0" else (),
        tags=("image-forensics", "camera-identification", "synthetic", "acquisition-traces"),
        context={"photos": photos, "attributes": attributes, "pairs": False},
    )
    features = dict.fromkeys((*configs, PHOTOS), jobs[0].features)
    options = BuildOptions(output, workers, fresh, ignore_space, progress)
    return _build("simcams", photos, jobs, features, card, options)


def build_simpairs(
    photos: PhotoSet,
    output: Path,
    *,
    workers: int = 1,
    fresh: bool = False,
    ignore_space: bool = False,
    progress: bool = True,
) -> Build:
    """Write the pairs of ``simpairs_photos`` as one config ``pairs`` with one split ``test``, like PairCams. Resumable.

    Arguments and errors as in ``build_simcams``.
    """
    jobs = simpairs_jobs(photos, output)
    card = Card(
        template="simcams.md.jinja",
        pretty_name="simpairs: each scene by a phone and by an older compact",
        license=_card_licence(photos),
        source_datasets=ORIGINAL if _card_licence(photos) == "cc0-1.0" else (),
        tags=("image-forensics", "image-retrieval", "synthetic", "acquisition-traces"),
        task_categories=("image-feature-extraction",),
        context={"photos": photos, "attributes": {}, "pairs": True},
    )
    features = {PAIRS: SIMPAIRS_FEATURES}
    options = BuildOptions(output, workers, fresh, ignore_space, progress)
    return _build("simpairs", photos, jobs, features, card, options)


def simcams_jobs(photos: PhotoSet, output: Path, configs: Sequence[str]) -> list[ShardJob]:
    """Jobs of ``build_simcams``, one per group of photos, before they are cut into shards."""
    attributes = {config: photos.attributes[config] for config in configs}
    columns = simcams_features({config: column.names for config, column in attributes.items()})
    fingerprint = _source(photos).fingerprint()
    parts = [_part(photos, config, column, s) for config, column in attributes.items() for s in range(len(SPLITS))]
    return [_job(photos, fingerprint, output, columns, tuple(configs), group) for group in grouped(parts, configs)]


def simpairs_jobs(photos: PhotoSet, output: Path) -> list[ShardJob]:
    """Jobs of ``build_simpairs``: one split, before it is cut into shards."""
    everything = np.arange(len(photos))
    return [_shard_job(photos, _source(photos).fingerprint(), output, PAIRS, "test", SIMPAIRS_FEATURES, everything)]


def _part(photos: PhotoSet, config: str, column: Labels, split: int) -> LabelledPart:
    members = np.flatnonzero((photos.splits == split) & (column.values != UNLABELLED))
    return LabelledPart(config, HUB_SPLITS[split], column.names, members, column.values[members].astype(np.int64))


def _job(
    photos: PhotoSet, fingerprint: str, output: Path, features: Features, configs: tuple[str, ...], group: Group
) -> ShardJob:
    return _shard_job(photos, fingerprint, output, PHOTOS, group.name, features, group.photos, group.labels, configs)


def _shard_job(
    photos: PhotoSet,
    fingerprint: str,
    output: Path,
    config: str,
    split: str,
    features: Features,
    members: np.ndarray,
    labels: np.ndarray | None = None,
    configs: tuple[str, ...] = (),
) -> ShardJob:
    kinds = tuple(photos.labels.names[i] for i in photos.labels.values)
    return ShardJob(
        output=output,
        config=config,
        split=split,
        features=features,
        ids=[photos.ids[i] for i in members],
        make_rows=SimulatedRows(_source(photos), photos.ids, kinds, photos.rows[members], labels, configs),
        recipe={"shots": fingerprint, "labels": _digest(labels), "licence": _source(photos).scenes.licence},
    )


def _digest(labels: np.ndarray | None) -> str:
    return "none" if labels is None else hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest()[:16]


def _build(
    kind: str,
    photos: PhotoSet,
    jobs: Sequence[ShardJob],
    features: Mapping[str, Features],
    card: Card,
    options: BuildOptions,
) -> Build:
    def finish(written: list[SplitShards], sizes: Mapping[str, int]) -> Build:
        shared = jobs[0].config == PHOTOS
        configs = tuple(config for config in features if config != PHOTOS)
        recipe = {
            "source": photos.name,
            "evidence": dict(photos.evidence),
            "ids_hash": photos.ids_hash(),
            "shots": jobs[0].recipe["shots"],
        }
        return finish_folder(
            options.output,
            kind=kind,
            splits=() if shared else written,
            features=features,
            default=next(iter(features)),
            card=card,
            recipe=recipe,
            pixels=_rights(photos),
            shared=SharedShards(configs, tuple(written)) if shared else None,
            counted={config: [config] for config in configs} | {PHOTOS: []} if shared else None,
        )

    return build_data_set(
        jobs, options, finish, name=photos.name, item="scene could be rendered", alike=True, write=write_groups
    )


def _rights(photos: PhotoSet) -> PixelRights:
    """Renders of photos are derived works: they may be published only if the licence of the photos is known."""
    if _card_licence(photos) == "unknown":
        known = pixel_rights(photos)
        reason = "The licence of the source photos is not known; state it with --license when building."
        return PixelRights(False, reason) if known.allowed else known
    return pixel_rights(photos)


def _card_licence(photos: PhotoSet) -> str:
    return _source(photos).scenes.licence.lower()


def _source(photos: PhotoSet) -> SimulatedShots:
    if not isinstance(photos.source, SimulatedShots):
        raise DataError(f"{photos.name}: not a set of simulated shots")
    return photos.source
