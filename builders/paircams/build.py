"""Builds of PairCams: pairs of photos of one subject, by a phone and by an older camera, with the original bytes.

The source is the released Hub repository (columns ``image``, ``subject_idx``, ``model``) or a folder of pairs. Each row
is one photo. The two rows of a pair share ``pair_id``, so either may be the query and the other the target.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Features, Image, Value

from builders.dataset import (
    Build,
    BuildOptions,
    Card,
    PixelRights,
    ShardJob,
    SplitShards,
    build_data_set,
    finish_folder,
    source_datasets,
)
from builders.errors import PhotoError
from builders.photos import PhotoSet, PhotoSource
from builders.pixels import decode_rgb, read_jpeg_header
from builders.sources import CAMERA_TYPES, PairRow

CONFIG = "pairs"
"""The only config of a data set of pairs."""

PAIR_FEATURES = Features(
    {
        "image": Image(),
        "pair_id": Value("string"),
        "camera": Value("string"),
        "camera_type": ClassLabel(names=list(CAMERA_TYPES)),
        "photo_id": Value("string"),
        "sha256": Value("string"),
        "source_quality": Value("int32"),
        "source_subsampling": Value("string"),
        "width": Value("int32"),
        "height": Value("int32"),
    }
)
"""Columns of a data set of pairs. ``width`` and ``height`` are those of the upright photo (``decode_rgb``)."""


@dataclass(frozen=True)
class PairRows:
    """Makes the rows of each pair, by the pair's position. Picklable."""

    source: PhotoSource
    pairs: tuple[tuple[tuple[int, PairRow], tuple[int, PairRow]], ...]
    """Row in ``source`` and description of the phone's photo, then of the camera's photo."""
    id_column: str = "pair_id"

    def __call__(self, item: int) -> list[dict[str, Any]]:
        """Both rows of a pair. Raises ``PhotoError`` if one of its photos cannot be used."""
        photos = [(self.source.read(row), photo) for row, photo in self.pairs[item]]
        if photos[0][0] == photos[1][0]:
            raise PhotoError("both photos are one file")
        return [_row(data, photo) for data, photo in photos]

    def again(self, item: int, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]] | None:
        """See ``builders.dataset.update``: the rows, if both files are the same, with the camera as it is now."""
        photos = [(self.source.read(row), photo) for row, photo in self.pairs[item]]
        digests = [hashlib.sha256(data).hexdigest() for data, _ in photos]
        if digests != [row["sha256"] for row in rows] or digests[0] == digests[1]:
            return None
        if [photo.photo_id for _, photo in photos] != [row["photo_id"] for row in rows]:
            return None
        return [{**row, **_described(photo)} for row, (_, photo) in zip(rows, photos, strict=True)]

    def name(self, item: int) -> str:
        """Name of a pair for messages."""
        return f"pair {self.pairs[item][0][1].pair_id}"


def pair_rows(photos: PhotoSet) -> PairRows:
    """The rows of the pairs of ``read_pair_photos``, in its order."""
    columns = [photos.columns[name] for name in ("pair_id", "camera", "camera_type")]
    rows = [
        (int(photos.rows[i]), PairRow(photos.ids[i], *(str(column[i]) for column in columns)))
        for i in range(len(photos))
    ]
    return PairRows(photos.source, tuple((rows[i], rows[i + 1]) for i in range(0, len(rows), 2)))


def cameras_hash(photos: PhotoSet) -> str:
    """Hash of pair, device and type of device of each photo, which may change while the photos stay: 16 hex digits."""
    columns = [photos.columns[name].tolist() for name in ("pair_id", "camera", "camera_type")]
    return hashlib.sha256(json.dumps(columns).encode()).hexdigest()[:16]


def build_paircams(
    photos: PhotoSet,
    output: Path,
    *,
    workers: int = 1,
    license: str = "unknown",
    fresh: bool = False,
    ignore_space: bool = False,
    update: bool = False,
    progress: bool = True,
) -> Build:
    """Write a data set folder of pairs (config ``pairs``, split ``test``); goes on where a killed build was.

    Args:
        photos: from ``read_pair_photos``.
        output: folder of the data set.
        workers: processes.
        license: of the photos, an identifier of the Hub's list.
        fresh: replace another build in ``output``.
        ignore_space: start although the estimate says that the disk is too small.
        update: as in ``build_processed``.
        progress: show a bar, if stderr is a terminal.

    Raises:
        UsageError: ``output`` contains other files.
        DataError: there is not enough space, or no pair can be used.
    """
    rows = pair_rows(photos)
    job = ShardJob(
        output=output,
        config=CONFIG,
        split="test",
        features=PAIR_FEATURES,
        ids=tuple(pair[0][1].pair_id for pair in rows.pairs),
        make_rows=rows,
        recipe={"photos": photos.ids_hash(), "cameras": cameras_hash(photos)},
        rows_recipe={"camera_types": CAMERA_TYPES},
    )
    return build_data_set(
        [job],
        BuildOptions(output, workers, fresh, ignore_space, progress, update),
        partial(_finish, photos, output, license),
        name=photos.name,
        item="pair could be used",
        sample=8,
        estimate=False,
    )


def _finish(
    photos: PhotoSet, output: Path, license: str, splits: Sequence[SplitShards], sizes: Mapping[str, int]
) -> Build:
    return finish_folder(
        output,
        kind="paircams",
        splits=splits,
        features={CONFIG: PAIR_FEATURES},
        default=CONFIG,
        card=Card(
            template="paircams.md.jinja",
            pretty_name="Pairs of photos by a phone and by an older camera",
            license=license,
            tags=("image-retrieval", "camera", "acquisition-traces"),
            task_categories=("image-feature-extraction",),
            source_datasets=source_datasets(photos.name),
            context={"photos": photos, "pairs": splits[0].rows // 2},
        ),
        recipe={
            "source": photos.name,
            "source_evidence": dict(photos.evidence),
            "ids_hash": photos.ids_hash(),
            "items_per_shard": dict(sizes),
        },
        pixels=PixelRights(True),
    )


def _row(data: bytes, photo: PairRow) -> dict[str, Any]:
    upright = decode_rgb(data)
    header = read_jpeg_header(data)
    return {
        "image": {"bytes": data, "path": Path(photo.photo_id).name},
        **_described(photo),
        "sha256": hashlib.sha256(data).hexdigest(),
        "source_quality": header.quality if header else None,
        "source_subsampling": header.subsampling if header else None,
        "width": upright.width,
        "height": upright.height,
    }


def _described(photo: PairRow) -> dict[str, Any]:
    """The columns that do not depend on the file."""
    return {
        "pair_id": photo.pair_id,
        "camera": photo.camera,
        "camera_type": CAMERA_TYPES.index(photo.camera_type),
        "photo_id": photo.photo_id,
    }
