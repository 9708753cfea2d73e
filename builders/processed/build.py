"""Builds of processed photos: each photo in one or every class of a processing parameter, with exact labels.

``build_processed`` writes a folder of Parquet shards that ``load_dataset`` reads, and resumes. ``ProcessedPhotos`` is a
``datasets`` builder for use from Python. Both make the same rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from datasets import Features

from builders.dataset import (
    Build,
    BuildOptions,
    Card,
    RowsBuilder,
    ShardJob,
    SplitShards,
    build_data_set,
    finish_folder,
    item_ranges,
    pixel_rights,
    source_datasets,
)
from builders.photos import HUB_SPLITS, SPLITS, PhotoSet
from builders.pixels import ALL_PARAMETERS, Parameter, codec_canary
from builders.processed.assignment import Assignment, correlation_of, expected_counts
from builders.processed.rows import ProcessedRows, ProcessingSettings, photo_columns, photo_set_features
from builders.splits import Guarded, cramers_v, with_duplicates_on_one_side
from builders.untrusted import read_table


@dataclass(frozen=True)
class Association:
    """Association (Cramer's V) of semantic class and processing in one split."""

    config: str
    split: str
    rows: int
    """Rows with a semantic class."""
    measured: float
    """Bias-corrected (Bergsma 2013), 0 to 1."""
    expected: float
    """V of the table that the settings give on average."""


def associations(
    folder: Path, splits: Sequence[SplitShards], settings: ProcessingSettings, label_names: Sequence[str]
) -> list[Association]:
    """The association in each split of a config; empty if the assignment is not correlated.

    Args:
        folder: of the data set.
        splits: written splits of all configs.
        settings: of the config.
        label_names: names of the semantic classes.

    Raises:
        DataError: a file cannot be read.
    """
    if correlation_of(settings.assignment) is None:
        return []
    tied = settings.tied_classes(label_names)
    measured = []
    for split in (s for s in splits if s.config == settings.parameter):
        counts = joint_counts(folder, split, settings.question, len(label_names))
        if counts.any():
            expected = expected_counts(counts.sum(axis=1), tied, counts.shape[1], settings.assignment)
            measured.append(
                Association(
                    split.config,
                    split.split,
                    int(counts.sum()),
                    cramers_v(counts),
                    cramers_v(expected, corrected=False),
                )
            )
    return measured


def joint_counts(folder: Path, split: SplitShards, parameter: Parameter, labels: int) -> np.ndarray:
    """Rows by semantic class and processing: int64 [semantic classes, processings], without unlabelled rows."""
    classes = len(parameter.classes)
    counts = np.zeros(labels * classes, dtype=np.int64)
    for shard in split.shards:
        table = read_table(folder / shard.file, ["label", parameter.name])
        labels_here, codes = (table.column(name).to_numpy().astype(np.int64) for name in ("label", parameter.name))
        labelled = labels_here >= 0
        counts += np.bincount(labels_here[labelled] * classes + codes[labelled], minlength=len(counts))
    return counts.reshape(labels, classes)


PHOTOS_PER_RANGE = 256
"""Photos of one ``gen_kwargs`` shard of ``ProcessedPhotos``, the unit of work of ``num_proc``."""


@dataclass
class ProcessedPhotosConfig(datasets.BuilderConfig):
    """The photos, and how they are processed; ``name`` is the parameter."""

    source: str | PhotoSet = ""
    """A data specification (``folder:PATH``, ``imagenet:PATH``, ``hub:REPO``, ...) or the photos themselves."""
    assignment: Assignment = "uniform"
    """As in ``build_processed``."""
    seed: int = 0
    """Seed of the random scale of ``interpolation``."""
    assignment_seed: int = 0
    """Seed of the assignment."""
    split_seed: int = 0
    """Seed of the train/val split, if the source has none."""
    processings: str = ""
    """A processing file or preset that defines the parameter; empty for a built-in one."""
    duplicates: str | None = None
    """As in ``build_processed``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._photos: PhotoSet | None = None

    @property
    def settings(self) -> ProcessingSettings:
        """Settings of the rows."""
        numbers = (self.assignment, self.seed, self.assignment_seed)
        return ProcessingSettings.of(self.name, *numbers, processings=self.processings)

    def photos(self) -> PhotoSet:
        """The photos of ``source``, with duplicates on one side of its splits as ``duplicates`` says.

        Raises:
            UsageError, DataError: those of ``open_photos`` and of ``with_duplicates_on_one_side``.
        """
        from builders.data_specs import open_photos

        if self._photos is None:
            photos = self.source if isinstance(self.source, PhotoSet) else open_photos(self.source, self.split_seed)
            # the next builder of these photos reads only those whose file changed
            guarded = with_duplicates_on_one_side(photos, self.duplicates, cached_for=Path(photos.name))
            self._photos = guarded.photos
        return self._photos

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: Features | None = None) -> str:
        """Name of the cache folder. It depends on the photos, not on the spelling of ``source``."""
        photos, canary = self.photos(), codec_canary(self.settings.question.made_by)
        contents: list[Any] = [self.settings.described(), photos.ids_hash(), canary]
        if columns := photo_columns(photos):
            contents += [_columns_hash(columns), {name: group.names for name, group in sorted(photos.groups.items())}]
        return f"{self.name}-{hashlib.sha256(repr(contents).encode()).hexdigest()[:16]}"


class ProcessedPhotos(RowsBuilder):
    """Processed photos as a ``datasets`` builder; the name of the config is the parameter.

    Photos that cannot be read are left out with a warning. For a build that resumes, or a folder to publish, use
    ``build_processed``.

        builder = ProcessedPhotos(config_name="jpeg", source="folder:my_photos", assignment="every")
        builder.download_and_prepare(num_proc=2)
        train = builder.as_dataset(split="train")
        stream = builder.as_streaming_dataset(split="train")
    """

    BUILDER_CONFIG_CLASS = ProcessedPhotosConfig
    BUILDER_CONFIGS = [ProcessedPhotosConfig(name=name) for name in ALL_PARAMETERS]  # noqa: RUF012
    DEFAULT_CONFIG_NAME = "jpeg"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("processings") and "config_name" in kwargs:
            kwargs["name"] = kwargs.pop("config_name")  # datasets takes a config_name only from BUILDER_CONFIGS
        super().__init__(*args, **{"dataset_name": "processed_photos", **kwargs})

    def _info(self) -> datasets.DatasetInfo:
        self._photos = self.config.photos()
        return datasets.DatasetInfo(
            description=f"Photos of {self._photos.name} under the classes of {self.config.name}.",
            features=photo_set_features(self.config.settings.question, self._photos),
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        generators = []
        for split in SPLITS:
            rows = ProcessedRows.of(self._photos, split, self.config.settings)
            ranges = item_ranges(len(rows), PHOTOS_PER_RANGE)
            if ranges:
                arguments = {"ranges": ranges, "rows": rows}
                generators.append(datasets.SplitGenerator(name=HUB_SPLITS[SPLITS.index(split)], gen_kwargs=arguments))
        return generators


def build_processed(
    photos: PhotoSet,
    output: Path,
    *,
    parameters: Sequence[str] = ("jpeg",),
    processings: str = "",
    assignment: Assignment = "uniform",
    seed: int = 0,
    assignment_seed: int = 0,
    lossless: bool = False,
    workers: int = 1,
    license: str = "unknown",
    fresh: bool = False,
    ignore_space: bool = False,
    sizes: Mapping[str, int] | None = None,
    duplicates: str | Guarded | None = None,
    update: bool = False,
    progress: bool = True,
) -> Build:
    """Write a data set folder with one config per parameter; a build that was killed goes on where it was.

    Args:
        photos: the photos to process.
        output: folder of the data set.
        parameters: names in ``ALL_PARAMETERS``; the first is the default config.
        processings: a TOML file that defines further parameters, or a preset such as ``web``.
        assignment: the classes of each photo: ``uniform``, ``every``, ``study``, ``correlated:P`` or
            ``correlated-classes:P`` (``builders.processed.assignment.Assignment``).
        seed: of the random scale of ``interpolation``.
        assignment_seed: of the random draw of the assignment.
        lossless: store decoded pixels as PNG instead of the processed files.
        workers: processes.
        license: of the source photos, an identifier of the Hub's list.
        fresh: replace a build of other settings in ``output``.
        sizes: photos per shard by ``config/split``, from another build; measured on a sample by default.
        duplicates: what happens to equal and nearly equal photos of different splits, a
            ``builders.splits.DuplicatePolicy``; by default they are moved to one split where the splits were drawn by
            seed, and kept and counted where the source gives them. Or what the guard found already.
        ignore_space: start although the estimate says that the disk is too small.
        update: replace the build in ``output``, but copy its rows of photos whose file and settings are the same. The
            files are those of a build into an empty folder.
        progress: show bars, if stderr is a terminal, and an estimate.

    Raises:
        UsageError: an unknown name, or ``output`` holds another build.
        DataError: not enough space, or no photo could be processed.
    """
    fields = (assignment, seed, assignment_seed, lossless)
    settings = [ProcessingSettings.of(p, *fields, processings=processings) for p in parameters]
    options = BuildOptions(output, workers, fresh, ignore_space, progress, update)
    guarded = duplicates
    if not isinstance(guarded, Guarded):
        guarded = with_duplicates_on_one_side(photos, guarded, workers=workers, cached_for=output)
    return build_data_set(
        processed_jobs(guarded.photos, output, settings, guarded.digests),
        options,
        partial(_finish, guarded, output, settings, license),
        name=photos.name,
        item="photo could be processed",
        sizes=sizes,
    )


def processed_jobs(
    photos: PhotoSet, output: Path, settings: Sequence[ProcessingSettings], digests: Sequence[str] | None = None
) -> list[ShardJob]:
    """The splits of each config that ``build_processed`` writes, not yet cut into shards.

    Args:
        photos: the photos to process.
        output: folder of the data set.
        settings: one for each config.
        digests: SHA-256 of the file of each photo, if known.
    """
    photos.require_pictures("a build")
    features = {s.parameter: photo_set_features(s.question, photos) for s in settings}
    return [
        _processed_job(photos, split, s, features[s.parameter], output, digests)
        for s in settings
        for split in SPLITS
        if len(photos.indices(split))
    ]


def _processed_job(
    photos: PhotoSet,
    split: str,
    settings: ProcessingSettings,
    features: Features,
    output: Path,
    digests: Sequence[str] | None = None,
) -> ShardJob:
    """The job of one split under one parameter."""
    rows = ProcessedRows.of(photos, split, settings, digests)
    parameter = settings.question
    described = {**settings.described(), "codec_canary": codec_canary(parameter.made_by)}
    return ShardJob(
        output=output,
        config=settings.parameter,
        split=HUB_SPLITS[SPLITS.index(split)],
        features=features,
        ids=rows.ids,
        make_rows=rows,
        recipe={
            **described,
            "labels": hashlib.sha256(b"" if rows.labels is None else rows.labels.astype("<i4").tobytes()).hexdigest(),
            **({"columns": _columns_hash(rows.columns)} if rows.columns else {}),
        },
        # which classes a photo has, and its label, are compared row by row
        rows_recipe={
            **{name: value for name, value in described.items() if name not in ("assignment", "assignment_seed")},
            "classes": parameter.classes,
            "processings": parameter.processings,
        },
    )


def _columns_hash(columns: Mapping[str, np.ndarray]) -> str:
    values = {name: column.tolist() for name, column in columns.items()}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _finish(
    guarded: Guarded,
    output: Path,
    settings: Sequence[ProcessingSettings],
    license: str,
    splits: Sequence[SplitShards],
    sizes: Mapping[str, int],
) -> Build:
    photos = guarded.photos
    source = photos.name.split(":", 1)[-1]
    rights = pixel_rights(photos)
    return finish_folder(
        output,
        kind="processed",
        splits=splits,
        features={s.parameter: photo_set_features(s.question, photos) for s in settings},
        default=settings[0].parameter,
        card=Card(
            template="processed_photos.md.jinja",
            pretty_name=f"{source}: processing traces",
            license=license if rights.allowed else "other",
            tags=("image-forensics", "jpeg", "processing-traces", "robustness"),
            source_datasets=source_datasets(photos.name),
            context={
                "settings": settings,
                "parameters": {s.parameter: s.question for s in settings},
                "photos": photos,
                "associations": [a for s in settings for a in associations(output, splits, s, photos.labels.names)],
                "formats": sorted({made.file_format for s in settings for made in s.question.made_by}),
            },
        ),
        recipe={
            "source": photos.name,
            "source_evidence": dict(photos.evidence),
            "ids_hash": photos.ids_hash(),
            "photos": {split: len(photos.indices(split)) for split in SPLITS},
            "settings": [s.described() for s in settings],
            "items_per_shard": dict(sizes),
            "duplicates": {"policy": guarded.policy, "groups_in_several_splits": guarded.left},
        },
        pixels=rights,
    )
