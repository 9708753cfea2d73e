"""Camera sets whose tables say what the photos are: Dresden and RAISE, and tiles of PLISM and SCORPION."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from builders.errors import DataError
from builders.extras.cameras.archives import WHOLE_FILE, Entry, entries_below, is_junk, source_of
from builders.extras.cameras.design import OTHER_FILES, Oddities, not_a_photo, simulated_evidence, stated_facts
from builders.extras.cameras.layouts import Capture
from builders.extras.cameras.sets import CameraSet, photos_of_set
from builders.extras.cameras.terms import terms_of
from builders.photos import TERMS_OF_USE, ColumnSources, Labels, PhotoSet
from builders.sources import Table, open_table, table_photos, with_usual
from builders.untrusted import list_folder, readable


@dataclass(frozen=True)
class TableLayout:
    """A set with a table of its photos: a row for each, found by the name of its file."""

    title: str
    columns: Mapping[str, tuple[str, ...]]
    """Spellings of each column that is needed, without marks and in lower case."""
    row: Callable[[Mapping[str, str]], Capture | str]
    """From a row to its photo, or why it is left out. The id is the name of the file."""
    by_stem: bool
    """Whether the table names files without their ending."""


def _dresden_row(row: Mapping[str, str]) -> Capture | str:
    if not row["position"] or not row["motive"]:
        return "rows without position and motive, which show no scene (flat and dark fields)"
    device = f"{row['brand']} {row['model']} {row['instance']}"
    return Capture(
        id=row["filename"],
        scene=f"{row['position']}-{row['motive']}",
        device=device,
        name=device,
        unit=row["instance"],
        make=row["brand"],
        model=f"{row['brand']} {row['model']}",
    )


def _raise_row(row: Mapping[str, str]) -> Capture | str:
    if not row["device"]:
        return "rows without a camera"
    make = row["device"].partition(" ")[0]
    return Capture(row["file"], scene="", device=row["device"], name=row["device"], make=make, model=row["device"])


TABLE_LAYOUTS: Mapping[str, TableLayout] = MappingProxyType(
    {
        "dresden": TableLayout(
            "the Dresden Image Database",
            {
                "filename": ("filename", "file", "name"),
                "brand": ("brand", "make"),
                "model": ("model",),
                "instance": ("instance", "device", "body"),
                "position": ("positionnum", "positionnumber", "position"),
                "motive": ("motivenum", "motivenumber", "motive"),
            },
            _dresden_row,
            by_stem=False,
        ),
        "raise": TableLayout(
            "RAISE",
            {"file": ("file", "filename", "name"), "device": ("device", "camera", "model")},
            _raise_row,
            by_stem=True,
        ),
    }
)
"""Sets with a table by the kind of their data specification. The columns are those of the published tables."""


def tabled_photos(
    kind: str,
    path: str,
    *,
    columns: ColumnSources,
    root: str = "",
    scenes: int | None = None,
    seed: int = 0,
    val_share: float = 0.25,
) -> PhotoSet:
    """Photos of a folder or archive, as the table of the set describes them. Every shot of a scene is kept.

    Args:
        kind: one of ``TABLE_LAYOUTS``.
        path: of the table, or of the folder that holds it.
        columns: named by the user.
        root: folder or archive of the photos; by default the folder of the table.
        scenes, seed, val_share: as of ``camera_photos``.

    Raises:
        DataError: there is no table, it lacks a column, or none of its photos is there.
    """
    layout, place = TABLE_LAYOUTS[kind], Path(path).expanduser()
    table_path = _table_in(kind, place, layout)
    table = open_table(table_path, ())
    named = _columns(kind, table, layout)
    photo_root = Path(root).expanduser() if root else table_path.parent
    entries, oddities = entries_below(photo_root, kind), Oddities()
    by_name = _by_name(entries, layout, oddities)
    matched: list[tuple[Capture, Entry, int]] = []
    absent: list[str] = []
    seen: set[str] = set()
    for row in range(table.rows):
        values = {name: (table.columns[column][row] or "").strip() for name, column in named.items()}
        file = next(iter(values.values()))
        key = _key(file, layout)
        parsed = layout.row(values)
        if not key or key in seen:
            oddities.add("rows whose file an earlier row names, or none", file or f"row {row + 1}")
        elif isinstance(parsed, str):
            oddities.add(parsed, file)
        elif key not in by_name:
            absent.append(file)
        else:
            matched.append((parsed, by_name[key], row))
        seen.add(key)
    for key in by_name.keys() - seen:
        oddities.add("photos that no row of the table names", by_name[key].path)
    if not matched:
        reasons = oddities.text()
        raise DataError(
            f"{kind}:{path}: none of the {table.rows:,} photos that {table.name} names is below {photo_root}"
            + (f" (the first: {readable(absent[0])})" if absent else "")
            + (f"; {reasons}" if reasons else "; say which folder or archive holds them: root=PATH")
        )
    matched.sort(key=lambda pair: pair[0].id)
    captures = [capture for capture, _, _ in matched]
    rows = [row for _, _, row in matched]
    count, devices = len({c.scene for c in captures if c.scene}), len({c.device for c in captures})
    design = f"{f'{count:,} scenes, ' if count else ''}{devices:,} devices: {len(captures):,} photos"
    missing = f"{len(absent):,} photos of the table (the first: {readable(absent[0])})" if absent else ""
    evidence = stated_facts(simulated_evidence(entries, photo_root), design, missing, oddities)
    source = source_of([entry for _, entry, _ in matched], photo_root)
    named_columns = table.labels([name for name in columns.of_table() if name in table.columns])
    given = {name: Labels(column.names, column.values[rows]) for name, column in named_columns.items()}
    place_name = photo_root.resolve().stem if photo_root.is_file() else photo_root.resolve().name
    camera_set = CameraSet(kind, place_name, tuple(captures), source, evidence, table=given)
    return photos_of_set(camera_set, cluster="", columns=columns, scenes=scenes, seed=seed, val_share=val_share)


def _table_in(kind: str, place: Path, layout: TableLayout) -> Path:
    if place.is_file():
        return place
    if not place.is_dir():
        raise DataError(f"{kind}:{place}: no such table or folder")
    tables = [name for name in list_folder(place).files if name.lower().endswith(".csv") and not is_junk(name)]
    if len(tables) != 1:
        content = f"the tables {', '.join(map(readable, tables))}: name one" if tables else "no table"
        raise DataError(
            f"{kind}:{place}: it holds {content}; {kind}:FILE.csv?root=FOLDER reads the CSV file of {layout.title}, "
            "which names the cameras" + (" and scenes" if kind == "dresden" else "")
        )
    return place / tables[0]


def _columns(kind: str, table: Table, layout: TableLayout) -> dict[str, str]:
    """The table's columns by the names of the layout; the file's first. Raises ``DataError``."""
    known = {re.sub(r"[^a-z]", "", name.lower()): name for name in reversed(table.names)}
    named = {name: next((known[s] for s in spellings if s in known), "") for name, spellings in layout.columns.items()}
    if absent := [name for name, column in named.items() if not column]:
        raise DataError(
            f"{kind}:{table.name}: no column {' or '.join(absent)} (its columns: {', '.join(table.names[:12])}): the "
            f"CSV file of {layout.title} has {', '.join(layout.columns)}"
        )
    return named


def _key(file: str, layout: TableLayout) -> str:
    """The name that a row and its file share: in lower case, without folders."""
    name = re.split(r"[/\\]", file.lower())[-1]
    return re.sub(r"\.(?:nef|tiff?|jpe?g|png)$", "", name) if layout.by_stem else name


def _by_name(entries: Sequence[Entry], layout: TableLayout, oddities: Oddities) -> dict[str, Entry]:
    by_name: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda entry: (entry.method != WHOLE_FILE, entry.archive, entry.path)):
        name, reason = entry.path.lower(), not_a_photo(entry.path)
        if reason:
            if reason != OTHER_FILES or not name.endswith((".csv", "readme.md", "simulated.json")):
                oddities.add(reason, entry.path)
        elif by_name.setdefault(_key(name, layout), entry) is not entry:
            oddities.add("photos that are there twice", entry.path)
    return by_name


TILES: Mapping[str, tuple[str, ColumnSources]] = MappingProxyType(
    {
        "plism": ("slide_id,tile_id", ColumnSources.of(group=("device=scanner", "staining=stainer"), scene="tile_id")),
        "scorpion": (
            "tile_id,scanner_id",
            ColumnSources.of(group=("device=scanner_id",), scene="tile_id", cluster="slide_id"),
        ),
    }
)
"""Id and columns of a table of tiles: that of owkin/plism-dataset-tiles, and one of SCORPION's samples or tiles."""


def tile_photos(kind: str, path: str, *, columns: ColumnSources, id: str = "", **options: Any) -> PhotoSet:
    """Tiles of PLISM or SCORPION that a CSV or Parquet table lists, with pictures or for embeddings made elsewhere.

    Args:
        kind: a key of ``TILES``.
        path: of the table.
        columns: named by the user; they replace the usual ones, and groups are added to them.
        id: column of the ids, or several with commas; by default those of ``TILES``.
        options: ``image``, ``root``, ``seed`` and ``val_share`` of ``table_photos``.

    Raises:
        DataError, UsageError: as ``table_photos``.
    """
    usual_id, usual = TILES[kind]
    photos = table_photos(path, id=id or usual_id, columns=with_usual(columns, usual), **options)
    evidence = {**photos.evidence, TERMS_OF_USE: terms_of(kind)}
    return replace(photos, name=f"{kind}:{Path(path).stem}", evidence=evidence)
