"""Checks of every split of a built folder, read as ``load_dataset`` would read it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from builders.check.processed import check_processed
from builders.check.result import Adder, Check, examples
from builders.dataset import file_sha256, read_build
from builders.errors import CamtraceError, DataError, UsageError
from builders.photos import HUB_SPLITS
from builders.pixels import decode_rgb
from builders.processes import progress_bar
from builders.sources import local_splits
from builders.splits import GroupKind, check_given_splits
from builders.untrusted import describe_error, first_line, quiet_clients


def check_folder(
    folder: Path, *, decode: bool = True, guarded_by: Collection[GroupKind] = (), progress: bool = True
) -> list[Check]:
    """Check every split of a built folder.

    Args:
        folder: a finished build; untrusted.
        decode: also decode each image of kinds of builds whose image sizes are not in a JPEG header.
        guarded_by: what photos of different splits must not share (``owner``, ``scene``, ``file``). By default the
            ``file`` in builds of processed photos and of folders with Exif; where duplicates were kept as the source
            has them (``--duplicates``, or the folder brings its splits), they are counted and pass.
        progress: show a bar, if stderr is a terminal.

    Raises:
        DataError: the folder has no finished build, or ``load_dataset`` cannot read files that are as they were built.
        UsageError: ``guarded_by`` names near-duplicates.
    """
    if "near-duplicate" in guarded_by:
        raise UsageError("guarded_by: near-duplicates of a built folder cannot be checked; name owner, scene or file")
    build = read_build(folder)
    checks: list[Check] = []
    missing = {shard.file for shard in build.shards if not (folder / shard.file).is_file()}
    changed = {shard.file for shard in build.shards if not _as_built(folder / shard.file, shard.sha256)} - missing
    lacking = {split.config for split in build.splits if missing & {shard.file for shard in split.shards}}
    decoded: set[str] = set()
    splits_of: dict[str, dict[str, Any]] = {}
    for split in build.splits:
        add = Adder(split.config, split.split, checks)
        files = [shard.file for shard in split.shards]
        absent = [Path(file).name for file in files if file in missing]
        wrong = [f"{name} is missing" for name in absent] + [Path(file).name for file in files if file in changed]
        add("files are as they were built", not wrong, examples(wrong) or f"{len(files)} files, SHA-256 equal")
        if split.config in lacking:  # load_dataset reads every split of a config
            lost = f"{len(absent):,} of {len(files):,} files are missing" if absent else "files of another split are"
            add("rows can be read", False, f"{lost}: build or download the folder again, then check it again")
            continue
        try:
            loaded = _load(folder, split.config, split.split)
        except DataError as error:
            if not changed:
                raise
            add("rows can be read", False, str(error))
            continue
        add("row count", len(loaded) == split.rows, f"{len(loaded):,} rows, build.json says {split.rows:,}")
        splits_of.setdefault(split.config, {})[split.split] = loaded
        rows = progress_bar(loaded, desc=f"{split.config}/{split.split}", silent=not progress)
        try:
            if build.kind == "processed":
                check_processed(build, loaded, rows, add)
            elif build.kind == "recipe":
                _check_recipe(loaded, add)
            elif {"image", "pair_id", "camera_type", "photo_id", "sha256"} <= set(loaded.column_names):
                _check_pairs(loaded, rows, add)
            elif decode and "image" in loaded.column_names:
                _check_images(rows, add, decoded)
            if build.shared is not None and add.config in build.shared.configs:
                _check_labels(loaded, add)
        # An untrusted recipe or table may lack any field or column.
        except (ArithmeticError, AttributeError, DataError, LookupError, StopIteration, TypeError, ValueError) as error:
            add("recipe and columns are those of its kind", False, describe_error(error))
    by_default: tuple[GroupKind, ...] = ("file",) if build.kind in ("processed", "exif-folder") else ()
    kinds: Collection[GroupKind] = guarded_by or by_default
    for config, parts in splits_of.items() if kinds else ():
        if len(parts) > 1:
            policy = _policy(build.recipe)
            allowed = not guarded_by and policy in ("keep", "ignore")
            reason = f"as built (--duplicates {policy})" if build.kind == "processed" else "as the folder has them"
            _check_groups(parts, kinds, Adder(config, "all", checks), reason if allowed else None)
    return checks


def _policy(recipe: Mapping[str, Any]) -> str | None:
    """What the builder did with duplicates; None where an untrusted recipe does not say."""
    stated = recipe.get("duplicates")
    return stated.get("policy") if isinstance(stated, dict) else None


def _check_groups(
    parts: Mapping[str, Any], kinds: Collection[GroupKind], add: Adder, allowed_by: str | None = None
) -> None:
    """Check that no owner, scene or file is in several splits. Of several rows of a photo, the first counts.

    Args:
        parts: rows by split.
        kinds: what is looked at.
        add: collects the check.
        allowed_by: why the build has such groups knowingly; they pass.
    """
    names = {"owner": ("owner",), "scene": ("scene",), "file": ("source_sha256", "sha256")}
    values: dict[str, list[str]] = {kind: [] for kind in names}
    splits: list[int] = []
    for split, loaded in parts.items():
        ids = loaded["photo_id"] if "photo_id" in loaded.column_names else range(len(loaded))
        first = np.sort(np.unique(np.asarray(ids), return_index=True)[1]).tolist()
        splits += [HUB_SPLITS.index(split)] * len(first)
        for kind, columns in names.items():
            column = next((name for name in columns if name in loaded.column_names and kind in kinds), None)
            words = loaded[column] if column else [""] * len(loaded)
            values[kind] += [str(words[row] or "") for row in first]
    guard = check_given_splits(
        np.array(splits, dtype=np.int8), owners=values["owner"], scenes=values["scene"], digests=values["file"]
    )
    detail = f"{guard.straddling:,} of {len(np.unique(guard.groups)):,} groups of one {' or '.join(kinds)}"
    if allowed_by and guard.straddling:
        add("groups in several splits", True, f"{detail}, {allowed_by}")
    else:
        add("no group in several splits", not guard.straddling, detail)


def _as_built(path: Path, sha256: str) -> bool:
    return path.is_file() and file_sha256(path) == sha256


def _load(folder: Path, config: str, split: str) -> Any:
    """The rows that ``load_dataset`` would return, read in place if possible: nothing is copied into its cache."""
    import datasets

    try:
        parts = local_splits(str(folder), config, split)
        if parts is not None:
            return parts[split]
        with quiet_clients():
            loaded = datasets.load_dataset(str(folder), config, split=split)
    except Exception as error:  # libraries raise errors of any type for a damaged folder
        raise DataError(f"{folder}: load_dataset cannot read {config}/{split} ({first_line(error)})") from None
    images = [name for name, feature in loaded.features.items() if isinstance(feature, datasets.Image)]
    for name in images:
        loaded = loaded.cast_column(name, datasets.Image(decode=False))
    return loaded


def _check_pairs(loaded: Any, rows: Iterable[Mapping[str, Any]], add: Adder) -> None:
    ids, types = loaded["photo_id"], loaded["camera_type"]
    add("unique ids", len(set(ids)) == len(ids), f"{len(ids):,} photos")
    members: dict[str, list[int]] = {}
    for pair, kind in zip(loaded["pair_id"], types, strict=True):
        members.setdefault(pair, []).append(kind)
    odd = [pair for pair, kinds in members.items() if sorted(kinds) != [0, 1]]
    add("pairs", not odd, examples(odd) or f"{len(members):,} pairs, a phone and a camera each")
    broken, size = [], []
    for row in rows:
        data = row["image"]["bytes"]
        if hashlib.sha256(data).hexdigest() != row["sha256"]:
            broken.append(row["photo_id"])
        elif not _upright_size_is(data, row["width"], row["height"]):
            size.append(row["photo_id"])
    add("bytes", not broken, examples(broken) or "SHA-256 as the row says")
    add("width and height", not size, examples(size) or "of the decoded photo")


def _check_recipe(loaded: Any, add: Adder) -> None:
    pixels = [name for name, feature in loaded.features.items() if name == "image" or "Image" in type(feature).__name__]
    add("no pixels", not pixels, examples(pixels) or "ids, labels and hashes only")
    keys = list(zip(loaded["photo_id"], loaded[add.config], strict=True))
    add("unique ids", len(set(keys)) == len(keys), f"{len(keys):,} (photo, class) rows")


def _check_labels(loaded: Any, add: Adder) -> None:
    """Configs share files: check that each row of a config has one of its classes."""
    codes = np.asarray(loaded[add.config])
    inside = (codes >= 0) & (codes < len(loaded.features[add.config].names))
    add("every row has a class", bool(inside.all()), f"{int(inside.sum()):,} of {len(codes):,} rows")


def _check_images(rows: Iterable[Mapping[str, Any]], add: Adder, decoded: set[str]) -> None:
    """Check that images can be decoded. Images that were decoded for another config are skipped."""
    broken, count = [], 0
    for count, row in enumerate(rows, start=1):
        if row["image"] is None or row.get("sha256") in decoded:
            continue
        decoded |= {row["sha256"]} if row.get("sha256") else set()
        try:
            decode_rgb(row["image"]["bytes"])
        except CamtraceError as error:
            broken.append(f"row {count - 1}: {error}")
    add("images can be decoded", not broken, examples(broken) or f"all {count:,}")


def _upright_size_is(data: bytes, width: int, height: int) -> bool:
    try:
        return decode_rgb(data).size == (width, height)
    except CamtraceError:
        return False
