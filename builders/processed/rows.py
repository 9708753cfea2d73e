"""The rows of processed photos: from the bytes of one photo to its classes, labels and files."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from datasets import ClassLabel, Features, Image, Value

from builders.errors import unknown_name
from builders.photos import UNLABELLED, PhotoSet, PhotoSource
from builders.pixels import (
    ALL_PARAMETERS,
    Parameter,
    decode_rgb,
    processed_file,
    random_scale,
    read_jpeg_header,
    request,
)
from builders.processed.assignment import NO_OWN, Assignment, classes_by_hash, classes_of, correlation_of

PNG_LEVEL = 3
"""Of zlib: photos gain a few percent more at 9, at several times the time."""


@dataclass(frozen=True)
class ProcessingSettings:
    """What decides the rows, apart from the photos."""

    parameter: str = "jpeg"
    """One of ``ALL_PARAMETERS``."""
    assignment: Assignment = "uniform"
    seed: int = 0
    """Of the random scale of ``interpolation``; the benchmark's ``--seed``."""
    assignment_seed: int = 0
    """Of what the assignment draws; the benchmark's probe uses 0..9."""
    lossless: bool = False
    """Images are the pixels of the processed files, as PNG: for encoders elsewhere, whose decoders may differ."""

    def __post_init__(self) -> None:
        if self.parameter not in ALL_PARAMETERS:
            raise unknown_name("parameter", self.parameter, ALL_PARAMETERS)
        correlation_of(self.assignment)

    def every(self, split: str) -> bool:
        """Whether each photo of a split is in every class."""
        return self.assignment == "every" or (self.assignment == "study" and split != "train")

    def own_classes(self, label_names: Sequence[str]) -> np.ndarray:
        """int64 [semantic classes], as ``assignment.own_classes``."""
        return classes_by_hash(label_names, ALL_PARAMETERS[self.parameter], self.assignment, self.assignment_seed)

    def classes_of(self, photo_id: str, *, every: bool, own: int = NO_OWN) -> Sequence[int]:
        """Which classes a photo gets, as ``assignment.classes_of``."""
        parameter = ALL_PARAMETERS[self.parameter]
        return classes_of(photo_id, parameter, self.assignment, self.assignment_seed, every=every, own=own)

    def described(self) -> dict[str, Any]:
        """JSON values for a recipe; what was not there before is left out where it is not used.

        >>> ProcessingSettings("jpeg").described()
        {'parameter': 'jpeg', 'assignment': 'uniform', 'seed': 0, 'assignment_seed': 0}
        """
        values = asdict(self)
        return values if self.lossless else {name: value for name, value in values.items() if name != "lossless"}


@dataclass(frozen=True)
class ProcessedRows:
    """The rows of each photo: a picklable function of the photo's position."""

    source: PhotoSource
    rows: np.ndarray
    """int64 [photos], row of each photo in ``source``."""
    ids: tuple[str, ...]
    labels: np.ndarray | None
    """int32 [photos], ``None`` for unlabelled photos."""
    settings: ProcessingSettings
    every: bool
    own: np.ndarray
    """int64 [semantic classes], the processing of each one's own (``classes_by_hash``)."""

    @classmethod
    def of(cls, photos: PhotoSet, split: str, settings: ProcessingSettings) -> ProcessedRows:
        """The rows of one split of a photo set."""
        at = photos.indices(split)
        return cls(
            source=photos.source,
            rows=photos.rows[at],
            ids=tuple(photos.ids[i] for i in at),
            labels=photos.labels.values[at] if photos.labels.names else None,
            settings=settings,
            every=settings.every(split),
            own=settings.own_classes(photos.labels.names),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def name(self, item: int) -> str:
        """Of a photo: its id."""
        return self.ids[item]

    def __call__(self, item: int) -> list[dict[str, Any]]:
        """Rows of photo ``item``: one, or one per class in the order of the classes. Raises ``PhotoError``."""
        data = self.source.read(int(self.rows[item]))
        label = UNLABELLED if self.labels is None else int(self.labels[item])
        own = NO_OWN if label == UNLABELLED else int(self.own[label])
        rows = processed_rows(data, self.ids[item], self.settings, self.every, own)
        if self.labels is not None:
            for row in rows:
                row["label"] = label
        return rows


def processed_rows(
    data: bytes, photo_id: str, settings: ProcessingSettings, every: bool, own: int = NO_OWN
) -> list[dict[str, Any]]:
    """The rows of one photo without its semantic label. The photo is decoded once.

    Args:
        data: the photo's file.
        photo_id: its identity.
        settings: what is done.
        every: whether it is wanted in every class.
        own: the processing of its semantic class's own, where the assignment is correlated.

    Raises:
        PhotoError: the bytes cannot be decoded, or a processing has no result.
    """
    parameter = ALL_PARAMETERS[settings.parameter]
    image = decode_rgb(data)
    header = read_jpeg_header(data)
    source = {
        "source_sha256": hashlib.sha256(data).hexdigest(),
        "source_quality": header.quality if header else None,
        "source_subsampling": header.subsampling if header else None,
    }
    rows: list[dict[str, Any]] = []
    for code in settings.classes_of(photo_id, every=every, own=own):
        encoded = processed_file(image, parameter.made_by[code], photo_id, settings.seed)
        width, height = request(parameter.made_by[code], image.size, photo_id, settings.seed).size
        name = file_name(photo_id, parameter, code)
        if settings.lossless:
            encoded, name = png_of(encoded), f"{name}.png"
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


def png_of(encoded: bytes) -> bytes:
    """The pixels that our decoder makes of a processed file, as PNG.

    >>> import PIL.Image
    >>> from builders.pixels import PROCESSINGS
    >>> jpeg = processed_file(PIL.Image.new("RGB", (9, 5), (200, 30, 90)), PROCESSINGS["jpeg-q75-420"], "a", 0)
    >>> decode_rgb(png_of(jpeg)).tobytes() == decode_rgb(jpeg).tobytes()
    True
    """
    stream = io.BytesIO()
    decode_rgb(encoded).save(stream, "PNG", compress_level=PNG_LEVEL)
    return stream.getvalue()


def processed_features(parameter_name: str, label_names: Sequence[str]) -> Features:
    """Columns of a config of processed photos. Without ``label_names`` there is no column ``label``."""
    parameter = ALL_PARAMETERS[parameter_name]
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
    """The settings that ``asdict`` described in a recipe; the mapping is untrusted.

    Raises:
        UsageError: an unknown parameter or assignment.
    """
    return ProcessingSettings(
        parameter=str(described["parameter"]),
        assignment=str(described["assignment"]),
        seed=int(described["seed"]),
        assignment_seed=int(described["assignment_seed"]),
        lossless=bool(described.get("lossless", False)),
    )


def file_name(photo_id: str, parameter: Parameter, code: int) -> str:
    """Name of an image in its cell: flat, and telling.

    >>> file_name("train/dog/03.png", ALL_PARAMETERS["sharpening"], 1)
    'train_dog_03.png.x2.jpg'
    """
    return f"{photo_id.replace('/', '_')}.{parameter.classes[code]}{parameter.made_by[code].suffix}"
