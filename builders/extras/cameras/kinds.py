"""Kinds of data specifications for camera sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from builders.data_specs import DataSpec, Kind
from builders.errors import UsageError
from builders.extras.cameras.terms import CAMERA_SETS
from builders.photos import PhotoSet


def _camera_set(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.extras.cameras.sets import camera_photos  # late: reads tables and archives
    from builders.extras.cameras.tables import TABLE_LAYOUTS, TILES, tabled_photos, tile_photos

    if spec.kind in TILES and Path(spec.location).suffix.lower() in (".csv", ".parquet"):
        if "scenes" in spec.options:
            raise UsageError(f"{spec.kind}:{spec.location}: scenes= is of a folder or archive: shorten the table")
        table = {**spec.chosen("image", "id", "root"), "columns": spec.columns, "val_share": spec.val_share}
        return tile_photos(spec.kind, spec.location, **table, seed=seed)
    named = spec.chosen("part", "root", "image", "id")
    scenes = spec.whole("scenes", 1) if "scenes" in spec.options else None
    read: Callable[..., PhotoSet] = camera_photos
    if spec.kind in TABLE_LAYOUTS:
        read = tabled_photos
    elif named.keys() & {"root", "image", "id"}:
        raise UsageError(f"{spec.kind}:{spec.location}: image=, id= and root= are of a table: name its file")
    return read(
        spec.kind, spec.location, columns=spec.columns, scenes=scenes, seed=seed, val_share=spec.val_share, **named
    )


def _kind(name: str) -> Kind:
    options = CAMERA_SETS[name].options
    return Kind(
        f"{name}:PATH",
        CAMERA_SETS[name].summary,
        _camera_set,
        (*options, "val-share"),
        path_options=("root",) if "root" in options else (),
        has_table=True,
        is_local=lambda spec: True,
    )


FODB, IMAGENET_ES, VISION, DRESDEN, RAISE, PLISM, SCORPION = map(_kind, CAMERA_SETS)
