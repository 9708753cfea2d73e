"""Columns of a photo set by name, sources of labels and groups, and class labels from names or codes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np

from builders.errors import UsageError, unknown_name
from builders.photos.patterns import first_matches
from builders.photos.photo_set import UNLABELLED, Labels, PhotoSet

COLUMN_OPTIONS = ("label", "group", "cluster", "split", "source", "scene")
"""Options of a data specification that say where columns come from. ``group`` may be given several times."""

HEADER = "header:"
"""Beginning of a SOURCE that the headers of the files give (``builders.sources.header_columns``)."""

NO_TABLE: Mapping[str, Labels] = MappingProxyType({})

_REAL = "real|nature|natural|originals?|authentic|pristine|genuine"
_MADE = "fake|ai|synthetic|generated|tampered|manipulated|forged|deepfakes?"
_ORIGIN = re.compile(rf"(\d[_-]?)?({_REAL}|{_MADE})([_-]?images?)?", re.IGNORECASE)
"""A folder whose name says whether its pictures are real: ``nature``, ``1_fake``, ``real_images``."""

_MAP = re.compile(r"(.+?):((?:[^=,]+=(?:train|val|test),)*[^=,]+=(?:train|val|test))", re.DOTALL)
"""A column and what its values mean: ``fold:0=train,1=val``."""

_BANDS = re.compile(r"bands:([1-9]\d?):(.+)", re.DOTALL)

_GROUP = re.compile(r"([A-Za-z0-9][\w.-]*)=(.+)", re.DOTALL)


@dataclass(frozen=True)
class ColumnSources:
    """Where the columns of the photos come from: each is a SOURCE as ``column_of`` reads it, or "" if none is given."""

    label: str = ""
    """What a photo shows."""
    groups: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """SOURCE of each nuisance group, by the group's name."""
    cluster: str = ""
    """Which photos err together: a slide, a patient, an owner."""
    split: str = ""
    """The given split of a photo."""
    source: str = ""
    """Where a photo comes from, for the audit."""
    scene: str = ""
    """What a photo shows that other groups show too: a scene, a tile, a field. Photos of one scene err together."""
    split_names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Split of each value of ``split``, if its values are not called train, val and test."""

    @classmethod
    def of(
        cls,
        label: str = "",
        group: Iterable[str] = (),
        cluster: str = "",
        split: str = "",
        source: str = "",
        scene: str = "",
    ) -> ColumnSources:
        """From the values of the options.

        Args:
            label, cluster, split, source, scene: a SOURCE each; after that of ``split`` may stand what its values mean,
                as in ``fold:0=train,1=val``.
            group: each ``NAME=SOURCE``, or a SOURCE alone, which also gives the name.

        Raises:
            UsageError: a group has no name, or two have one name.

        >>> dict(ColumnSources.of(group=["medical_center", "scanner=re:(AT2|S360)"]).groups)
        {'medical_center': 'medical_center', 'scanner': 're:(AT2|S360)'}
        """
        groups: dict[str, str] = {}
        for given in group:
            named = _GROUP.fullmatch(given)
            if not named and given.startswith("re:"):
                raise UsageError(f"group={given}: a pattern gives the group no name: write group=NAME={given}")
            name, source_of_group = (named[1], named[2]) if named else (_name_of(given), given)
            if name in groups:
                raise UsageError(f"group={given}: two groups are called {name}: write group=NAME=SOURCE")
            groups[name] = source_of_group
        names: dict[str, str] = {}
        if mapped := _MAP.fullmatch(split):
            split, names = mapped[1], dict(pair.rpartition("=")[::2] for pair in mapped[2].split(","))
        return cls(label, MappingProxyType(groups), cluster, split, source, scene, MappingProxyType(names))

    def sources(self) -> dict[str, str]:
        """Every SOURCE by its option, as an error names it: ``label=``, ``group=NAME=``, ..."""
        given = {option: getattr(self, option) for option in COLUMN_OPTIONS if option != "group"}
        named = {f"group={name}": source for name, source in self.groups.items()}
        return {option: source for option, source in {**given, **named}.items() if source}

    def of_table(self) -> list[str]:
        """The sources that are columns by name, each once: not parts of the path."""
        columns = [banded(source)[1] for source in self.sources().values()]
        return [source for source in dict.fromkeys(columns) if not is_path_source(source)]


def banded(source: str) -> tuple[int, str]:
    """Number of bands and the column of ``bands:N:COLUMN``; 0 and the SOURCE itself if it is none."""
    match = _BANDS.fullmatch(source)
    return (int(match[1]), match[2]) if match else (0, source)


def is_path_source(source: str) -> bool:
    """Whether a SOURCE reads a photo's id or file: ``folder``, ``folder:N``, ``re:PATTERN``, ``header:FIELD``."""
    return source == "folder" or source.startswith(("folder:", "re:", HEADER))


