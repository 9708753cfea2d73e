"""Pictures in arrays, as a table: ``.npz`` files such as MedMNIST's, and ``.npy`` files such as CIFAR-10-C's.

A member of several axes holds pictures, one of one axis what is said of them. ``train``, ``val`` or ``test`` in a name
is a split. Pictures become PNG files, which lose nothing.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from builders.errors import DataError, PhotoError
from builders.photos import file_stamp
from builders.sources.columns.table_files import Table
from builders.sources.folders import split_word
from builders.untrusted import list_folder, map_array, read_untrusted_arrays, readable

ARRAY_IMAGES = "images"
"""The column of the pictures."""

REPEATS = 5
"""Severities in one file of CIFAR-10-C, ImageNet-C's form for small pictures."""


@dataclass(frozen=True)
class ArrayPictures:
    """Pictures of arrays in files, one array after another; each is encoded when it is read."""

    place: str
    members: tuple[str, ...]
    ends: tuple[int, ...]
    """Rows up to the end of each."""

    def read(self, row: int) -> bytes:
        from PIL import Image

        at = int(np.searchsorted(self.ends, row, side="right"))
        array = _arrays(self.place)[self.members[at]]
        pixels = np.asarray(array[row - self.ends[at] + len(array)])
        if pixels.ndim == 3 and pixels.shape[0] in (1, 3) and pixels.shape[2] not in (1, 3, 4):
            pixels = pixels.transpose(1, 2, 0)
        try:
            picture = Image.fromarray(np.ascontiguousarray(pixels.squeeze(2) if pixels.shape[2:] == (1,) else pixels))
        except (TypeError, ValueError) as error:
            raise PhotoError(f"its array is no picture ({error})") from None
        stream = io.BytesIO()
        picture.save(stream, "PNG")
        return stream.getvalue()


def holds_arrays(path: Path) -> bool:
    """Whether a path is a file of arrays, or a folder with some."""
    if path.is_dir():
        return any(name.endswith(".npy") for name in list_folder(path).files)
    return path.suffix.lower() in (".npz", ".npy")


def array_table(path: Path) -> tuple[Table, ArrayPictures]:
    """The pictures of arrays and what is said of them, one row a picture.

    The columns are ``images`` (the ids), ``array`` (the name without the split), ``split`` where names have one, and
    each array of one axis; ``severity`` and ``scene`` where the labels come ``REPEATS`` times one after the other.

    Raises:
        DataError: there is no array of pictures with 8 bits a channel.
    """
    arrays = _arrays(str(path))
    pictures = [name for name in arrays if _holds_pictures(arrays[name])]
    if not pictures:
        held = ", ".join(f"{readable(name)} {array.dtype} {list(array.shape)}" for name, array in arrays.items())
        raise DataError(
            f"{path}: no array of pictures (uint8, [photos, height, width] with or without channels): {held}"
        )
    columns: dict[str, list[str | None]] = {ARRAY_IMAGES: [], "array": []}
    rows = 0
    for member in pictures:
        split, stem = _parts(member)
        count = len(arrays[member])
        said = {ARRAY_IMAGES: [f"{member}/{number:06}" for number in range(count)], "array": [stem] * count}
        if split:
            said["split"] = [split] * count
        for name, array in arrays.items():
            if name not in pictures and array.ndim <= 2 and len(array) == count and _parts(name)[0] == split:
                said |= _columns(_parts(name)[1], array)
                if not split and _is_repeated(array):
                    said["severity"] = [str(1 + number * REPEATS // count) for number in range(count)]
                    said["scene"] = [str(number % (count // REPEATS)) for number in range(count)]
        for name in {**columns, **said}:
            columns.setdefault(name, [None] * rows).extend(said.get(name, [None] * count))
        rows += count
    ends = np.cumsum([len(arrays[member]) for member in pictures]).tolist()
    return Table(path.name, columns, tuple(columns), rows), ArrayPictures(str(path), tuple(pictures), tuple(ends))


def _holds_pictures(array: np.ndarray) -> bool:
    """Whether an array is of pictures; one of three axes with channels on an outer one is a single picture."""
    single = array.ndim == 3 and (array.shape[2] in (1, 3, 4) or array.shape[0] in (1, 3, 4))
    return array.ndim in (3, 4) and array.dtype == np.uint8 and not single


def _is_repeated(labels: np.ndarray) -> bool:
    """Whether labels of several classes come ``REPEATS`` times, in the same order."""
    part, rest = divmod(len(labels), REPEATS)
    if not part or rest or labels.ndim != 1 or len(np.unique(labels)) < 2:
        return False
    return bool((labels.reshape(REPEATS, part) == labels[:part]).all())


def _columns(stem: str, array: np.ndarray) -> dict[str, list[str]]:
    flat = array.reshape(len(array), -1)
    names = [stem] if flat.shape[1] == 1 else [f"{stem}{number}" for number in range(flat.shape[1])]
    return {name: [str(value) for value in flat[:, number].tolist()] for number, name in enumerate(names)}


def _parts(member: str) -> tuple[str, str]:
    """The split in the name of an array, "" if there is none, and the rest of the name."""
    words = re.split(r"[_.-]", member)
    split = next((word for word in words if split_word(word)), "")
    return split, "_".join(word for word in words if word != split) or ARRAY_IMAGES


def _arrays(place: str) -> Mapping[str, np.ndarray]:
    path = Path(place)
    files = [path / name for name in list_folder(path).files if name.endswith(".npy")] if path.is_dir() else [path]
    return _opened(tuple((str(file), file_stamp(str(file)).text) for file in files))


@functools.lru_cache(maxsize=2)
def _opened(files: tuple[tuple[str, str], ...]) -> Mapping[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for file, _ in files:
        if file.endswith(".npz"):
            arrays |= read_untrusted_arrays(Path(file))
            continue
        try:
            arrays[Path(file).stem] = map_array(file)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{file}: no array that can be read ({getattr(error, 'strerror', None) or error})"
            ) from None
    return {name: array for name, array in arrays.items() if array.ndim and len(array)}
