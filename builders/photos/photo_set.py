"""``PhotoSet``: the photos of one data set as columns, so that a million photos are a few arrays.

Bytes are read one photo at a time, by ``PhotoSet.read``.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from builders.errors import DataError, EncoderError
from builders.photos.source import Head, MemorySource, NoPictures, PhotoSource, hash64, rank_within
from builders.photos.stamps import Stamps
from builders.untrusted import is_readable, readable

SPLITS = ("train", "val", "test")
"""Names of the splits; ``PhotoSet.splits`` holds indices into this tuple."""

HUB_SPLITS = ("train", "validation", "test")
"""The same splits by the names that ``load_dataset`` uses, parallel to ``SPLITS``."""

UNLABELLED = -1
"""The label index of a photo whose label is unknown."""

CLUSTER = "cluster"
"""Column of the given clusters: photos with one value (one slide, patient, owner or scene) err together, are never each
other's neighbours, and never stand on both sides of a split. It takes precedence over ``scene`` and ``owner``."""

NEAR_DUPLICATES = "near_duplicates"
"""Column of near-duplicates, if these were looked for and there are some: the id of the first photo of nearly the same
picture, "" for a photo without another (``builders.splits.near_duplicate_column``)."""

GROUP_PREFIX = "group_"
"""Begins the name of the column of a built set that stores a group."""

TERMS_OF_USE = "terms"
"""Fact in ``evidence``: the terms of a set whose pixels may be read by its user and not be published."""

STORED_COLUMNS = (CLUSTER, NEAR_DUPLICATES)
"""Columns of photos that builds of processed photos store: they say which photos err together."""

QUESTION_COLUMNS = ("camera_type", CLUSTER, NEAR_DUPLICATES, "owner", "pair_id", "scene")
"""Columns that affect a score: retrieval matches pairs of two types of camera; photos are resampled by cluster, scene,
owner and near-duplicates. A task that reads another column adds it here, so that ``question_hash`` covers it."""


@dataclass(frozen=True)
class Labels:
    """Class labels of photos: one column."""

    names: tuple[str, ...]
    """Class names; position is the label index."""
    values: np.ndarray
    """int32 [photos], ``UNLABELLED`` where unknown."""


