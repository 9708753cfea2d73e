"""PairCams: pairs of photos of one subject, one by a phone and one by an older camera, bytes untouched.

From the released Hub repository (columns ``image``, ``subject_idx``, ``model``), or from a folder of one's own pairs.
Each row is one photo; the two rows of a pair share ``pair_id``, so either may be the query and the other the target.
"""

from __future__ import annotations

import hashlib
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
from builders.photos import PhotoSet, PhotoSource
from builders.pixels import decode_rgb, read_jpeg_header
from builders.sources import CAMERA_TYPES, PairRow

CONFIG = "pairs"

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
"""Columns of a data set of pairs. ``width`` and ``height`` are of the upright photo, as ``decode_rgb`` gives it."""


@dataclass(frozen=True)
class PairRows:
    """The rows of one pair: a picklable function of the pair's position."""

    source: PhotoSource
    pairs: tuple[tuple[tuple[int, PairRow], tuple[int, PairRow]], ...]
    """(row in ``source``, what is known) of the phone's photo, then of the camera's."""

    def __call__(self, item: int) -> list[dict[str, Any]]:
        """Both rows. A pair of which one photo cannot be used is no pair: raises ``PhotoError``."""
        return [_row(self.source.read(row), known) for row, known in self.pairs[item]]

    def name(self, item: int) -> str:
        """Of a pair, for people."""
        return f"pair {self.pairs[item][0][1].pair_id}"


def pair_rows(photos: PhotoSet) -> PairRows:
    """The rows of each pair of ``pair_photos``, in its order."""
    c = photos.columns
    known = [
        (int(photos.rows[i]), PairRow(photos.ids[i], *(str(c[n][i]) for n in ("pair_id", "camera", "camera_type"))))
        for i in range(len(photos))
    ]
    return PairRows(photos.source, tuple((known[i], known[i + 1]) for i in range(0, len(known), 2)))


def build_paircams(
    photos: PhotoSet,
    output: Path,
    *,
    workers: int = 1,
    license: str = "unknown",
    fresh: bool = False,
    ignore_space: bool = False,
    progress: bool = True,
) -> Build:
    """Write a data set folder of pairs (config ``pairs``, split ``test``); goes on where a killed build was.

    Args:
        photos: what ``pair_photos`` returned.
        output: folder of the data set.
        workers: processes.
        license: of the photos, an identifier of the Hub's list.
        fresh: replace another build in ``output``.
        ignore_space: start although the disk looks too small.
        progress: a bar, where stderr is a terminal.

    Raises:
        UsageError: ``output`` holds something else.
        DataError: not enough space, or not one pair can be used.
    """
    rows = pair_rows(photos)
    job = ShardJob(
        output=output,
        config=CONFIG,
        split="test",
        features=PAIR_FEATURES,
        ids=tuple(pair[0][1].pair_id for pair in rows.pairs),
        make_rows=rows,
        recipe={"photos": photos.ids_hash(), "camera_types": "".join(t[0] for t in photos.columns["camera_type"])},
    )
    return build_data_set(
        [job],
        BuildOptions(output, workers, fresh, ignore_space, progress),
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


def _row(data: bytes, known: PairRow) -> dict[str, Any]:
    upright = decode_rgb(data)
    header = read_jpeg_header(data)
    return {
        "image": {"bytes": data, "path": Path(known.photo_id).name},
        "pair_id": known.pair_id,
        "camera": known.camera,
        "camera_type": CAMERA_TYPES.index(known.camera_type),
        "photo_id": known.photo_id,
        "sha256": hashlib.sha256(data).hexdigest(),
        "source_quality": header.quality if header else None,
        "source_subsampling": header.subsampling if header else None,
        "width": upright.width,
        "height": upright.height,
    }
