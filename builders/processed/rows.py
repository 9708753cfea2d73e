"""Rows of processed photos: the files, classes and labels that are made from one photo."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import PIL.Image
from datasets import ClassLabel, Features, Image, Value

from builders.errors import UsageError, unknown_name
from builders.photos import GROUP_PREFIX, STORED_COLUMNS, UNLABELLED, PhotoSet, PhotoSource
from builders.pixels import (
    ALL_PARAMETERS,
    BUILT_IN,
    Parameter,
    chosen_processings,
    decode_rgb,
    processed_file,
    random_scale,
    read_definitions,
    read_jpeg_header,
)
from builders.processed.assignment import UNTIED, Assignment, classes_of, correlation_of, tied_classes

PNG_LEVEL = 3
"""Compression level of zlib: level 9 saves a few percent more and takes several times as long."""


@dataclass(frozen=True)
class ProcessingSettings:
    """Settings that determine the rows, apart from the photos."""

    parameter: str = "jpeg"
    """One of ``ALL_PARAMETERS``, or of ``definitions``."""
    assignment: Assignment = "uniform"
    seed: int = 0
    """Seed of the random scale of ``interpolation``; the benchmark's ``--seed``."""
    assignment_seed: int = 0
    """Seed of the assignment; the benchmark's probe uses 0..9."""
    lossless: bool = False
    """Store the pixels of the processed files as PNG, for encoders in other programs, whose decoders may differ."""
    definitions: str = ""
    """Canonical text of the processing file that defines the parameter; empty for a built-in one."""

    def __post_init__(self) -> None:
        if self.parameter not in self._known():
            raise unknown_name("parameter", self.parameter, self._known())
        correlation_of(self.assignment)

    @classmethod
    def of(cls, parameter: str, *others: Any, processings: str = "") -> ProcessingSettings:
        """Settings of a parameter of a processing file.

        Args:
            parameter: its name, or that of a built-in parameter.
            others: further fields, in their order.
            processings: a preset's name, a path or a canonical text; empty for built-in parameters.

        Raises:
            UsageError: the file is not right, or an unknown name.
        """
        chosen = "" if parameter in BUILT_IN else chosen_processings(processings)
        definitions = read_definitions(chosen).text if chosen else ""
        return replace(cls("jpeg", *others), parameter=parameter, definitions=definitions)

    def _known(self) -> Mapping[str, Parameter]:
        return read_definitions(self.definitions).parameters if self.definitions else ALL_PARAMETERS

    @property
    def question(self) -> Parameter:
        """The parameter."""
        return self._known()[self.parameter]

    def every(self, split: str) -> bool:
        """Whether photos of a split are in every class."""
        return self.assignment == "every" or (self.assignment == "study" and split != "train")

    def tied_classes(self, label_names: Sequence[str]) -> np.ndarray:
        """The processing tied to each semantic class: int64 [semantic classes], see ``assignment.tied_classes``."""
        return tied_classes(label_names, self.question, self.assignment, self.assignment_seed)

    def classes_of(self, photo_id: str, *, every: bool, tied_class: int = UNTIED) -> Sequence[int]:
        """The classes of a photo, see ``assignment.classes_of``."""
        return classes_of(
            photo_id, self.question, self.assignment, self.assignment_seed, every=every, tied_class=tied_class
        )

    def described(self) -> dict[str, Any]:
        """JSON values for a recipe. Later settings are left out at their defaults, so that older hashes stay.

        >>> ProcessingSettings("jpeg").described()
        {'parameter': 'jpeg', 'assignment': 'uniform', 'seed': 0, 'assignment_seed': 0}
        """
        later = {name for name in ("lossless", "definitions") if not getattr(self, name)}
        return {name: value for name, value in asdict(self).items() if name not in later}


