"""Outputs of an encoder: ``final``, its embedding, and its layers with a pooling. How to request and name them.

=======================  ===============================================================================
``final``                the embedding
``layers``               every layer, as its class token (where there is one) and as the mean of its patches
``layers[9]:mean``       one layer with one pooling; this is also the name of the output
``layers[::4]:mean,max`` every fourth layer, as in a slice of Python, with two poolings
``layers[-1]:grid``      the last layer, the mean of the patches in each of 16 parts of the picture
``layers[-1]:patch``     the last layer, one patch in each of these parts
=======================  ===============================================================================

Layers are numbered from 0, in the order of the forward pass; negative numbers count from the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from builders.errors import UsageError, unknown_name

FINAL = "final"
"""Name of the embedding as an output."""

GRID = 4
"""Number of parts per side in ``grid`` and ``patch``; ``grid[8]`` and ``patch[8]`` have 8."""

MOST_PARTS = 16
"""Largest number of parts per side: 256 outputs of a layer."""

POOLINGS = {
    "cls": "class token",
    "mean": "mean of patches",
    "max": "maximum over patches",
    "gem": "generalised mean of patches",
    "border": "mean of the patches at the border",
    "centre": "mean of the patches in the centre",
    "grid": "mean of the patches in each of 4 x 4 parts",
    "patch": "one patch of each of 4 x 4 parts, at a place of the photo's own",
}
"""Name of a pooling -> title. ``grid`` and ``patch`` stand for 16 outputs each, ``grid-ROW-COLUMN``."""

_SPEC = re.compile(r"layers(?:\[([^\[\]]*)\])?(?::([\w,\- \[\]]*))?")
_PARTED = re.compile(r"(grid|patch)(?:\[(\d{1,2})\])?")
_CELL = re.compile(rf"{_PARTED.pattern}-(\d{{1,2}})-(\d{{1,2}})")


@dataclass(frozen=True)
class Output:
    """One named vector of a view that an encoder gives in addition to its embedding."""

    name: str
    """``layers[9]:mean``, as in requests, banks and results."""
    layer: int
    """From 0."""
    layers: int
    """Number of layers of the network."""
    kind: Literal["block", "stage"]
    """Blocks preserve the shape of the features, stages do not."""
    pooling: str
    """One of ``POOLINGS``, or a part: ``grid-ROW-COLUMN``, ``patch[8]-ROW-COLUMN``."""
    dimension: int
    read: str
    """How the layer is read, in words: by which call of the library, and whether its final norm is applied."""

    @property
    def depth(self) -> float:
        """Share of the layers up to this one, in (0, 1]."""
        return (self.layer + 1) / self.layers

    @property
    def single(self) -> bool:
        """True if it reads one patch of each view, at a position that depends on the photo."""
        return is_single(self.pooling)

    @property
    def title(self) -> str:
        """For tables and figures.

        >>> Output("layers[9]:mean", 9, 12, "block", "mean", 768, "").title
        'block 9, mean of patches'
        """
        return f"{self.kind} {self.layer}, {pooling_title(self.pooling)}"


@dataclass(frozen=True)
class OutputSpecification:
    """Some layers with some poolings, as requested; the layers depend on the network."""

    text: str
    layers: int | slice
    poolings: tuple[str, ...]
    """Empty for the default: the class token, where there is one, and the mean."""

    def layer_numbers(self, count: int) -> range | list[int]:
        """The requested layers of a network with ``count`` layers.

        Raises:
            UsageError: there are none.

        >>> list(parse_output("layers[::4]").layer_numbers(12)), parse_output("layers[-1]").layer_numbers(12)
        ([0, 4, 8], [11])
        """
        if isinstance(self.layers, slice):
            numbers = range(count)[self.layers]
            if not numbers:
                raise UsageError(f"no layer is left of the {count}, 0 to {count - 1}")
            return numbers
        if not -count <= self.layers < count:
            raise UsageError(f"there are {count} layers, 0 to {count - 1}")
        return [self.layers % count]


def parse_output(text: str) -> OutputSpecification | None:
    """Parse one value of ``--outputs``; None for ``final``.

    Raises:
        UsageError: the text is not of the form above.

    >>> parse_output("layers[::4]:mean,cls").poolings
    ('mean', 'cls')
    """
    stripped = text.strip()
    if stripped == FINAL:
        return None
    match = _SPEC.fullmatch(stripped)
    if match is None:
        raise UsageError(f"--outputs {text}: write final, layers, layers[9], layers[::4]:mean,cls, ... (layers from 0)")
    which, pools = match.groups()
    poolings = tuple(dict.fromkeys(p.strip() for p in pools.split(","))) if pools is not None else ()
    for pooling in poolings:
        if pooling not in POOLINGS and not _parts_of_side(pooling) and grid_cell(pooling) is None:
            raise unknown_name("pooling", pooling, POOLINGS)
    return OutputSpecification(stripped, _layers(which, text), _with_cells(poolings))


def parse_outputs(texts: Sequence[str]) -> tuple[OutputSpecification, ...]:
    """Parse values of ``--outputs`` without ``final``, which every encoder gives.

    >>> [specification.text for specification in parse_outputs(["final", "layers[0]"])]
    ['layers[0]']
    """
    return tuple(parsed for text in texts if (parsed := parse_output(text)) is not None)


def chosen_outputs(texts: Sequence[str]) -> tuple[str, ...]:
    """Values of ``--outputs`` without ``final``, which every encoder gives.

    Raises:
        UsageError: one of them is not of the form above.

    >>> chosen_outputs(["final", "layers[0]"])
    ('layers[0]',)
    """
    return tuple(text for text in texts if parse_output(text) is not None)


def output_name(layer: int, pooling: str) -> str:
    """Name of an output.

    >>> output_name(9, "mean")
    'layers[9]:mean'
    """
    return f"layers[{layer}]:{pooling}"


def pooling_title(pooling: str) -> str:
    """Title of a pooling, in words.

    >>> pooling_title("gem"), pooling_title("grid-0-3")
    ('generalised mean of patches', 'mean of the patches in row 0, column 3 of 4 x 4')
    >>> pooling_title("patch[8]-0-3")
    'one patch in row 0, column 3 of 8 x 8'
    """
    if cell := grid_cell(pooling):
        what = "one patch" if cell.single else "mean of the patches"
        return f"{what} in row {cell.row}, column {cell.column} of {cell.parts} x {cell.parts}"
    return POOLINGS[pooling]


@dataclass(frozen=True)
class Cell:
    """One of the parts of a picture in ``grid`` and ``patch``."""

    single: bool
    """True for one patch of the part, False for the mean of its patches."""
    parts: int
    """Number of parts per side."""
    row: int
    column: int

    @property
    def name(self) -> str:
        """Name as a pooling.

        >>> Cell(False, 4, 0, 1).name, Cell(True, 8, 0, 1).name
        ('grid-0-1', 'patch[8]-0-1')
        """
        word = "patch" if self.single else "grid"
        return f"{word}{'' if self.parts == GRID else f'[{self.parts}]'}-{self.row}-{self.column}"


def grid_cell(pooling: str) -> Cell | None:
    """The part of the picture that a pooling reads; None for other poolings.

    >>> grid_cell("patch[8]-0-7")
    Cell(single=True, parts=8, row=0, column=7)
    """
    match = _CELL.fullmatch(pooling)
    if match is None or (parts := _parts_of_side(pooling.partition("-")[0])) is None:
        return None
    row, column = int(match[3]), int(match[4])
    return Cell(match[1] == "patch", parts, row, column) if max(row, column) < parts else None


def is_single(pooling: str) -> bool:
    """True if a pooling reads one patch of a part of the picture.

    >>> is_single("patch-0-0"), is_single("grid-0-0")
    (True, False)
    """
    cell = grid_cell(pooling)
    return cell is not None and cell.single


def _parts_of_side(pooling: str) -> int | None:
    """Parts per side of ``grid``, ``patch``, ``grid[8]``, ...; None for other poolings, and over ``MOST_PARTS``."""
    match = _PARTED.fullmatch(pooling)
    parts = int(match[2] or GRID) if match else 0
    return parts if 0 < parts <= MOST_PARTS else None


def _with_cells(poolings: Sequence[str]) -> tuple[str, ...]:
    """The poolings with ``grid`` and ``patch`` replaced by their parts, under canonical names: ``grid-0-1``, never
    ``grid[4]-0-1``."""
    expanded: dict[str, None] = {}
    for pooling in poolings:
        if parts := _parts_of_side(pooling):
            single = pooling.startswith("patch")
            cells = [Cell(single, parts, row, column) for row in range(parts) for column in range(parts)]
            expanded |= dict.fromkeys(cell.name for cell in cells)
        else:
            cell = grid_cell(pooling)
            expanded[cell.name if cell else pooling] = None
    return tuple(expanded)


def _layers(which: str | None, text: str) -> int | slice:
    if which is None:
        return slice(None)
    parts = which.split(":")
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
    except ValueError:
        raise UsageError(f"--outputs {text}: {which!r} is neither a layer nor a slice of layers") from None
    if len(parts) == 1 and numbers[0] is not None:
        return numbers[0]
    if not 2 <= len(parts) <= 3 or (len(parts) == 3 and numbers[2] == 0):
        raise UsageError(f"--outputs {text}: {which!r} is neither a layer nor a slice of layers")
    return slice(*numbers)
