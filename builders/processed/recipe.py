"""Recipes: a build without its pixels, and an identical build from a recipe and a copy of the photos.

The rows of a recipe are the rows of its build with the SHA-256 of each image instead of the image. Its ``build.json``
has the settings, the codec canary and the hash of every file of the build.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from datasets import Features, Value

from builders.dataset import (
    Build,
    Card,
    PixelRights,
    ShardJob,
    finish_folder,
    prepare_folder,
    read_build,
    source_datasets,
    write_shards,
)
from builders.errors import DataError
from builders.photos import HUB_SPLITS, NEAR_DUPLICATES, PhotoSet
from builders.pixels import codec_canary, codec_versions
from builders.processed.build import build_processed
from builders.processed.rows import settings_of
from builders.sources import DatasetRepo
from builders.splits import EVIDENCE, Guarded
from builders.untrusted import describe_error, read_table, table_schema

RECIPE_FOLDER = ".recipe"
"""Folder inside a build where ``publish`` writes its recipe; it is neither loaded nor uploaded with the build."""

SHARDS_PER_RECIPE_SHARD = 50
"""Shards of a build that make one shard of its recipe: a row without its image has about 200 bytes."""


@dataclass(frozen=True)
class RecipeRows:
    """Makes the rows of a recipe, by the shard of the build."""

    folder: Path
    """Of the build."""
    files: tuple[str, ...]

    def __call__(self, item: int) -> Iterator[dict[str, Any]]:
        file = pq.ParquetFile(self.folder / self.files[item])
        for batch in file.iter_batches(batch_size=100):
            for row in batch.to_pylist():
                image = row.pop("image")
                yield {**row, "image_sha256": hashlib.sha256(image["bytes"]).hexdigest()}


def write_recipe(folder: Path, output: Path) -> Build:
    """Write the recipe of a build of processed photos into another folder.

    Raises:
        DataError: no finished build of processed photos is there.
    """
    build = read_build(folder)
    if build.kind != "processed":
        raise DataError(f"{folder}: a recipe is made of processed photos, this is a build of kind {build.kind!r}")
    prepare_folder(output, build.configs, fresh=True)
    features: dict[str, Features] = {}
    splits = []
    for split in build.splits:
        files = tuple(shard.file for shard in split.shards)
        if split.config not in features:
            schema = Features.from_arrow_schema(pq.read_schema(folder / files[0]))
            columns = {name: feature for name, feature in schema.items() if name != "image"}
            features[split.config] = Features({**columns, "image_sha256": Value("string")})
        job = ShardJob(
            output=output,
            config=split.config,
            split=split.split,
            features=features[split.config],
            ids=files,
            make_rows=RecipeRows(folder, files),
            recipe={"files": [shard.sha256 for shard in split.shards]},
            items_per_shard=SHARDS_PER_RECIPE_SHARD,
        )
        splits.append(write_shards(job, progress=False))
    source = str(build.recipe["source"])
    return finish_folder(
        output,
        kind="recipe",
        splits=splits,
        features=features,
        default=build.default,
        card=Card(
            template="recipe.md.jinja",
            pretty_name=f"{source.split(':', 1)[-1]}: processing traces (recipe, no pixels)",
            license="cc-by-4.0",
            tags=("image-forensics", "jpeg", "processing-traces", "recipe"),
            source_datasets=source_datasets(source),
            context={"original": build, "source": source},
        ),
        recipe={**build.recipe, "codec": dict(build.codec), "build": [dataclasses.asdict(s) for s in build.splits]},
        pixels=PixelRights(True),
    )


def rebuild(recipe: str, photos: PhotoSet, output: Path, *, workers: int = 1, any_codec: bool = False) -> Build:
    """Build the data set of a recipe from a copy of its photos, and verify every image.

    Args:
        recipe: a recipe folder, or ``namespace/name[@revision]`` on the Hub.
        photos: the source, opened as for the original build.
        output: folder of the data set.
        workers: processes.
        any_codec: build even if the installed codecs make other pixels; hashes are then not compared.

    Raises:
        DataError: it is not a recipe, photos are missing, the codecs differ, or an image is different.
    """
    folder = DatasetRepo.parse(recipe).download()
    described = read_build(folder)
    if described.kind != "recipe":
        raise DataError(f"{recipe}: not a recipe but a build of kind {described.kind!r}")
    with _recipe_errors(recipe):
        made_with = {name: described.recipe["codec"][name] for name in ("canary", "pillow", "libjpeg_turbo")}
        settings = [settings_of(s) for s in described.recipe["settings"]]
        sizes = {str(k): int(v) for k, v in described.recipe["items_per_shard"].items()}
        first = settings[0]
        if any(size < 1 for size in sizes.values()):
            raise ValueError("a shard of no items")
    if made_with["canary"] != codec_canary() and not any_codec:
        installed = codec_versions()
        raise DataError(
            f"{recipe}: made with Pillow {made_with['pillow']} and libjpeg-turbo {made_with['libjpeg_turbo']}, which "
            f"give other pixels than Pillow {installed['pillow']} and libjpeg-turbo {installed['libjpeg_turbo']} here: "
            "install those, or say --any-codec for a build that is not the same"
        )
    with _recipe_errors(recipe):
        source = _photos_of(folder, described, photos)
    build = build_processed(
        source.photos,
        output,
        parameters=[s.parameter for s in settings],
        processings=next((s.definitions for s in settings if s.definitions), ""),
        assignment=first.assignment,
        seed=first.seed,
        assignment_seed=first.assignment_seed,
        lossless=first.lossless,
        sizes=sizes,
        workers=workers,
        duplicates=source,
    )
    if not any_codec:
        with _recipe_errors(recipe):
            _verify(folder, described, output, build)
    return build


@contextlib.contextmanager
def _recipe_errors(recipe: str) -> Iterator[None]:
    """Turn errors of an untrusted recipe into a ``DataError``."""
    try:
        yield
    except (AttributeError, LookupError, StopIteration, TypeError, ValueError) as error:
        raise DataError(f"{recipe}: not a recipe of camtrace ({describe_error(error)})") from None


def _photos_of(folder: Path, described: Build, photos: PhotoSet) -> Guarded:
    """The photos of the original build, including those that it could not use, in the splits of the recipe.

    The original build may have moved equal photos to one split. They are not looked for again.
    """
    splits, near = _stated_photos(folder, described)
    chosen = photos.select(np.flatnonzero([photo_id in splits for photo_id in photos.ids]))
    if len(chosen) < len(splits):
        example = min(set(splits) - set(chosen.ids))
        raise DataError(
            f"{photos.name}: {len(splits) - len(chosen)} of the recipe's {len(splits)} photos are not there "
            f"(for example {example}); is this the same source, in the same layout?"
        )
    codes = np.array([HUB_SPLITS.index(splits[photo_id]) for photo_id in chosen.ids], dtype=np.int8)
    same = {NEAR_DUPLICATES: np.array([near.get(i, "") for i in chosen.ids], dtype=str)} if near else {}
    note = described.recipe["source_evidence"].get(EVIDENCE)
    evidence = {**chosen.evidence, **({EVIDENCE: str(note)} if note else {})}
    chosen = dataclasses.replace(chosen, splits=codes, columns={**chosen.columns, **same}, evidence=evidence)
    if chosen.ids_hash() != described.recipe["ids_hash"]:
        raise DataError(f"{photos.name}: the photos of the recipe are there, but with other labels")
    stated = described.recipe.get("duplicates", {})
    return Guarded(chosen, str(stated.get("policy", "ignore")), int(stated.get("groups_in_several_splits", 0)))


def _stated_photos(folder: Path, described: Build) -> tuple[dict[str, str], dict[str, str]]:
    """The split of each photo of a recipe, by its id; the group of those that have near-duplicates."""
    splits: dict[str, str] = {}
    near: dict[str, str] = {}
    for split in described.recipe["build"]:
        splits |= {str(f["id"]): str(split["split"]) for shard in split["shards"] for f in shard["failures"]}
    for stated in described.splits:
        for shard in stated.shards:
            path = folder / shard.file
            names = [name for name in ("photo_id", NEAR_DUPLICATES) if name in table_schema(path).names]
            for row in read_table(path, names).to_pylist():
                splits[row["photo_id"]] = stated.split
                if row.get(NEAR_DUPLICATES):
                    near[row["photo_id"]] = row[NEAR_DUPLICATES]
    return splits, near


def _verify(folder: Path, described: Build, output: Path, build: Build) -> None:
    """Compare files, and rows where files differ: another version of pyarrow may write the same rows differently."""
    original = {s["file"]: s["sha256"] for split in described.recipe["build"] for s in split["shards"]}
    for split in build.splits:
        if all(original.get(shard.file) == shard.sha256 for shard in split.shards):
            continue
        parts = next(s for s in described.splits if (s.config, s.split) == (split.config, split.split))
        expected = [row for shard in parts.shards for row in read_table(folder / shard.file).to_pylist()]
        rows = RecipeRows(output, tuple(shard.file for shard in split.shards))
        actual = [row for item in range(len(rows.files)) for row in rows(item)]
        _compare(expected, actual, f"{split.config}/{split.split}")


def _compare(expected: list[Mapping[str, Any]], actual: list[dict[str, Any]], where: str) -> None:
    if len(expected) != len(actual):
        raise DataError(f"{where}: {len(actual)} rows, the recipe has {len(expected)}; see failures.jsonl")
    for row, actual_row in zip(expected, actual, strict=True):
        if differing := sorted(set(row) ^ set(actual_row)):
            raise DataError(
                f"{where}: the columns {', '.join(differing)} are not in both; give --data the group= and cluster= of "
                "the original build"
            )
        if row != actual_row:
            is_source = row["source_sha256"] != actual_row["source_sha256"]
            what = "the source file differs" if is_source else "the image differs"
            raise DataError(f"{where}: {row['photo_id']} is not as in the recipe: {what}")
