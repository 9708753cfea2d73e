"""Nothing is written over a result of other weights: what stands where a new result goes is set aside first."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

from benchmark.encoders import encoder_hash
from benchmark.results import Result, folder_name, read_result
from builders.errors import DataError

FILES = ("answers.npz", "report.html", "report.md", "report.png", "result.json")
"""What a run writes into one folder; the result goes last, so that what is half moved is moved again."""


def usual_place(result: Result) -> Path:
    """``<encoder>/<data>``, where a run of several writes a result."""
    return Path(folder_name(str(result.encoder["id"]))) / folder_name(str(result.data["name"]))


def set_aside(folder: Path, output: Path, new: Result) -> Path | None:
    """Move a finished result out of the way of a new one, unless that is the same question asked again.

    The same: of the same encoder (weights, preprocessing, pooling) on photos of the same name, and with scores if the
    one that stands there has some.

    Args:
        folder: where the new result goes.
        output: the folder of the run, ``folder`` itself or above it.
        new: what will be written.

    Returns:
        Where it is now, said on standard error too; None where nothing had to be moved.
    """
    file = folder / "result.json"
    if not os.path.lexists(file):
        return None
    try:
        old = read_result(file)
        if _asked_again(old, new):
            return None
        places = [output / usual_place(old), output / _place_of_its_own(old)]
        what = f"the result of {old.encoder['id']} on {old.data['name']}"
    except (DataError, KeyError, TypeError):
        places, what = [], "a result.json that cannot be read"
    numbered = (output / f"set-aside-{number}" for number in itertools.count(1))
    offered = itertools.chain(places, numbered)
    place = next(p for p in offered if p != folder and not os.path.lexists(p / "result.json"))
    place.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if os.path.lexists(folder / name):
            os.replace(folder / name, place / name)
    print(f"camtrace: {what} stood in {folder}; it is kept in {place}", file=sys.stderr)
    return place


def _asked_again(old: Result, new: Result) -> bool:
    same = encoder_hash(old.encoder) == encoder_hash(new.encoder) and old.data["name"] == new.data["name"]
    return same and bool(new.scores or not old.scores)


def _place_of_its_own(result: Result) -> Path:
    usual = usual_place(result)
    return Path(f"{usual.parts[0]}.{encoder_hash(result.encoder)}", *usual.parts[1:])
