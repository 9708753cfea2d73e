"""Real and generated photos in known layouts: GenImage, the test sets of CNNDetection and UnivFD, and OpenFake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from builders.errors import DataError
from builders.photos import ColumnSources, PhotoSet, origin_of
from builders.sources.columns.given import with_columns
from builders.sources.columns.named import with_usual
from builders.sources.folders import SPLIT_WORDS, labelled_folder, split_word
from builders.sources.hub_data_sets import read_hub_photos

_SPLITS = f"(?i:{'|'.join(SPLIT_WORDS)})"
"""Pattern of the names that ``split_word`` knows."""

GENERATED_FOLDERS = {"genimage": ("ai", "nature"), "univfd": ("0_real", "1_fake")}
"""Names of the folders of generated and real photos by layout: GenImage (arXiv 2306.08571), and CNNDetection
(arXiv 1912.11035), which UnivFD (arXiv 2302.10174) uses."""

OPENFAKE = ColumnSources.of(label="label", group=("generator=model",), cluster="prompt")
"""Columns of OpenFake: photos of one prompt err together."""


def detection_photos(
    kind: str, path: str, *, columns: ColumnSources, seed: int = 0, val_share: float = 0.25
) -> PhotoSet:
    """Photos of a folder of generators, each with folders of real and generated photos, at any depth.

    The label is the folder of real or generated photos, the generator the first folder that names no split, and the
    split a folder ``train``, ``val`` or ``test`` where there is one.

    Args:
        kind: a layout in ``GENERATED_FOLDERS``.
        path: the folder.
        columns: named by the user; they replace the usual ones, and groups are added to them.
        seed, val_share: of the split, where the folders have none.

    Raises:
        DataError: no photo lies in such a folder, or no folder names the generator.
    """
    names = GENERATED_FOLDERS[kind]
    photos = labelled_folder(path, seed=seed, val_share=val_share)
    folders = [photo_id.split("/")[:-1] for photo_id in photos.ids]
    if not any(name in names for parts in folders for name in parts):
        origins = sorted({name for parts in folders for name in parts if origin_of(name)})
        instead = f"; its folders {' and '.join(origins[:2])} may be meant: folder:{path}?label=..." if origins else ""
        raise DataError(f"{kind}:{path}: no folder {names[0]} or {names[1]} with photos in it{instead}")
    first = [next((name for name in parts if not split_word(name)), "") for parts in folders]
    if all(not name or origin_of(name) for name in first):
        raise DataError(
            f"{kind}:{path}: no folder names a generator: give the folder that holds the folders of the generators"
        )
    usual = ColumnSources.of(
        label=f"re:(?:^|/)({'|'.join(names)})/",
        group=(f"generator=re:^(?:{_SPLITS}/)?([^/]+)/",),
        split=f"re:(?:^|/)({_SPLITS})/" if any(map(split_word, (n for parts in folders for n in parts))) else "",
    )
    photos = with_columns(photos, with_usual(columns, usual), seed=seed, val_share=val_share)
    return replace(photos, name=f"{kind}:{photos.name.partition(':')[2]}")


def openfake_photos(location: str, *, revision: str | None, columns: ColumnSources, **options: Any) -> PhotoSet:
    """OpenFake on the Hub (arXiv 2509.09495), or a local copy: ``label``, ``model`` and ``prompt`` of its table.

    Args:
        location: repository, or folder.
        revision: of the repository.
        columns: named by the user.
        options: of ``read_hub_photos``.

    Raises:
        UsageError, DataError: as ``read_hub_photos``.
    """
    read: Callable[..., PhotoSet] = read_hub_photos
    return read(location, revision=revision, columns=with_usual(columns, OPENFAKE), **options)
