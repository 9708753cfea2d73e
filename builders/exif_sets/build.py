"""Write a folder of one's own photos as a data set in the form of FlickrExif: one config for each attribute."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Features, Value

from builders.dataset import (
    ORIGINAL,
    PHOTOS,
    Build,
    BuildOptions,
    Card,
    LabelledPart,
    PixelRights,
    ShardJob,
    SharedShards,
    SplitShards,
    build_data_set,
    finish_folder,
    grouped,
    write_groups,
)
from builders.exif_sets.metadata import without_metadata
from builders.flickrexif import photo_features
from builders.photos import HUB_SPLITS, SPLITS, UNLABELLED, PhotoSet, PhotoSource, hash64
from builders.pixels import CenterMask, decode_rgb
from builders.splits import default_policy

_NUMBERS = {
    "exposure_s": "exposure_s",
    "f_number": "f_number",
    "iso_speed": "iso",
    "focal_length_mm": "focal_length_mm",
}
"""Columns of numbers as Exif has them, NaN where it does not say, and their names in the photo set."""

_RAI = {
    "dataCollection": "Photos of a folder of the publisher's own.",
    "dataUseCases": "To measure what visual encoders know of the camera and its settings. Not for naming the camera, "
    "the place or the person behind a photo.",
    "personalSensitiveInformation": "Names of files and folders are replaced by hashes, and metadata are removed from "
    "the files: no position, serial number or name. What the pictures show is there, unless they are masked.",
}
"""What the card says, in the RAI vocabulary of Croissant."""


@dataclass(frozen=True)
class ExifRows:
    """Function from a position to its row. Picklable."""

    source: PhotoSource
    rows: np.ndarray
    """int64 [items], rows of ``source``."""
    columns: Sequence[Mapping[str, Any]]
    """Further columns by item."""
    configs: tuple[str, ...]
    labels: np.ndarray
    """int64 [items, configs]."""
    mask: float
    """Share of each picture that is covered."""

    def __call__(self, item: int) -> list[dict[str, Any]]:
        data = self.source.read(int(self.rows[item]))
        picture = decode_rgb(data)
        ending = "jpg"
        if self.mask:
            stream, ending = io.BytesIO(), "png"
            CenterMask(self.mask)(picture).save(stream, "PNG")
            data = stream.getvalue()
        else:
            data = without_metadata(data)
        columns = self.columns[item]
        return [
            {
                **dict.fromkeys(("licence_url", "licence_checked", "attribution", "page", "url"), ""),
                "image": {"bytes": data, "path": f"{columns['photo_id']}.{ending}"},
                "sha256": hashlib.sha256(data).hexdigest(),
                "width": picture.width,
                "height": picture.height,
                "size": "original",
                **columns,
                **dict(zip(self.configs, self.labels[item].tolist(), strict=True)),
            }
        ]


def build_exif_folder(photos: PhotoSet, options: BuildOptions, *, license: str = "unknown", mask: float = 0.0) -> Build:
    """Write one config for each attribute, class-balanced, with splits as ``read_camera_folder`` has them. Resumable.

    Args:
        photos: of ``read_camera_folder``.
        options: how the build is run.
        license: of the photos, an identifier of the Hub's list; with ``unknown`` they are not published.
        mask: share of each picture that is covered from its centre on; then files are PNG.

    Raises:
        UsageError: the output folder holds another build, or ``mask`` is no share.
        DataError: not enough space, or no photo can be used.
    """
    CenterMask(mask)
    configs = tuple(photos.attributes)
    features = _exif_features(photos)
    parts = [
        LabelledPart(name, HUB_SPLITS[split], column.names, members, column.values[members].astype(np.int64))
        for name, column in photos.attributes.items()
        for split in range(len(SPLITS))
        for members in [np.flatnonzero((photos.splits == split) & (column.values != UNLABELLED))]
    ]
    columns = _columns(photos, license)
    settings = {"photos": photos.ids_hash(), "mask": mask, "license": license}
    jobs = [
        ShardJob(
            output=options.output,
            config=PHOTOS,
            split=group.name,
            features=features,
            ids=[columns[i]["photo_id"] for i in group.photos],
            make_rows=ExifRows(
                photos.source,
                photos.rows[group.photos],
                [columns[i] for i in group.photos],
                configs,
                group.labels,
                mask,
            ),
            recipe={**settings, "labels": hashlib.sha256(group.labels.astype("<i8").tobytes()).hexdigest()[:16]},
        )
        for group in grouped(parts, configs)
    ]

    def finish(written: list[SplitShards], sizes: Mapping[str, int]) -> Build:
        return finish_folder(
            options.output,
            kind="exif-folder",
            splits=(),
            features=dict.fromkeys((*configs, PHOTOS), features),
            default=configs[0],
            card=Card(
                template="exif_folder.md.jinja",
                pretty_name="Photos of a folder, with labels of how they were taken",
                license=license,
                source_datasets=ORIGINAL,
                tags=("exif", "camera", "image-forensics", "photography"),
                rai=_RAI,
                context={"photos": photos, "mask": mask, "owners": len(set(photos.columns["owner"].tolist()) - {""})},
            ),
            recipe={
                **settings,
                "source": photos.name,
                "evidence": dict(photos.evidence),
                "duplicates": {"policy": default_policy(photos)},
                "items_per_shard": dict(sizes),
            },
            pixels=PixelRights(license != "unknown", "The licence of the photos is not known: name it with --license."),
            shared=SharedShards(configs, tuple(written)),
            counted={config: [config] for config in configs} | {PHOTOS: []},
        )

    return build_data_set(
        jobs, options, finish, name=photos.name, item="photo could be used", alike=True, write=write_groups
    )


def _exif_features(photos: PhotoSet) -> Features:
    """Columns of every config: those of FlickrExif, then the numbers that Exif states."""
    classes = {name: column.names for name, column in photos.attributes.items()}
    further = {**dict.fromkeys(_NUMBERS, "float64"), "year_taken": "int32", "device_type": "string"}
    return Features({**photo_features(classes, pixels=True), **{name: Value(kind) for name, kind in further.items()}})


def _columns(photos: PhotoSet, license: str) -> list[dict[str, Any]]:
    """The columns of each photo that do not depend on its bytes. Folders are numbered: their names may be people's."""
    owners = {
        name: f"owner-{number}" for number, name in enumerate(sorted(set(photos.columns["owner"].tolist()) - {""}))
    }
    return [
        {
            "photo_id": f"{hash64(photo_id):016x}",
            "owner": owners.get(str(photos.columns["owner"][i]), ""),
            "licence": license,
            "year_taken": int(photos.columns["year"][i]),
            "device_type": str(photos.columns["device_type"][i]),
            **{name: float(photos.columns[column][i]) for name, column in _NUMBERS.items()},
        }
        for i, photo_id in enumerate(photos.ids)
    ]
