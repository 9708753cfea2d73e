"""``with_processing``: a loaded image data set under the classes of a parameter, without writing a copy of it.

Fourteen copies of ImageNet take two terabytes. The views have the bytes, labels and ids of the data set that
``build_processed`` writes from the same photos, and the pixels that the benchmark embeds.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import datasets
import numpy as np
from datasets import ClassLabel
from datasets.iterable_dataset import SkipExamplesIterable

from builders.errors import UsageError, unknown_name
from builders.pixels import Parameter
from builders.processed.assignment import UNTIED, Assignment, correlation_of
from builders.processed.rows import ProcessingSettings, processed_rows
from builders.processed.view_files import (
    AllowedFolders,
    ViewImage,
    ViewSet,
    address,
    allowed_folders,
    cell_file,
    share_views,
    view_cell,
)
from builders.sources import split_named

COUNTABLE = frozenset(
    {
        "ExamplesIterable",
        "ArrowExamplesIterable",
        "RebatchedArrowExamplesIterable",
        "SelectColumnsIterable",
        "FormattedExamplesIterable",
    }
)
"""Steps of a stream (``datasets.iterable_dataset``) that change neither the number nor the order of the rows. A ``map``
over single rows changes neither, too."""


class _InOrder(SkipExamplesIterable):
    """All rows as one source, which shuffling, workers and nodes do not divide."""

    @property
    def num_shards(self) -> int:
        return 1

    def shard_data_sources(self, num_shards: int, index: int, contiguous: bool = True) -> _InOrder:
        return self

    def reshard_data_sources(self) -> _InOrder:
        return self


def numbered(stream: Any) -> Any:
    """A stream whose rows have known numbers, also after ``shuffle``, in workers and on nodes.

    Raises:
        UsageError: the stream was shuffled, sliced, filtered or divided, so the numbers of its rows are unknown.
    """
    step = stream._ex_iterable
    while step is not None:
        kind = type(step).__name__
        is_row_map = kind == "MappedExamplesIterable" and not step.batched
        if kind not in COUNTABLE and not is_row_map:
            raise UsageError(
                f"the rows of this stream do not say their number ({kind}): name a column of ids (photo_id=), or "
                "process first and shuffle, skip, take or filter then"
            )
        step = getattr(step, "ex_iterable", None)
    if stream._distributed is not None:
        raise UsageError(
            "the rows of a stream that is divided between nodes do not say their number: name a column of ids "
            "(photo_id=), or process first"
        )
    return datasets.IterableDataset(
        ex_iterable=_InOrder(stream._ex_iterable, 0),
        info=stream._info.copy(),
        split=stream._split,
        formatting=stream._formatting,
        token_per_repo_id=stream._token_per_repo_id,
    )


PhotoIds = str | Sequence[str] | None
"""A column of ids, the ids themselves, or the default ids."""


def with_processing(
    dataset: Any,
    parameter: str,
    *,
    processings: str = "",
    assignment: Assignment = "uniform",
    seed: int = 0,
    assignment_seed: int = 0,
    image: str = "image",
    label: str = "label",
    photo_id: PhotoIds = None,
    split: str | None = None,
    decode: bool = True,
    folder: str | os.PathLike[str] | None = None,
) -> Any:
    """Wrap a loaded data set: photos are processed when they are read, and a new column has the class of each.

    Ids of photos determine classes and random scales, so they must be the ids of the build to compare with. By default
    they are the ids of ``hub:REPO``: ``<split>/<photo_id>`` from a column of that name, or ``<split>/<row number>``.

    Args:
        dataset: a ``datasets.Dataset``, ``IterableDataset``, or a dictionary of them by split.
        parameter: one of ``builders.pixels.parameters.ALL_PARAMETERS``; also the name of the new column.
        processings: a TOML file that defines the parameter, or a preset such as ``web`` (``--processings``).
        assignment: ``uniform`` gives each photo one class and keeps the length, ``every`` gives each photo in every
            class, classes of one photo side by side; ``study`` is uniform for train and every for other splits;
            ``correlated:P`` and ``correlated-classes:P`` tie the class to the semantic class, as a build does.
        seed: of the random scale of ``interpolation``.
        assignment_seed: of the random draw of the assignment.
        image: name of the image column.
        label: name of the column of semantic classes, a ``ClassLabel``; read if the assignment is correlated.
        photo_id: a column of ids, or the ids themselves in the order of the rows (used unchanged), or the default.
        split: name of the split, if the data set does not have it.
        decode: ``image`` as a PIL image; ``False`` gives ``{"bytes", "path"}``, as a build stores them, unless another
            format or transform replaces the one that does this.
        folder: folder of photos that rows name by a path instead of containing their bytes (``imagefolder``, or local
            paths). Without it, only files that ``load_dataset`` downloaded, and files in the folders of the data set's
            Arrow files, are read: untrusted rows must not choose which files of this machine are read.

    Returns:
        A data set of the same kind with the columns of the old one, ``photo_id``, ``<parameter>``, and ``scale`` for
        ``interpolation``. Its images are files that are made when they are opened, so ``with_transform``,
        ``with_format``, ``map`` and all other functions of the library read processed photos. To save or push them,
        write them out first (``decode=False``, ``.map(dict).with_format(None)``). Reading a row raises ``PhotoError``
        if its photo cannot be decoded, or is a file outside the allowed folders.

    Raises:
        UsageError: an unknown name, a missing image column, a column that exists already, or unknown ids.
    """
    settings = ProcessingSettings.of(parameter, assignment, seed, assignment_seed, processings=processings)
    options: dict[str, Any] = {
        "image": image,
        "label": label,
        "photo_id": photo_id,
        "decode": decode,
        "folder": folder,
    }
    if isinstance(dataset, Mapping):
        only_test = "val" not in {split_named(str(name)) for name in dataset}  # as in hub:REPO
        split_of = {name: "val" if only_test and str(name) == "test" else str(name) for name in dataset}
        wrapped = {n: _wrap(part, settings, split or split_of[n], **options) for n, part in dataset.items()}
        return cast(Any, type(dataset))(wrapped)
    return _wrap(dataset, settings, split, **options)


_ROW = "__row__"


def _wrap(
    dataset: Any,
    settings: ProcessingSettings,
    split: str | None,
    *,
    image: str,
    label: str,
    photo_id: PhotoIds,
    decode: bool,
    folder: str | os.PathLike[str] | None,
) -> Any:
    if dataset.features is None:
        raise UsageError(
            "this stream does not know its columns (a map forgets them): say map(..., features=...) or cast it"
        )
    _check_columns(dataset, settings, image)
    tied = _tied_classes(dataset, settings, label)
    files = allowed_folders(dataset, folder)
    parameter = settings.question
    name = str(split or dataset.split or "")
    every = settings.every(split_named(name))
    if isinstance(dataset, datasets.IterableDataset):
        if photo_id is not None and not isinstance(photo_id, str):
            raise UsageError("photo_id: a data set that is streamed takes the name of a column")
        column = _id_column(dataset, photo_id)
        stream = _Stream(settings, every, tied, image, _prefix(name), column, files)
        undecoded = dataset.cast_column(image, datasets.Image(decode=False))
        if column is None:
            undecoded = numbered(undecoded)
        processed = undecoded.map(stream, batched=True, batch_size=16, with_indices=True)
        return processed.cast(_stream_features(dataset.features, parameter, image, decode))

    ids = _ids(dataset, photo_id, name)
    labels = dataset.with_format(None)[tied.label] if tied.label else itertools.repeat(None, len(ids))
    codes = [
        list(settings.classes_of(i, every=every, tied_class=tied.of(row_label)))
        for i, row_label in zip(ids, labels, strict=True)
    ]
    rows = np.repeat(np.arange(len(dataset)), [len(c) for c in codes])
    light = dataset.with_format(None).remove_columns([c for c in (image, "photo_id") if c in dataset.column_names])
    if not light.column_names:
        light = datasets.Dataset.from_dict({_ROW: rows})
    else:
        if len(rows) != len(dataset):
            light = light.select(rows)
        if light._indices is not None:
            light = light.flatten_indices(keep_in_memory=True)  # light columns only, images are not copied
    light = light.add_column("photo_id", [ids[row] for row in rows])
    classes = ClassLabel(names=list(parameter.classes))
    light = light.add_column(parameter.name, [code for c in codes for code in c], feature=classes)
    if parameter.has_random_scale:
        from builders.pixels import random_scale

        light = light.add_column("scale", [random_scale(ids[row], settings.seed) for row in rows])
    photos = dataset.with_format(None).select_columns([image]).cast_column(image, datasets.Image(decode=False))
    token = share_views(ViewSet(photos, image, tuple(ids), settings, files))
    paths = [address(token, parameter, row, code) for row, of_row in enumerate(codes) for code in of_row]
    light = light.remove_columns([c for c in (_ROW,) if c in light.column_names])
    views = datasets.concatenate_datasets([light, _image_column(image, paths, decode)], axis=1)
    views._info.features[image] = ViewImage(decode=decode)
    return views if decode else views.with_transform(_Cells(image))


def _image_column(image: str, paths: list[str], decode: bool) -> Any:
    """A data set with one image column, whose images are the files at these addresses."""
    import pyarrow as pa

    feature = datasets.Image(decode=decode)
    path = pa.array(paths, type=pa.string())
    cells = pa.StructArray.from_arrays([pa.nulls(len(paths), pa.binary()), path], ["bytes", "path"])
    info = datasets.DatasetInfo(features=datasets.Features({image: feature}))
    return datasets.Dataset(datasets.table.InMemoryTable(pa.table({image: cells})), info=info)


@dataclass(frozen=True)
class _Cells:
    """Replaces the addresses of undecoded views by their bytes."""

    image: str

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        cells = {self.image: [view_cell(c["path"]) for c in batch[self.image]]} if self.image in batch else {}
        return {**batch, **cells}


def _stream_features(features: datasets.Features, parameter: Parameter, image: str, decode: bool) -> datasets.Features:
    others = {name: feature for name, feature in features.items() if name != "photo_id"}
    added: dict[str, Any] = {
        "photo_id": datasets.Value("string"),
        parameter.name: ClassLabel(names=list(parameter.classes)),
        **({"scale": datasets.Value("float64")} if parameter.has_random_scale else {}),
    }
    return datasets.Features({**others, image: datasets.Image(decode=decode), **added})


@dataclass(frozen=True)
class _Stream:
    """Makes the views of a batch of rows, for streamed data sets."""

    settings: ProcessingSettings
    every: bool
    tied: _TiedClasses
    image: str
    prefix: str
    id_column: str | None
    files: AllowedFolders

    def __call__(self, batch: dict[str, list[Any]], indices: list[int]) -> dict[str, list[Any]]:
        parameter = self.settings.question
        names = [name for name in batch if name != "photo_id"]
        columns = (*names, "photo_id", parameter.name, *(("scale",) if parameter.has_random_scale else ()))
        out: dict[str, list[Any]] = {name: [] for name in columns}
        if any(not isinstance(cell, Mapping) for cell in batch[self.image]):
            raise UsageError(
                f"this stream decodes its images before they can be processed: cast_column({self.image!r}, "
                "Image(decode=False)) before the map"
            )
        for at, index in enumerate(indices):
            photo_id = f"{self.prefix}{batch[self.id_column][at] if self.id_column else index}"
            tied_class = self.tied.of(batch[self.tied.label][at] if self.tied.label else None)
            for row in processed_rows(
                cell_file(batch[self.image][at], self.files), photo_id, self.settings, self.every, tied_class
            ):
                for name in names:
                    out[name].append(batch[name][at] if name != self.image else row["image"])
                for name in columns[len(names) :]:
                    out[name].append(row[name])
        return out


@dataclass(frozen=True)
class _TiedClasses:
    """The processing tied to each semantic class, for correlated assignments."""

    label: str | None
    """The column of semantic classes; None if the assignment is not correlated."""
    codes: tuple[int, ...]

    def of(self, label: int | None) -> int:
        return UNTIED if label is None or not 0 <= label < len(self.codes) else self.codes[label]


def _tied_classes(dataset: Any, settings: ProcessingSettings, label: str) -> _TiedClasses:
    if correlation_of(settings.assignment) is None:
        return _TiedClasses(None, ())
    feature = (dataset.features or {}).get(label)
    if not isinstance(feature, ClassLabel):
        raise UsageError(
            f"assignment {settings.assignment}: {label!r} is no column of semantic classes (ClassLabel): name it with "
            "label=, or cast_column it first"
        )
    return _TiedClasses(label, tuple(settings.tied_classes(feature.names).tolist()))


def _check_columns(dataset: Any, settings: ProcessingSettings, image: str) -> None:
    columns = dataset.column_names or []
    if image not in columns:
        raise unknown_name("image column", image, columns)
    for name in (settings.parameter, *(("scale",) if settings.question.has_random_scale else ())):
        if name in columns:
            raise UsageError(f"the data set has a column {name!r} already: rename it first (rename_column)")


def _ids(dataset: Any, photo_id: PhotoIds, split: str) -> list[str]:
    if photo_id is not None and not isinstance(photo_id, str):
        ids = [str(i) for i in photo_id]
        if len(ids) != len(dataset):
            raise UsageError(f"photo_id: {len(ids)} ids for {len(dataset)} rows")
    else:
        column = _id_column(dataset, photo_id)
        rows = dataset.with_format(None)[column] if column else _original_rows(dataset, split)
        ids = [f"{_prefix(split)}{row}" for row in rows]
    if len(set(ids)) != len(ids):
        raise UsageError("photo_id: ids of photos must be unique")
    return ids


def _id_column(dataset: Any, photo_id: str | None) -> str | None:
    columns = dataset.column_names or []
    if photo_id is not None and photo_id not in columns:
        raise unknown_name("photo_id column", photo_id, columns)
    return photo_id or ("photo_id" if "photo_id" in columns else None)


def _original_rows(dataset: Any, split: str) -> Sequence[int]:
    """Numbers of the rows in the loaded split, also after shuffle, select and filter."""
    if "[" in split or "+" in split:
        raise UsageError(f"rows of {split!r} do not say their number: give photo_id, or load the whole split")
    indices = dataset._indices
    return indices.column(0).to_pylist() if indices is not None else range(len(dataset))


def _prefix(split: str) -> str:
    return f"{split_named(split)}/"