@dataclass(frozen=True, repr=False)
class PhotoSet:
    """Photos of one data set, in a fixed order."""

    name: str
    """Its name in results, for example ``folder:imagenette``. Never a full path of this machine."""
    ids: tuple[str, ...]
    """Identity of each photo, unique in the set, stable between machines (a relative path, a row key)."""
    splits: np.ndarray
    """int8 [photos], index into ``SPLITS``."""
    labels: Labels
    """Semantic class of each photo. ``Labels((), all UNLABELLED)`` if it is unknown."""
    source: PhotoSource
    """Reads the original bytes of a photo by its row."""
    rows: np.ndarray
    """int64 [photos], the row of each photo in ``source``."""
    attributes: Mapping[str, Labels] = field(default_factory=dict)
    """Acquisition labels by attribute name (``make``, ``exposure``, ...)."""
    groups: Mapping[str, Labels] = field(default_factory=dict)
    """Nuisance groups by name (``hospital``, ``scanner``): what took or made each photo, and should not matter. A group
    is given with the data, not assigned by an experiment: what is measured about it is observational, and the cells of
    label x group may be unequal or empty."""
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Further columns [photos] by name: text, "" where unknown. ``cluster`` (``CLUSTER``) says which photos err
    together; others are ``pair_id``, ``camera_type``, ``owner``, ``scene``, ``source``."""
    neighbours: int = 10
    """k of the kNN tasks: 10, and 1 where classes have few photos (iNaturalist), as in the study."""
    stored_views: tuple[str, ...] = ()
    """Names of the processings whose results ``read`` returns as a bundle (``builders.sources.processed_sets``); empty
    if it returns the original photo."""
    drawn_splits: bool = False
    """True if the splits were drawn by seed; False if the source gives them."""
    smoke_test: bool = False
    """True if scores on these photos only show that the software runs (the bundled sample)."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """Facts for readers of a result: revision, licence, how the splits were made."""

    def __post_init__(self) -> None:
        n = len(self.ids)
        labels = (self.labels, *self.attributes.values(), *self.groups.values())
        columns = [self.splits, self.rows, *(column.values for column in labels)]
        if any(len(column) != n for column in (*columns, *self.columns.values())):
            raise ValueError(f"{self.name}: columns of different lengths")
        self._make_readable()
        if len(set(self.ids)) != n:
            raise ValueError(f"{self.name}: photo ids are not unique")

    def _make_readable(self) -> None:
        """Escape names of files and classes once, here: results, reports and terminals use them unchanged."""
        if not is_readable("".join(self.ids)):
            names = tuple(map(readable, self.ids))
            if len(set(names)) < len(set(self.ids)):
                repeated = next(name for name, count in Counter(names).items() if count > 1)
                raise DataError(
                    f"{readable(self.name)}: several photos have a name that is written {repeated}; rename one"
                )
            object.__setattr__(self, "ids", names)
        object.__setattr__(self, "name", readable(self.name))
        object.__setattr__(self, "labels", _readable_labels(self.labels))
        object.__setattr__(self, "attributes", {name: _readable_labels(a) for name, a in self.attributes.items()})
        object.__setattr__(self, "groups", {readable(name): _readable_labels(g) for name, g in self.groups.items()})

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        """Name and numbers; ids are left out, of which there may be millions."""
        counts = np.bincount(self.splits[self.splits >= 0], minlength=len(SPLITS))
        splits = ", ".join(f"{name} {n:,}" for name, n in zip(SPLITS, counts, strict=True) if n)
        known = [f"{len(self.labels.names)} classes"] if self.labels.names else []
        known += [f"attributes: {', '.join(self.attributes)}"] if self.attributes else []
        return f"<PhotoSet {self.name}: {'; '.join([f'{len(self):,} photos ({splits})', *known])}>"

    @property
    def has_pictures(self) -> bool:
        """Whether photos can be read; else only ids, labels and groups are known (``NoPictures``)."""
        return not isinstance(self.source, NoPictures)

    def require_pictures(self, what: str) -> None:
        """Refuse a set without pictures.

        Args:
            what: needs them, as the subject of a sentence.

        Raises:
            DataError: ``has_pictures`` is false.
        """
        if not self.has_pictures:
            raise DataError(f"{self.name} names no pictures, and {what} needs them: name their column (image=COLUMN)")

    def read(self, index: int) -> bytes:
        """Original bytes of photo ``index``. Raises ``PhotoError``."""
        return self.source.read(int(self.rows[index]))

    def head(self, index: int, limit: int) -> Head:
        """The first ``limit`` bytes of photo ``index``; most sources read no more. Raises ``PhotoError``."""
        read_head = getattr(self.source, "head", None)
        if read_head is not None:
            return read_head(int(self.rows[index]), limit)
        data = self.read(index)
        return Head(data[:limit], len(data))

    def shared_work(self) -> list[int] | None:
        """One number per photo. One process reads photos of equal numbers faster, one after the other (the views of one
        simulated scene). None if the order of reading makes no difference."""
        shared_work = getattr(self.source, "shared_work", lambda rows: None)(self.rows)
        return None if shared_work is None else list(shared_work)

    @property
    def is_remote(self) -> bool:
        """Whether reading a photo fetches it from another machine every time."""
        return bool(getattr(self.source, "is_remote", False))

    def warm_up(self, index: int) -> None:
        """Prepare the source for reading, before processes are forked that read photos.

        What every process would do once is done here for all of them: kernels of simulated cameras are loaded and
        tested.

        Args:
            index: the photo that is read first.
        """
        warm_up = getattr(self.source, "warm_up", None)
        if warm_up is not None:
            warm_up(int(self.rows[index]))

    def stamps(self) -> Stamps | None:
        """One stamp per photo, without reading files. None if the source cannot stamp its photos."""
        stamps = getattr(self.source, "stamps", None)
        return None if stamps is None else stamps(self.rows)

    def indices(self, split: str) -> np.ndarray:
        """int64 indices of the photos in ``split``."""
        return np.flatnonzero(self.splits == SPLITS.index(split))

    def select(self, indices: Sequence[int] | np.ndarray) -> PhotoSet:
        """The photos at ``indices``, in that order."""
        at = np.asarray(indices, dtype=np.int64)
        return dataclasses.replace(
            self,
            ids=tuple(self.ids[i] for i in at),
            splits=self.splits[at],
            labels=Labels(self.labels.names, self.labels.values[at]),
            rows=self.rows[at],
            attributes={name: Labels(a.names, a.values[at]) for name, a in self.attributes.items()},
            groups={name: Labels(g.names, g.values[at]) for name, g in self.groups.items()},
            columns={name: column[at] for name, column in self.columns.items()},
        )

    def limited(self, limit: int, seed: int = 0) -> PhotoSet:
        """At most ``limit`` photos, drawn by a seed and balanced between classes.

        Every split has its share of the photos, and at least one. Photos are ranked within (split, class) by a hash of
        their id and taken rank by rank from all splits, so a larger limit always contains a smaller one.

        Args:
            limit: number of photos.
            seed: of the hash.

        >>> len(PhotoSet.of_bytes("three", {"a": b"1", "b": b"2", "c": b"3"}).limited(2))
        2
        """
        if limit >= len(self):
            return self
        hashes = np.array([hash64(f"limit\0{seed}\0{photo_id}") for photo_id in self.ids], dtype=np.uint64)
        share_taken = np.empty(len(self))
        for split in np.unique(self.splits):
            members = np.flatnonzero(self.splits == split)
            members = members[np.argsort(hashes[members], kind="stable")]
            members = members[np.argsort(rank_within(self.labels.values[members]), kind="stable")]
            share_taken[members] = (np.arange(len(members)) + 0.5) / len(members)
            share_taken[members[0]] = -1
        return self.select(np.sort(np.lexsort((hashes, share_taken))[:limit]))

    def ids_hash(self) -> str:
        """Hash of the ids in their order, the splits and the labels: 16 hex digits."""
        digest = hashlib.sha256()
        for photo_id in self.ids:
            digest.update(photo_id.encode("utf-8", "surrogateescape") + b"\0")
        for column in (self.splits, self.labels.values):
            digest.update(np.ascontiguousarray(column).astype("<i4").tobytes())
        digest.update("\0".join(self.labels.names).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:16]

    def question_hash(self) -> str:
        """Hash of everything but pixels that the tasks read of these photos: 32 hex digits.

        Two results are comparable only if their question hashes are equal. The hash is SHA-256, cut to 128 bits. It
        covers the ids in their order; the split of each; ``labels`` and every one of ``attributes``, each with its
        names in their order and its values; the columns among ``QUESTION_COLUMNS`` that the set has, as text;
        ``stored_views``; and ``groups`` as attributes, if there are any. Attributes, groups and columns count by name,
        not by their order. It does not cover bytes of the photos, ``name``, ``neighbours``, ``evidence``, and columns
        that no task reads.

        Every list and every text begins with its length, so no two different sets are encoded alike.

        >>> photos = PhotoSet.of_bytes("two", {"a": b"1", "b": b"2"}, labels=["cat", "dog"])
        >>> swapped = PhotoSet.of_bytes("two", {"a": b"1", "b": b"2"}, labels=["dog", "cat"])
        >>> photos.question_hash() == swapped.question_hash()
        False
        """
        digest = hashlib.sha256(b"camtrace question 1")

        def numbers(values: np.ndarray) -> None:
            digest.update(len(values).to_bytes(8, "little") + np.asarray(values).astype("<i8").tobytes())

        def texts(values: Iterable[str]) -> None:
            # surrogatepass: unlike surrogateescape it encodes every str, and no two alike.
            encoded = [value.encode("utf-8", "surrogatepass") for value in values]
            numbers(np.array([len(text) for text in encoded], dtype=np.int64))
            digest.update(b"".join(encoded))

        def labels(by_name: Mapping[str, Labels]) -> None:
            texts(sorted(by_name))
            for name in sorted(by_name):
                texts(by_name[name].names)
                numbers(by_name[name].values)

        texts(self.ids)
        numbers(self.splits)
        texts(self.labels.names)
        numbers(self.labels.values)
        labels(self.attributes)
        columns = [name for name in QUESTION_COLUMNS if name in self.columns]
        texts(columns)
        for name in columns:
            texts(map(str, self.columns[name].tolist()))
        texts(self.stored_views)
        if self.groups:  # the hash of a set without groups is that of earlier versions
            labels(self.groups)
        return digest.hexdigest()[:32]

    def ids_of_no_photo(self, file: str, ids: Iterable[str]) -> list[str]:
        """Ids of a file about photos that are none of this set, each once.

        Args:
            file: its name, for the message.
            ids: of the file.

        Raises:
            EncoderError: there are ids, and none is that of a photo.
        """
        known, every = frozenset(self.ids), list(dict.fromkeys(ids))
        unknown = [photo_id for photo_id in every if photo_id not in known]
        if unknown and len(unknown) == len(every):
            raise EncoderError(
                f"{file}: it holds no id of {self.name}: its ids are such as {readable(unknown[0])!r}, and those of "
                f"the data {self.ids[0]!r} (?id=COLUMN names the column of ids)"
            )
        return unknown

    @classmethod
    def of_bytes(
        cls,
        name: str,
        photos: Mapping[str, bytes],
        labels: Sequence[str] | None = None,
        splits: Sequence[str] | None = None,
    ) -> PhotoSet:
        """A photo set in memory, for tests, notebooks and small studies.

        Args:
            name: name of the set.
            photos: bytes by id, in order.
            labels: class name of each photo; unlabelled if absent.
            splits: split name of each photo; all ``train`` if absent.
        """
        names = tuple(sorted(set(labels))) if labels is not None else ()
        values = [names.index(label) for label in labels] if labels is not None else [UNLABELLED] * len(photos)
        return cls(
            name=name,
            ids=tuple(photos),
            splits=np.array([SPLITS.index(s) for s in (splits or ["train"] * len(photos))], dtype=np.int8),
            labels=Labels(names, np.array(values, dtype=np.int32)),
            source=MemorySource(tuple(photos.values())),
            rows=np.arange(len(photos), dtype=np.int64),
        )


def _readable_labels(labels: Labels) -> Labels:
    if not all(isinstance(name, str) for name in labels.names):
        raise DataError(
            f"the name of a class is not text ({next(n for n in labels.names if not isinstance(n, str))!r})"
        )
    if is_readable("".join(labels.names)):
        return labels
    return Labels(tuple(map(readable, labels.names)), labels.values)
