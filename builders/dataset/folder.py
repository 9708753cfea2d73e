"""The folder of a data set: preparation before the first shard, and the files of the last step of a build.

``finish_folder`` runs after all shards are written. It writes ``failures.jsonl``, ``build.json`` (how the set was made,
the hash of every file, whether its pixels may be published) and finally ``README.md``: a folder with a README is
complete.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from datasets import ClassLabel, Features

from builders.dataset.card import Card, readme
from builders.dataset.croissant import CROISSANT_FILE, croissant_text
from builders.dataset.manifest import BUILD_FILE, README_FILE, Build, PixelRights, build_text
from builders.dataset.shards import PREVIOUS_FOLDER, STATE_FOLDER, cannot_write
from builders.dataset.shared_shards import SharedShards
from builders.dataset.write import FAILURES_FILE, SplitShards, write_failures
from builders.errors import UsageError, disk_error
from builders.files import write_text_atomically
from builders.pixels import codec_canary, codec_versions
from builders.untrusted import files_matching, list_folder, readable

MAX_COUNTED_CLASSES = 40
"""Most classes of a column that the card lists; of a larger column it gives the smallest, median and largest count."""


@dataclass(frozen=True)
class ClassCounts:
    """Rows per class of one column, counted in the files."""

    config: str
    split: str
    column: str
    names: tuple[str, ...]
    counts: tuple[int, ...]


def prepare_folder(output: Path, configs: Iterable[str], *, fresh: bool = False) -> None:
    """Refuse a folder with other files, or with a build of other configs, before the first shard is written.

    Args:
        output: folder of the build.
        configs: every config that this build writes.
        fresh: remove the build in the folder. Only files that a build wrote are removed.

    Raises:
        UsageError: the folder is not empty and contains no build, or a build of configs that are not in ``configs``.
    """
    state = output / STATE_FOLDER
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; --output names a folder")
    if output.exists() and not state.exists() and not list_folder(output).is_empty:
        raise UsageError(f"{output}: holds files that no build wrote; choose an empty or a new folder")
    if fresh:
        _remove_build(output)
    built = list_folder(state, may_be_absent=True).folders
    others = {config for config in built if not list_folder(state / config).is_empty}
    others -= {*configs, PREVIOUS_FOLDER}
    if others:
        raise UsageError(
            f"{output} holds a build of {', '.join(sorted(others))} too: name all configs of a folder together, "
            "choose another --output, or say --fresh to replace it"
        )


def claim_folder(output: Path) -> None:
    """Mark a folder that ``prepare_folder`` accepted as a build, before several ranks begin to write to it.

    Raises:
        DiskError: the folder cannot be created.
    """
    try:
        (output / STATE_FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, output) from None


def finish_folder(
    output: Path,
    *,
    kind: str,
    splits: Sequence[SplitShards],
    features: Mapping[str, Features],
    default: str,
    card: Card,
    recipe: Mapping[str, Any],
    pixels: PixelRights,
    shared: SharedShards | None = None,
    counted: Mapping[str, Sequence[str]] | None = None,
) -> Build:
    """Write ``failures.jsonl``, ``build.json``, ``croissant.json`` and ``README.md``, in this order.

    These files contain neither the machine nor the time: two builds of one recipe are equal byte by byte.

    Args:
        output: folder with all shards of ``splits``.
        kind: the builder, see ``Build.kind``.
        splits: the results of ``write_shards``, in the order of the card.
        features: columns of each config.
        default: config that ``load_dataset`` uses if none is named.
        card: template, licence and names.
        recipe: JSON values that determine the rows.
        pixels: whether ``publish`` may upload the images.
        shared: photos that several configs share; its splits are listed before ``splits``.
        counted: columns whose classes the card counts, by config; every ``ClassLabel`` of a config that is not named.

    Raises:
        DataError: the folder cannot be written to.
    """
    every = [*(shared.whole() if shared else ()), *splits]
    write_failures(output, every)
    failed = len({failure.id for split in every for failure in split.failures})
    splits = [*(shared.splits() if shared else ()), *splits]
    codec = {**codec_versions(), "canary": codec_canary()}
    build = Build(kind, default, {**recipe, "license": card.license}, pixels, codec, tuple(splits), shared)
    columns = {config: _counted(f, (counted or {}).get(config)) for config, f in features.items()}
    text = readme(
        card,
        features,
        build.splits,
        default,
        build=build,
        failed=failed,
        counts=[c for s in splits for c in _class_counts(output, s, columns[s.config])],
        max_counted_classes=MAX_COUNTED_CLASSES,
        total_bytes=build.file_bytes,
    )
    # as https://reproducible-builds.org names it, for builds that have to be equal on several days
    seconds = float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    day = datetime.fromtimestamp(seconds, timezone.utc).date().isoformat()
    try:
        write_text_atomically(output / BUILD_FILE, build_text(build), durable=True)
        write_text_atomically(output / CROISSANT_FILE, croissant_text(build, card, features, text, day), durable=True)
        write_text_atomically(output / README_FILE, text, durable=True)
    except OSError as error:
        raise cannot_write(output, error) from None
    return build


def _class_counts(output: Path, split: SplitShards, features: Features) -> list[ClassCounts]:
    """Rows per class of every ``ClassLabel`` column among ``features``, counted in the files of a split."""
    columns = {name: feature for name, feature in features.items() if isinstance(feature, ClassLabel)}
    totals = {name: np.zeros(len(feature.names), dtype=np.int64) for name, feature in columns.items()}
    for shard in split.shards:
        table = pq.read_table(output / shard.file, columns=list(columns))
        for name, total in totals.items():
            values = table.column(name).drop_null().to_numpy()
            total += np.bincount(values[values >= 0], minlength=len(total))
    return [
        ClassCounts(split.config, split.split, name, tuple(columns[name].names), tuple(total.tolist()))
        for name, total in totals.items()
    ]


def _counted(features: Features, columns: Sequence[str] | None) -> Features:
    return Features({name: f for name, f in features.items() if columns is None or name in columns})


def _remove_build(output: Path) -> None:
    """Remove a build, the README first: an interrupted removal leaves no folder that looks complete."""
    if (output / STATE_FOLDER).exists():
        for name in (README_FILE, BUILD_FILE, CROISSANT_FILE, FAILURES_FILE):
            (output / name).unlink(missing_ok=True)
        shutil.rmtree(output / STATE_FOLDER / PREVIOUS_FOLDER, ignore_errors=True)
    for config in list_folder(output / STATE_FOLDER, may_be_absent=True).folders:
        for marker in files_matching(output / STATE_FOLDER / config, "*.json"):
            (output / "data" / config / f"{marker.stem}.parquet").unlink(missing_ok=True)
            marker.unlink()


def build_record(build: Build, output: Path) -> dict[str, Any]:
    """What ``summary`` says, for programs."""
    splits = [
        {
            "config": split.config,
            "split": split.split,
            "rows": split.rows,
            "bytes": split.file_bytes,
            "files": len(split.shards),
            "failures": [{"id": failure.id, "reason": failure.reason} for failure in split.failures],
        }
        for split in build.splits
    ]
    return {"output": str(output), "kind": build.kind, "default": build.default, "splits": splits}


def summary(build: Build, output: Path) -> str:
    """Text about a finished build: its splits, missing items, and the line of Python that loads it."""
    folder = readable(str(output))
    lines = [
        f"  {split.config}/{split.split}: {split.rows:,} rows, {split.file_bytes / 1e6:,.1f} MB, "
        f"{len(split.shards)} files"
        for split in build.splits
    ]
    failed = [failure for split in build.splits for failure in split.failures]
    if failed:
        lines.append(
            f"  {len({f.id for f in failed})} could not be used and are left out (the first, {failed[0].id}: "
            f"{failed[0].reason}); all are in {readable(str(output / FAILURES_FILE))}"
        )
    lines.append(f'  load_dataset("{folder}", "{build.default}", split="{build.splits[0].split}")')
    return "\n".join([f"{folder}:", *lines])
