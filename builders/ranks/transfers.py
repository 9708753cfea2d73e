"""Whole folders between this machine and a place."""

from __future__ import annotations

from pathlib import Path

from builders.outside import files_below
from builders.ranks.places import Place


def gather_files(place: Place, folder: Path) -> None:
    """Copy every file of a place into a folder of this machine; none if the place is not there."""
    for name in place.all_names():
        place.get(name, folder / name)


def hand_over_files(folder: Path, place: Place) -> None:
    """Copy every file of a folder to a place, in place of what has its name."""
    for name in files_below(folder, may_be_absent=True):
        if (folder / name).is_file() and not name.endswith(".tmp"):
            place.put(folder / name, name)
