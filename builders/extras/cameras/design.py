"""What a camera set has, lacks and holds beside its layout, and whether it was simulated, in words."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from builders.errors import DataError, PhotoError
from builders.extras.cameras.archives import Entry, is_junk, source_of
from builders.extras.cameras.layouts import PHOTO_ENDINGS, RAW_ENDINGS, Capture, PathLayout
from builders.untrusted import MAX_CONFIG_BYTES, UntrustedInputError, parse_json, read_untrusted_json, readable

SIMULATED_FILE = "SIMULATED.json"
"""Marks a folder in the layout of a real set whose photos camtrace simulated."""

MOST_LISTED = 4
"""Names that a sentence gives."""

OTHER_FILES = "other files"


class Oddities:
    """Files and cells that are not as the layout says, counted by what is wrong, each with its first example."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, what: str, example: str) -> None:
        """Count a file.

        Args:
            what: they are, in the plural: "files of macOS".
            example: its path.
        """
        self._counts[what] += 1
        self._first.setdefault(what, readable(example))

    def text(self) -> str:
        """Phrases, the most frequent first; empty without any."""
        return "; ".join(f"{what}: {n:,} (the first: {self._first[what]})" for what, n in self._counts.most_common())


def not_a_photo(path: str) -> str:
    """Why a file is no photo by its name, as ``Oddities.add`` counts it; empty for a photo.

    >>> not_a_photo("D01/a.JPG"), not_a_photo("D01/notes.txt")
    ('', 'other files')
    """
    if is_junk(path):
        return "files of macOS or Windows, or hidden ones"
    if path.lower().endswith(RAW_ENDINGS):
        return "raw files, which are not developed here: convert them to TIFF"
    return "" if path.lower().endswith(PHOTO_ENDINGS) else OTHER_FILES


def stated_facts(simulated: Mapping[str, str], design: str, missing: str, odd: Oddities) -> dict[str, str]:
    """What the evidence of a set says of its design.

    Args:
        simulated: of ``simulated_evidence``.
        design: how many scenes, devices and photos there are.
        missing: what is not there; empty if that is nothing.
        odd: what was left out.
    """
    facts = {"design": design, "missing": missing, "left out": odd.text()}
    return {**simulated, **{name: readable(text) for name, text in facts.items() if text}}


def design_text(layout: PathLayout, captures: Sequence[Capture]) -> str:
    """How many scenes by how many of everything that they were photographed with."""
    sizes = {name: len(values) for name in layout.crossed if (values := _values(captures, name))}
    factors = [f"{size:,} {_plural(name)}" for name, size in sizes.items()]
    return f"{len({c.scene for c in captures}):,} scenes, {' x '.join(factors)}: {len(captures):,} photos"


def missing_text(layout: PathLayout, captures: Sequence[Capture]) -> str:
    """What the published design has and these photos lack; empty if that is nothing."""
    parts = []
    devices = sorted({c.device.split()[0] for c in captures if c.device})
    if layout.numbered and (numbers := {int(device.removeprefix(layout.numbered)) for device in devices}):
        absent = [f"{layout.numbered}{i:02}" for i in range(1, layout.devices + 1) if i not in numbers]
    else:
        absent = []
    if layout.devices > len(devices):
        named = f" ({_listed(absent)})" if absent else ""
        parts.append(f"{layout.devices - len(devices)} of {layout.devices} devices{named}")
    scenes = len({c.scene for c in captures})
    if layout.scenes > scenes:
        parts.append(f"{layout.scenes - scenes:,} of {layout.scenes:,} scenes")
    axes = [sorted(_values(captures, name)) for name in layout.crossed]
    cells = {(c.scene, *(_value(c, name) for name in layout.crossed)) for c in captures}
    whole = scenes * int(np.prod([len(axis) for axis in axes], dtype=np.int64))
    if lacking := whole - len(cells):
        gap = _first_gap(axes, {c.scene for c in captures}, cells)
        parts.append(f"{lacking:,} of the {whole:,} photos of these scenes{gap}")
    return "; ".join(parts)


def _first_gap(axes: Sequence[Sequence[str]], scenes: set[str], cells: set[tuple[str, ...]]) -> str:
    """The first scene that lacks a photo, by the combination that most scenes lack."""
    counts = Counter(cell[1:] for cell in cells)
    fewest = min(itertools.product(*axes), key=lambda combination: counts[combination])
    have = {cell[0] for cell in cells if cell[1:] == fewest}
    return f" (the first: {', '.join((*fewest, f'scene {min(scenes - have)}'))})"


def _value(capture: Capture, name: str) -> str:
    return {"device": capture.device, "platform": capture.platform}.get(name) or capture.groups.get(name, "")


def _values(captures: Sequence[Capture], name: str) -> set[str]:
    return {value for c in captures if (value := _value(c, name))}


def _plural(name: str) -> str:
    return name if name.endswith("s") else f"{name}s"


def _listed(names: Sequence[str]) -> str:
    more = f", ... ({len(names)})" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more


def simulated_evidence(entries: Sequence[Entry], root: Path) -> dict[str, str]:
    """What the mark of a simulated set says; empty without one in the folder, its archives or the folders above."""
    marks = [entry for entry in entries if entry.path.rpartition("/")[2] == SIMULATED_FILE]
    try:
        for entry in marks[:1]:
            text = source_of([entry], root).read(0)[:MAX_CONFIG_BYTES]
            return {"simulated": _stated(parse_json(text.decode("utf-8"), entry.path))}
        for folder in root.absolute().parents[:3]:
            if (folder / SIMULATED_FILE).is_file():
                return {"simulated": _stated(read_untrusted_json(folder / SIMULATED_FILE))}
    except (UntrustedInputError, PhotoError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{root}: {SIMULATED_FILE} marks a simulated set, and cannot be read ({error})") from None
    return {}


def _stated(mark: Any) -> str:
    return readable(str(mark["simulated"]))[:400]