@dataclass(frozen=True)
class ProcessedRows:
    """Makes the rows of each photo, by the photo's position. Picklable."""

    source: PhotoSource
    rows: np.ndarray
    """int64 [photos], row of each photo in ``source``."""
    ids: tuple[str, ...]
    labels: np.ndarray | None
    """int32 [photos], ``None`` for unlabelled photos."""
    settings: ProcessingSettings
    every: bool
    """Whether each photo is in every class."""
    tied: np.ndarray
    """int64 [semantic classes], the processing tied to each (``tied_classes``)."""
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What is given of each photo, by column: codes of its groups, names of its cluster (``photo_columns``)."""
    digests: tuple[str, ...] | None = None
    """SHA-256 of the file of each photo, where it is known already; "" if it is not."""
    id_column: str = "photo_id"

    @classmethod
    def of(
        cls, photos: PhotoSet, split: str, settings: ProcessingSettings, digests: Sequence[str] | None = None
    ) -> ProcessedRows:
        """The rows of one split of a photo set. ``digests``: SHA-256 of each photo of the set, if known."""
        at = photos.indices(split)
        return cls(
            source=photos.source,
            rows=photos.rows[at],
            ids=tuple(photos.ids[i] for i in at),
            labels=photos.labels.values[at] if photos.labels.names else None,
            settings=settings,
            every=settings.every(split),
            tied=settings.tied_classes(photos.labels.names),
            columns={name: values[at] for name, values in photo_columns(photos).items()},
            digests=None if digests is None else tuple(digests[i] for i in at),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def name(self, item: int) -> str:
        """The id of a photo."""
        return self.ids[item]

    def __call__(self, item: int) -> list[dict[str, Any]]:
        """The rows of photo ``item``: one, or one per class in the order of the classes. Raises ``PhotoError``."""
        data = self.source.read(int(self.rows[item]))
        rows = processed_rows(data, self.ids[item], self.settings, self.every, self._tied_class(item))
        return self._labelled(item, rows)

    def again(self, item: int, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]] | None:
        """See ``builders.dataset.update``: the rows with their label, if file and classes are the same."""
        codes = self.settings.classes_of(self.ids[item], every=self.every, tied_class=self._tied_class(item))
        if [row[self.settings.parameter] for row in rows] != list(codes):
            return None
        digest = self.digests[item] if self.digests is not None else ""
        if not digest:
            digest = hashlib.sha256(self.source.read(int(self.rows[item]))).hexdigest()
        if any(row["source_sha256"] != digest for row in rows):
            return None
        return self._labelled(item, [dict(row) for row in rows])

    def _label(self, item: int) -> int:
        return UNLABELLED if self.labels is None else int(self.labels[item])

    def _tied_class(self, item: int) -> int:
        label = self._label(item)
        return UNTIED if label == UNLABELLED else int(self.tied[label])

    def _labelled(self, item: int, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        given = {name: values[item].item() for name, values in self.columns.items()}
        if self.labels is not None:
            given["label"] = self._label(item)
        for row in rows:
            row.update(given)
        return rows


def processed_rows(
    data: bytes, photo_id: str, settings: ProcessingSettings, every: bool, tied_class: int = UNTIED
) -> list[dict[str, Any]]:
    """The rows of one photo without its semantic label. The photo is decoded once.

    Args:
        data: the photo's file.
        photo_id: its identity.
        settings: parameter, assignment and seeds.
        every: whether to make the photo in every class.
        tied_class: the processing tied to the photo's semantic class, for correlated assignments.

    Raises:
        PhotoError: the bytes cannot be decoded, or a processing has no result.
    """
    parameter = settings.question
    image = decode_rgb(data)
    header = read_jpeg_header(data)
    source = {
        "source_sha256": hashlib.sha256(data).hexdigest(),
        "source_quality": header.quality if header else None,
        "source_subsampling": header.subsampling if header else None,
    }
    rows: list[dict[str, Any]] = []
    for code in settings.classes_of(photo_id, every=every, tied_class=tied_class):
        encoded = processed_file(image, parameter.made_by[code], photo_id, settings.seed)
        width, height = PIL.Image.open(io.BytesIO(encoded)).size
        name = file_name(photo_id, parameter, code)
        if settings.lossless:
            encoded, name = _png_of(encoded), f"{name}.png"
        row: dict[str, Any] = {
            "image": {"bytes": encoded, "path": name},
            "photo_id": photo_id,
            parameter.name: code,
            **source,
            "width": width,
            "height": height,
        }
        if parameter.has_random_scale:
            row["scale"] = random_scale(photo_id, settings.seed)
        rows.append(row)
    return rows


def _png_of(encoded: bytes) -> bytes:
    """The decoded pixels of a processed file, as PNG.

    >>> from builders.pixels import PROCESSINGS
    >>> jpeg = processed_file(PIL.Image.new("RGB", (9, 5), (200, 30, 90)), PROCESSINGS["jpeg-q75-420"], "a", 0)
    >>> decode_rgb(_png_of(jpeg)).tobytes() == decode_rgb(jpeg).tobytes()
    True
    """
    stream = io.BytesIO()
    decode_rgb(encoded).save(stream, "PNG", compress_level=PNG_LEVEL)
    return stream.getvalue()


def photo_columns(photos: PhotoSet) -> dict[str, np.ndarray]:
    """What is given of each photo beside its label: codes of its groups, then its cluster and its near-duplicates."""
    groups = {f"{GROUP_PREFIX}{name}": group.values for name, group in photos.groups.items()}
    return {**groups, **{name: photos.columns[name].astype(str) for name in STORED_COLUMNS if name in photos.columns}}


def photo_set_features(parameter: Parameter, photos: PhotoSet) -> Features:
    """Columns of a config of these photos: groups and clusters come last."""
    groups = {f"{GROUP_PREFIX}{name}": ClassLabel(names=list(group.names)) for name, group in photos.groups.items()}
    columns = {name: groups.get(name, Value("string")) for name in photo_columns(photos)}
    return Features({**processed_features(parameter, photos.labels.names), **columns})


def processed_features(parameter: Parameter, label_names: Sequence[str]) -> Features:
    """Columns of a config of processed photos. Without ``label_names`` there is no column ``label``."""
    return Features(
        {
            "image": Image(),
            "photo_id": Value("string"),
            **({"label": ClassLabel(names=list(label_names))} if label_names else {}),
            parameter.name: ClassLabel(names=list(parameter.classes)),
            **({"scale": Value("float64")} if parameter.has_random_scale else {}),
            "source_sha256": Value("string"),
            "source_quality": Value("int32"),
            "source_subsampling": Value("string"),
            "width": Value("int32"),
            "height": Value("int32"),
        }
    )


def settings_of(described: Mapping[str, Any]) -> ProcessingSettings:
    """The settings in a recipe, from ``ProcessingSettings.described``; the mapping is untrusted.

    Raises:
        UsageError: an unknown parameter or assignment, or definitions that are no canonical text.
    """
    definitions = str(described.get("definitions", ""))
    if definitions and not definitions.startswith("{"):
        raise UsageError(f"definitions {definitions[:50]!r}: not the text of a processing file")
    return ProcessingSettings(
        parameter=str(described["parameter"]),
        assignment=str(described["assignment"]),
        seed=int(described["seed"]),
        assignment_seed=int(described["assignment_seed"]),
        lossless=bool(described.get("lossless", False)),
        definitions=definitions,
    )


def file_name(photo_id: str, parameter: Parameter, code: int) -> str:
    """File name of an image in its cell: the photo's id without folders, and the class.

    >>> file_name("train/dog/03.png", ALL_PARAMETERS["sharpening"], 1)
    'train_dog_03.png.x2.jpg'
    """
    return f"{photo_id.replace('/', '_')}.{parameter.classes[code]}{parameter.made_by[code].suffix}"
