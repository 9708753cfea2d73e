"""Compare the Exif that we read with what ``exiftool -n`` says, for every file of a folder.

    python scripts/checks/exiftool.py FOLDER [--workers 2]

Prints counts by field and every disagreement. A disagreement is *explained* if one of the rules below says why our
value differs on purpose; the exit status is 1 if any is left unexplained. Needs ExifTool (Debian:
libimage-exiftool-perl).
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from builders.exif.acquisition import (
    EXPOSURE_RANGE_S,
    F_NUMBER_RANGE,
    FOCAL_RANGE_MM,
    ISO_RANGE,
    Acquisition,
    acquisition_from_raw,
)
from builders.exif.reader import read_many


@dataclass(frozen=True)
class Field:
    """One field on both sides."""

    tag: str
    """ExifTool's group and tag."""
    read: Callable[[Acquisition], object]


FIELDS = {
    "make": Field("IFD0:Make", lambda a: a.make),
    "model": Field("IFD0:Model", lambda a: a.model),
    "software": Field("IFD0:Software", lambda a: a.software),
    "exposure_s": Field("ExifIFD:ExposureTime", lambda a: a.exposure_s),
    "f_number": Field("ExifIFD:FNumber", lambda a: a.f_number),
    "focal_length_mm": Field("ExifIFD:FocalLength", lambda a: a.focal_length_mm),
    "iso": Field("ExifIFD:ISO", lambda a: a.iso),
    "flash_fired": Field("ExifIFD:Flash", lambda a: a.flash_fired),
    "taken": Field("ExifIFD:DateTimeOriginal", lambda a: _original(a)),
}


_RANGES = {
    "exposure_s": EXPOSURE_RANGE_S,
    "f_number": F_NUMBER_RANGE,
    "focal_length_mm": FOCAL_RANGE_MM,
    "iso": ISO_RANGE,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    if shutil.which("exiftool") is None:
        print("exiftool is missing: apt-get install libimage-exiftool-perl", file=sys.stderr)
        return 2
    files = sorted(path for path in arguments.folder.rglob("*") if path.is_file())
    if not files:
        print(f"{arguments.folder}: no file there", file=sys.stderr)
        return 2
    return compare(files, arguments.workers)


def compare(files: list[Path], workers: int) -> int:
    """Print the comparison; returns the exit status."""
    expected_values = exiftool_values(files)
    counts = {name: Counter[str]() for name in FIELDS}
    disagreements: list[str] = []
    no_values: list[str] = []
    for path, reading in zip(files, read_many(files, workers=workers), strict=True):
        if reading.reason:
            no_values.append(f"  {path.name}: {reading.reason}")
        for name, field in FIELDS.items():
            expected, got = expected_values[path].get(field.tag), field.read(reading.acquisition)
            verdict, why = judge(name, expected, got)
            counts[name][verdict] += 1
            if verdict in ("explained", "UNEXPLAINED"):
                disagreements.append(f"  {path.name} {name}: exiftool {expected!r}, ours {got!r}: {verdict} ({why})")
    columns = ("equal", "explained", "UNEXPLAINED", "absent")
    print(f"{len(files)} files, {len(files) - len(no_values)} with values")
    print(f"{'field':16}" + "".join(f"{column:>13}" for column in columns))
    for name in FIELDS:
        print(f"{name:16}" + "".join(f"{counts[name][column]:13}" for column in columns))
    totals = sum(counts.values(), Counter[str]())
    print(f"{'all':16}" + "".join(f"{totals[column]:13}" for column in columns))
    print("\ndisagreements:", *(disagreements or ["  none"]), sep="\n")
    print("\nfiles without values, with our reason:", *(no_values or ["  none"]), sep="\n")
    return 1 if totals["UNEXPLAINED"] else 0


def exiftool_values(files: list[Path]) -> dict[Path, dict[str, object]]:
    """ExifTool's numeric values by file and "group:tag"."""
    tags = [f"-{field.tag}" for field in FIELDS.values()]
    command = ["exiftool", "-n", "-j", "-G1", "-q", "-q", *tags, "-@", "-"]
    listing = "\n".join(str(path) for path in files)
    output = subprocess.run(command, input=listing.encode(), capture_output=True, check=False).stdout
    # parse_float=str keeps ExifTool's digits, so that they can be compared with our exact rationals
    rows = json.loads(output or b"[]", parse_float=str)
    rows_by_file = {Path(row["SourceFile"]): row for row in rows}
    return {path: rows_by_file.get(path, {}) for path in files}


def judge(name: str, expected: object, got: object) -> tuple[str, str]:
    """("equal" | "explained" | "UNEXPLAINED" | "absent", reason)."""
    if expected is None and got is None:
        return "absent", ""
    if expected is None:
        return "UNEXPLAINED", "a value that exiftool does not see"
    if _equal(name, expected, got):
        return "equal", ""
    if got is None:
        return _explanation(name, str(expected).strip())
    return "UNEXPLAINED", "different values"


def _explanation(name: str, text: str) -> tuple[str, str]:
    """Why our value is ``None`` on purpose."""
    if not text:
        return "explained", "an empty value is unknown"
    if name in ("exposure_s", "f_number", "focal_length_mm", "iso") and text in ("0", "undef", "inf"):
        return "explained", "zero, 0/0 and x/0 are unknown"
    limits = _RANGES.get(name)
    if limits and re.fullmatch(r"[\d.]+(e[+-]?\d{1,3})?", text) and not limits[0] <= Fraction(text) <= limits[1]:
        return "explained", "a value that no camera has"
    if name == "iso" and text == "65535":
        return "explained", "65535 says that the value is elsewhere"
    if name == "flash_fired" and text.isdigit() and int(text) > 127:
        return "explained", "bits without a meaning in Exif"
    if name == "taken" and text.startswith(("0000", "    ", ":")):
        return "explained", "a camera clock that was never set"
    return "UNEXPLAINED", "not read"


def _equal(name: str, expected: object, got: object) -> bool:
    if got is None:
        return False
    text = str(expected)
    if name == "flash_fired":
        return text.isdigit() and bool(int(text) & 1) == got
    if name == "taken":
        return isinstance(got, datetime) and text[:19] == got.strftime("%Y:%m:%d %H:%M:%S")
    if isinstance(got, Fraction | int):
        try:  # ExifTool prints rationals with 10 significant digits
            return abs(Fraction(text.split()[0]) - got) <= Fraction(1, 10**9) * got
        except ValueError:
            return False
    return text.rstrip() == got


def _original(acquisition: Acquisition) -> datetime | None:
    """``taken`` without its fallback to the time of digitisation, which is another tag."""
    only = {name: text for name, text in acquisition.raw.items() if name == "DateTimeOriginal"}
    return acquisition_from_raw(only).taken


if __name__ == "__main__":
    sys.exit(main())
