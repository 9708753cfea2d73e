"""Fitted on simulated photos and read on real ones, and the reverse: each fit read on the same photos of both."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from scripts.docs_tables.mitigation.erasers import READERS, erased, loaded, simulated, value

METHODS = ("mean", "leace")
ENCODER = "control:jpeg-statistics"
FEW = 3
"""Photos of a class of real cameras, at least: the folder has few of each."""


def transfer(args: Namespace) -> str:
    """For each trace a matrix: fitted on (rows), read on, by whom (columns)."""
    parts = []
    for trace, sets in _requested(args):
        table = _matrix(args, trace, sets)
        if table:
            parts.append(table)
    return "\n\n".join(["### From simulated photos to real ones, and back", *parts]) if parts else ""


def _requested(args: Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each trace with the sets that show it, opened where something is to be made."""
    from builders.data_specs import open_photos

    if args.kept:
        yield from ((trace.name, {}) for trace in sorted((args.work / "transfer").glob("*")) if trace.is_dir())
        return
    simcams = simulated(args.work, "simcams", args.simulated_limit)
    if args.photos:
        real = open_photos(f"folder:{args.photos}?name=folder:imagenette", seed=0).limited(args.limit)
        yield "jpeg", {"simcams": simcams, "imagenette": real}
    if args.cameras:
        real = open_photos(
            f"exif-folder:{args.cameras}?min-photos={FEW}&groups=folder&name=exif-folder:cameras", seed=0
        )
        for name in real.attributes:
            if name in simcams.attributes:
                yield name.replace("_", "-"), {"simcams": simcams, "cameras": real}


def _matrix(args: Namespace, trace: str, sets: dict[str, Any]) -> str:
    from benchmark.erasing.sides import plan_fit
    from benchmark.report import markdown_table
    from builders.errors import CamtraceError

    folder = args.work / "transfer" / trace
    model, measured = loaded(ENCODER, args.kept), {}
    for name, photos in sets.items():
        try:  # what each fit leaves to be measured on: readers learn from the same photos for every fit
            measured[name] = plan_fit(photos, trace, seed=0, drop_leaks=True).photos
        except CamtraceError as error:
            print(f"{trace} on {name}: {error}")
    fits: dict[tuple[str, str], dict] = {}
    for method in METHODS:
        for home in sets or sorted(path.name for path in folder.glob("*")):
            also = [photos for name, photos in measured.items() if name != home]
            photos = sets.get(home)
            eraser = erased(folder / home / method, args.work, model, photos, trace, method=method, also=also)
            if eraser:
                fits[home, method] = eraser
    rows, seen = [], {}
    for (home, method), eraser in fits.items():
        reads = {}
        for row in eraser["measured"]:
            if row["kind"] == "trace":
                reads[_short(row["data"]), row["reader"]] = row
                seen.setdefault(_short(row["data"]), row)
        rows.append((home, method, eraser, reads))
    if not rows:
        return ""
    columns = [(data, reader) for data in sorted(seen, reverse=True) for reader in READERS]
    before = {key: row for _, _, _, reads in rows for key, row in reads.items()}
    cells = [["nothing", "-", "-", *(value(before[c], "before") if c in before else "-" for c in columns)]]
    for home, method, eraser, reads in rows:
        got = (value(reads[c], "after") if c in reads else "-" for c in columns)
        cells.append([home, method, str(eraser["n_photos"]), *got])
    header = ["fitted on", "method", "photos", *(f"{data}, {reader}" for data, reader in columns)]
    counts = ", ".join(
        f"{row['n']} unseen photos of {data} (chance {100 * row['chance']:.1f} %)" for data, row in seen.items()
    )
    return f"**{trace}**, `{ENCODER}`: accuracy in %, read on {counts}.\n\n{markdown_table(header, cells)}"


def _short(data: str) -> str:
    """What the sets are called in the table."""
    kind, _, name = data.partition(":")
    return kind if kind == "simcams" else name
