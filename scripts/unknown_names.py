"""List the most frequent names of makers and models of a FlickrExif state that ``aliases.yaml`` cannot place.

    python scripts/unknown_names.py STATE [--top 30]

Three tables, each with photos and owners: makers that the table lacks; models of which nothing says whether they are a
phone, a camera or something else; and models that are no class under a name of their own, which may be variants of
one body. What you recognise is one line in ``builders/exif/aliases.yaml``.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.exif import ATTRIBUTES, OTHER, UNKNOWN, canonical_model, device_type, known_make
from builders.flickrexif.assemble.collect import CollectedPhoto, each_photo
from builders.flickrexif.store.store import State


@dataclass(frozen=True)
class Name:
    """One name, with how often it occurs."""

    name: str
    photos: int
    owners: int


def unknown_names(photos: Iterable[CollectedPhoto]) -> dict[str, list[Name]]:
    """By table, the names that nobody has placed, most photos first."""
    result: dict[str, dict[str, list[str]]] = {"makers": {}, "device type unknown": {}, "models that are no class": {}}
    classes = ATTRIBUTES["model"].classes["clean"] + ATTRIBUTES["smartphone_model"].classes["clean"]
    for photo in photos:
        make, model = photo.acquisition.make, photo.acquisition.model
        body = canonical_model(photo.acquisition)
        printed = f"{make or '(no maker)'} | {body if body not in (OTHER, UNKNOWN) else model}"
        if make and not known_make(make):
            result["makers"].setdefault(make, []).append(photo.owner)
        if model and device_type(photo.acquisition) == UNKNOWN:
            result["device type unknown"].setdefault(printed, []).append(photo.owner)
        if body not in (*classes, OTHER, UNKNOWN):
            result["models that are no class"].setdefault(printed, []).append(photo.owner)
    return {
        table: sorted(
            (Name(name, len(owners), len(set(owners))) for name, owners in names.items()),
            key=lambda n: (-n.photos, n.name),
        )
        for table, names in result.items()
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables. Returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("state", type=Path, help="folder of a FlickrExif state")
    parser.add_argument("--top", type=int, default=30, metavar="N", help="names per table (default 30)")
    options = parser.parse_args(argv)
    with State(options.state) as state:
        photos = list(each_photo(state, pixels=False, left_out=Counter()))
    print(f"{len(photos):,} photos that say how they were taken")
    for table, names in unknown_names(photos).items():
        total = sum(name.photos for name in names)
        print(f"\n{table}: {len(names):,} names, {total:,} photos\n{'photos':>8}  {'owners':>8}  name")
        for name in names[: options.top]:
            shown = "".join(c if c.isprintable() else "?" for c in name.name)
            print(f"{name.photos:>8,}  {name.owners:>8,}  {shown[:100]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