def _name_of(source: str) -> str:
    """The name of a group without one: that of its column or field, ``folder2`` for ``folder:2``."""
    return re.sub(r"[^\w.-]+", "_", banded(source)[1].removeprefix(HEADER).replace("folder:", "folder", 1)).strip("_")


def column_of(photos: PhotoSet, name: str, table: Mapping[str, Labels] = NO_TABLE) -> Labels:
    """A column of a photo set by name, as class labels.

    ``label`` is the label of the set; ``folder`` the folder that holds a file, ``folder:2`` the second folder of its
    path; ``re:PATTERN`` the first group of a pattern in the photo's id (the whole match if the pattern has no group);
    every other name is a group (``hospital``), an attribute (``make``) or a column (``owner``).

    Args:
        photos: the set.
        name: of the column.
        table: further columns, of the table that the photos come from or of the headers of their files
            (``header:format``); they come before those of the set.

    Returns:
        Labels of all photos; ``UNLABELLED`` where the value is empty, the path too short or the pattern not in the id.

    Raises:
        UsageError: there is no such column, or the pattern is not a regular expression or takes too long.

    >>> photos = PhotoSet.of_bytes("two", {"canon/a.jpg": b"1", "nikon/b.jpg": b"2"})
    >>> column_of(photos, "folder").names, column_of(photos, "re:(a|b).jpg").names
    (('canon', 'nikon'), ('a', 'b'))
    """
    if name in table:
        return table[name]
    if name == "label":
        return photos.labels
    if name == "folder" or name.startswith("folder:"):
        return labels_of(_folder(photo_id, name.partition(":")[2], photos.name) for photo_id in photos.ids)
    if name.startswith("re:"):
        return labels_of(match or None for match in first_matches(name[3:], photos.ids))
    if name in photos.groups:
        return photos.groups[name]
    if name in photos.attributes:
        return photos.attributes[name]
    if name in photos.columns:
        return labels_of(str(value) or None for value in photos.columns[name])
    known = ["label", "folder", "folder:N", "re:PATTERN", *table, *photos.groups, *photos.attributes, *photos.columns]
    raise unknown_name(f"column of {photos.name}", name, known)


def first_column(photos: PhotoSet, names: Sequence[str]) -> Labels | None:
    """The first of these columns that a photo set has, as ``column_of`` reads it; None if it has none of them."""
    return next((column_of(photos, name) for name in names if name in photos.columns), None)


def labels_of(names: Iterable[str | None]) -> Labels:
    """Labels from the class name of each photo. The classes are the distinct names, sorted.

    Args:
        names: class name of each photo; None where it is unknown.

    >>> labels_of(["dog", None, "cat", "dog"])
    Labels(names=('cat', 'dog'), values=array([ 1, -1,  0,  1], dtype=int32))
    """
    listed = list(names)
    classes = sorted({name for name in listed if name is not None})
    index = {name: i for i, name in enumerate(classes)}
    values = [UNLABELLED if name is None else index[name] for name in listed]
    return Labels(tuple(classes), np.array(values, dtype=np.int32))


def origin_of(name: str) -> Literal["real", "generated"] | None:
    """Whether a class or folder says that its pictures are real, or that they were generated or manipulated.

    >>> origin_of("0_real"), origin_of("ai"), origin_of("dog")
    ('real', 'generated', None)
    """
    if not _ORIGIN.fullmatch(name):
        return None
    return "real" if re.search(_REAL, name, re.IGNORECASE) else "generated"


def class_codes(values: Iterable[int | None], classes: int, *, unlabelled: bool = True) -> np.ndarray:
    """The values of a column that stores classes as numbers: int32 [rows], ``UNLABELLED`` where a value is missing.

    Args:
        values: of an untrusted table.
        classes: how many there are.
        unlabelled: whether ``UNLABELLED`` (-1) may stand in the column, as well as None.

    Raises:
        ValueError: a value is not a class, with its row.

    >>> class_codes([1, None, 0], 2)
    array([ 1, -1,  0], dtype=int32)
    >>> class_codes([1, 2], 2)
    Traceback (most recent call last):
    ValueError: row 1 has the label 2, and there are 2 classes
    """
    listed = list(values)
    allowed = {*range(classes), *((UNLABELLED,) if unlabelled else ())}
    for row, value in enumerate(listed):
        if value is not None and value not in allowed:
            raise ValueError(f"row {row} has the label {value}, and there are {classes} classes")
    return np.array([UNLABELLED if value is None else value for value in listed], dtype=np.int32)


def _folder(photo_id: str, number: str, name: str) -> str | None:
    parts = photo_id.split("/")[:-1]
    if not number:
        return parts[-1] if parts else None
    if not number.isdecimal() or len(number) > 9 or int(number) < 1:
        raise UsageError(f"folder:{number} of {name}: give the number of a folder of the path, from 1")
    return parts[int(number) - 1] if int(number) <= len(parts) else None
