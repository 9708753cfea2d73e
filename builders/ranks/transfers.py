"""Whole folders between this machine and a place."""

from __future__ import annotations

from pathlib import Path

from builders.ranks.places import Place


def gather_files(place: Place, folder: Path) -> None:
    """Copy every file of a place into a folder of this machine; none if the place is not there."""
    for name in place.all_names():
        place.get(name, folder / name)


def hand_over_files(folder: Path, place: Place) -> None:
    """Copy every file of a folder to a place, in place of what has its name."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".tmp")):
        place.put(path, path.relative_to(folder).as_posix())
