"""Data sets whose tables are known: ``pathorob:PATH`` and ``wilds:NAME?root=PATH``. Nothing is downloaded.

The columns of WILDS and its official splits are those of version 2.0.0 of the package ``wilds``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from builders.errors import DataError, UsageError, unknown_name
from builders.photos import SPLITS, ColumnSources, PhotoSet
from builders.sources.columns.table_files import Table, open_table
from builders.sources.columns.tables import photos_of, picture_paths, table_photos
from builders.sources.folders import FolderSource
from builders.untrusted import list_folder

PATHOROB = ColumnSources.of(label="biological_class", group=("medical_center",), cluster="slide_id", source="subset")
"""The columns of PathoROB's tables (``data/metadata/*.csv``). A patch is named by its slide and its number in it."""

PATHOROB_ID = "slide_id,patch_id"


def pathorob_photos(
    path: str,
    *,
    image: str | None = None,
    id: str | None = None,
    root: str | None = None,
    columns: ColumnSources,
    seed: int = 0,
    val_share: float = 0.25,
) -> PhotoSet:
    """The patches of a table of PathoROB: ``subset, slide_id, patch_id, biological_class, medical_center``.

    Args:
        path: of the table, or of a folder that holds one table.
        image, id, root: as of ``table_photos``; the id is ``SLIDE-PATCH`` by default.
        columns: named by the user; they replace PathoROB's, and groups are added to them.
        seed, val_share: of the drawn split. Slides are apart.

    Raises:
        DataError: there is no such table.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        tables = [name for name in list_folder(folder).files if name.endswith((".csv", ".parquet"))]
        if len(tables) != 1:
            listed = ", ".join(tables) or "none"
            raise DataError(f"pathorob:{path}: a folder with one table is needed, and it has {listed}: name the table")
        path = str(folder / tables[0])
    photos = table_photos(
        path,
        image=image,
        id=id or PATHOROB_ID,
        root=root,
        columns=with_usual(columns, PATHOROB),
        seed=seed,
        val_share=val_share,
    )
    return replace(photos, name=f"pathorob:{Path(path).stem}")


def with_usual(given: ColumnSources, usual: ColumnSources) -> ColumnSources:
    """The columns that a user named, and the usual ones where none is named. Groups are added to the usual ones."""
    return ColumnSources(
        given.label or usual.label,
        MappingProxyType({**usual.groups, **given.groups}),
        given.cluster or usual.cluster,
        given.split or usual.split,
        given.source or usual.source,
        given.scene or usual.scene,
        given.split_names,
    )


@dataclass(frozen=True)
class WildsSet:
    """One data set of WILDS."""

    table: str
    """Name of its table."""
    path: Callable[[Mapping[str, str], int], str]
    """From a row and its number to the path of its picture."""
    split: Callable[[Mapping[str, str]], str]
    """From a row to its official split; names other than those in ``SPLITS`` are left out."""
    columns: Mapping[str, Callable[[Mapping[str, str]], str]]
    """Columns made of a row, by name."""
    sources: ColumnSources
    """What they are."""
    needed: tuple[str, ...]
    """Columns that the table must have."""


def _camelyon17_path(row: Mapping[str, str], number: int) -> str:
    place = f"patient_{row['patient']}_node_{row['node']}"
    return f"patches/{place}/patch_{place}_x_{row['x_coord']}_y_{row['y_coord']}.png"


def _camelyon17_split(row: Mapping[str, str]) -> str:
    of_hospital = {"1": "val", "2": "test"}.get(row["center"])
    return of_hospital or {"0": "train", "1": "id_val"}.get(row["split"], row["split"])


def _fmow_split(row: Mapping[str, str]) -> str:
    """Official: places of ``train`` before 2013, of ``val`` from 2013 to 2015, of ``test`` from 2016 on."""
    year = int(row["timestamp"][:4])
    if year < 2013:
        return row["split"] if row["split"] == "train" else f"id_{row['split']}"
    return row["split"] if row["split"] == ("val" if year < 2016 else "test") else f"{row['split']} of other years"


def _rxrx1_split(row: Mapping[str, str]) -> str:
    return "id_test" if row["dataset"] == "train" and row["site"] == "2" else row["dataset"]


WILDS: Mapping[str, WildsSet] = MappingProxyType(
    {
        "camelyon17": WildsSet(
            "metadata.csv",
            _camelyon17_path,
            _camelyon17_split,
            {
                "tissue": lambda row: {"0": "normal", "1": "tumor"}.get(row["tumor"], row["tumor"]),
                "hospital": lambda row: row["center"],
                "slide": lambda row: row["slide"],
            },
            ColumnSources.of("tissue", ("hospital",), "slide"),
            ("patient", "node", "x_coord", "y_coord", "tumor", "center", "slide", "split"),
        ),
        "iwildcam": WildsSet(
            "metadata.csv",
            lambda row, number: f"train/{row['filename']}",
            lambda row: row["split"],
            {
                "species": lambda row: row["y"],
                "location": lambda row: row["location_remapped"],
                "sequence": lambda row: row["sequence_remapped"],
            },
            ColumnSources.of("species", ("location",), "sequence"),
            ("filename", "split", "y", "location_remapped", "sequence_remapped"),
        ),
        "fmow": WildsSet(
            "rgb_metadata.csv",
            lambda row, number: f"images/rgb_img_{number}.png",
            _fmow_split,
            {
                "category": lambda row: row["category"],
                "region": lambda row: row["region"],
                "capture_year": lambda row: row["timestamp"][:4],
            },
            ColumnSources.of("category", ("region", "capture_year")),
            ("category", "country_code", "timestamp", "split"),
        ),
        "rxrx1": WildsSet(
            "metadata.csv",
            lambda row, number: f"images/{row['experiment']}/Plate{row['plate']}/{row['well']}_s{row['site']}.png",
            _rxrx1_split,
            {
                "sirna": lambda row: row["sirna_id"],
                "experiment": lambda row: row["experiment"],
                "cell_type": lambda row: row["cell_type"],
                "well": lambda row: f"{row['experiment']}/{row['plate']}/{row['well']}",
            },
            ColumnSources.of("sirna", ("experiment",), "well"),
            ("experiment", "plate", "well", "site", "dataset", "sirna_id", "cell_type"),
        ),
    }
)
"""The data sets of WILDS that can be read, by name."""


def wilds_photos(name: str, root: str, *, columns: ColumnSources, seed: int, val_share: float, draw: bool) -> PhotoSet:
    """A data set in the layout that the package ``wilds`` unpacks.

    Its official splits ``train``, ``val`` and ``test`` (of other hospitals, places or years than ``train``) are given;
    photos of ``id_val`` and ``id_test`` are left out.

    Args:
        name: one of ``WILDS``.
        root: folder that holds ``NAME_vVERSION``, or that folder itself.
        columns: named by the user; they replace the usual ones, and groups are added to them.
        seed, val_share: of the split, with ``draw``.
        draw: draw a split of all photos, with clusters apart, instead of the official one.

    Raises:
        UsageError: the name is not known.
        DataError: there is no such folder, or its table lacks a column.
    """
    if name not in WILDS:
        raise unknown_name("data set of WILDS", name, WILDS)
    wilds = WILDS[name]
    folder = _wilds_folder(name, root)
    table = open_table(folder / wilds.table, ())
    for column in wilds.needed:
        if column not in table.names:
            raise DataError(f"{folder / wilds.table}: it has no column {column}, as version 2.0 of {name} has")
    rows = _rows(table, wilds.needed)
    if name == "fmow":
        regions = _fmow_regions(folder / "country_code_mapping.csv")
        rows = [{**row, "region": regions.get(row["country_code"], "Other")} for row in rows]
    try:
        paths = [wilds.path(row, number) for number, row in enumerate(rows)]
        official = [wilds.split(row) for row in rows]
        made = {column: [value(row) for row in rows] for column, value in wilds.columns.items()}
    except ValueError as error:
        raise DataError(f"{folder / wilds.table}: a value is not of its form ({error})") from None
    if name == "iwildcam" and (folder / "categories.csv").is_file():
        species = _names_of(folder / "categories.csv", "y", "name")
        made["species"] = [species.get(y, y) for y in made["species"]]
    others = sorted({split for split in official if split not in SPLITS})
    usable = [i for i, split in enumerate(official) if draw or split in SPLITS]
    if name == "fmow":  # the table names sequestered pictures, which are not in the folder
        usable = [i for i in usable if rows[i]["split"] != "seq"]
    left_out = {"left out": f"{len(rows) - len(usable):,} photos of {', '.join(others)}"} if others and not draw else {}
    derived = {column: [values[i] for i in usable] for column, values in made.items()}
    for column in table.names:
        derived.setdefault(column, [table.columns[column][i] or "" for i in usable])
    chosen = Table(name, {c: [v or None for v in values] for c, values in derived.items()}, tuple(derived), len(usable))
    stored_paths = picture_paths([paths[i] for i in usable], folder, f"wilds:{name}")
    return photos_of(
        chosen,
        stored_paths,
        FolderSource(str(folder), stored_paths),
        with_usual(columns, wilds.sources),
        name=f"wilds:{name}",
        seed=seed,
        val_share=val_share,
        splits=None if draw else np.array([SPLITS.index(official[i]) for i in usable], dtype=np.int8),
        evidence={} if draw else {"splits": "official", **left_out},
    )


def _wilds_folder(name: str, root: str) -> Path:
    if not root:
        raise UsageError(f"wilds:{name} needs its folder: write wilds:{name}?root=PATH")
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise DataError(f"wilds:{name}: {root}: no such folder")
    if (folder / WILDS[name].table).is_file():
        return folder
    versions = [child for child in list_folder(folder).folders if re.fullmatch(rf"{name}_v[\d.]+", child)]
    if not versions:
        raise DataError(f"wilds:{name}: {root} holds neither {WILDS[name].table} nor a folder {name}_vVERSION")
    return folder / max(versions, key=lambda version: [int(number) for number in re.findall(r"\d+", version)])


def _rows(table: Table, names: Sequence[str]) -> list[dict[str, str]]:
    columns = [[value or "" for value in table.columns[name]] for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _fmow_regions(path: Path) -> dict[str, str]:
    return _names_of(path, "alpha-3", "region")


def _names_of(path: Path, key: str, value: str) -> dict[str, str]:
    """A column of a table by another one."""
    table = open_table(path, ())
    pairs = zip(table.column(key, "column"), table.column(value, "column"), strict=True)
    return {code: name for code, name in pairs if code and name}
