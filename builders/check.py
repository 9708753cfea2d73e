"""``camtrace build check``: read a built folder as a stranger would, and test what its labels promise."""

from __future__ import annotations

import argparse
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from builders.command_line import Parser
from builders.dataset import Build, file_sha256, read_build
from builders.errors import CamtraceError, DataError
from builders.outside import quiet_clients, readable, readable_line
from builders.pixels import ALL_PARAMETERS, Parameter, Processing, decode_rgb, random_scale, read_jpeg_header
from builders.processed import ProcessingSettings, correlation_of, expected_counts, settings_of
from builders.sources import local_splits

CHI_SQUARE_QUANTILE = 0.999
"""Class counts of a uniform assignment may be this unlikely; one honest build in a thousand is not."""

MAX_EXAMPLES = 3
"""So many offending rows are named."""


@dataclass(frozen=True)
class Check:
    """One property of one split."""

    config: str
    split: str
    name: str
    passed: bool
    detail: str


def check_folder(folder: Path, *, decode: bool = True, progress: bool = True) -> list[Check]:
    """Every check of every split of a built folder.

    Args:
        folder: a finished build.
        decode: also decode each image of kinds whose size cannot be read from a JPEG header.
        progress: a bar, where stderr is a terminal.

    Raises:
        DataError: no finished build is there, or ``load_dataset`` cannot read it.
    """
    build = read_build(folder)
    checks: list[Check] = []
    wrong_files = {shard.file for shard in build.shards if not _as_built(folder / shard.file, shard.sha256)}
    decoded: set[str] = set()
    for split in build.splits:
        add = _Adder(split.config, split.split, checks)
        files = [shard.file for shard in split.shards]
        wrong = [Path(file).name for file in files if file in wrong_files]
        add("files are as they were built", not wrong, _examples(wrong) or f"{len(files)} files, SHA-256 equal")
        if wrong:
            continue
        loaded = _load(folder, split.config, split.split)
        add("row count", len(loaded) == split.rows, f"{len(loaded):,} rows, build.json says {split.rows:,}")
        rows = tqdm(loaded, desc=f"{split.config}/{split.split}", disable=None if progress else True)
        try:
            if build.kind == "processed":
                _check_processed(build, loaded, rows, add)
            elif build.kind == "recipe":
                _check_recipe(loaded, add)
            elif {"image", "pair_id", "camera_type", "photo_id", "sha256"} <= set(loaded.column_names):
                _check_pairs(loaded, rows, add)
            elif decode and "image" in loaded.column_names:
                _check_images(rows, add, decoded)
            if build.shared is not None and add.config in build.shared.configs:
                _check_labels(loaded, add)
        # A recipe or rows of a stranger lack what ours have.
        except (ArithmeticError, AttributeError, LookupError, StopIteration, TypeError, ValueError) as error:
            add("recipe and columns are those of its kind", False, readable(f"{type(error).__name__}: {error}"[:200]))
    return checks


def _as_built(path: Path, sha256: str) -> bool:
    return path.is_file() and file_sha256(path) == sha256


def table(checks: Sequence[Check]) -> str:
    """The checks for people, one line each."""
    where = [f"{c.config}/{c.split}" for c in checks]
    wide, name = max(map(len, where), default=0), max((len(c.name) for c in checks), default=0)
    return "\n".join(
        f"{'ok  ' if c.passed else 'FAIL'}  {w:{wide}}  {c.name:{name}}  {c.detail}"
        for c, w in zip(checks, where, strict=True)
    )


def parser() -> Parser:
    """The options of the command."""
    p = Parser("camtrace build check", description="Read a built folder as a stranger would and test its labels.")
    p.add_argument("folder", type=Path, help="a folder that a builder finished")
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    return run(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    checks = check_folder(args.folder)
    print(table(checks))
    failed = sum(not check.passed for check in checks)
    print(f"{len(checks) - failed} of {len(checks)} checks passed")
    return 1 if failed or not checks else 0


@dataclass(frozen=True)
class _Adder:
    config: str
    split: str
    checks: list[Check]

    def __call__(self, name: str, passed: bool, detail: str) -> None:
        self.checks.append(Check(self.config, self.split, name, bool(passed), readable(detail)))


def _load(folder: Path, config: str, split: str) -> Any:
    """The rows that ``load_dataset`` would give, from the files as they lie: nothing is copied into its cache."""
    import datasets

    try:
        parts = local_splits(str(folder), config)
        if parts is not None:
            return parts[split]
        with quiet_clients():
            loaded = datasets.load_dataset(str(folder), config, split=split)
    except Exception as error:  # whatever the libraries raise, the folder is not what it should be
        raise DataError(f"{folder}: load_dataset cannot read {config}/{split} ({readable_line(error)})") from None
    images = [name for name, feature in loaded.features.items() if isinstance(feature, datasets.Image)]
    for name in images:
        loaded = loaded.cast_column(name, datasets.Image(decode=False))
    return loaded


def _check_processed(build: Build, loaded: Any, rows: Iterable[Mapping[str, Any]], add: _Adder) -> None:
    settings = next(s for s in build.recipe["settings"] if s["parameter"] == add.config)
    parameter, lossless = ALL_PARAMETERS[add.config], bool(settings.get("lossless"))
    every = settings_of(settings).every(add.split)
    codes, ids = np.asarray(loaded[parameter.name]), loaded["photo_id"]
    keys = list(zip(ids, codes.tolist(), strict=True))
    twice = len(keys) - len(set(keys))
    photos = len(set(ids))
    expected = photos * len(parameter.classes) if every else photos
    add("unique ids", twice == 0 and len(keys) == expected, f"{photos:,} photos, {len(keys):,} (photo, class) rows")
    counts = np.bincount(codes, minlength=len(parameter.classes))
    balanced, detail = _balance(counts, _expected(loaded, settings_of(settings), len(counts)), every)
    add("class balance", balanced, detail)

    wrong_coding, wrong_size, wrong_scale = [], [], []
    for row in rows:
        code, photo_id = row[parameter.name], row["photo_id"]
        coding, size = _told_by_file(row["image"]["bytes"])
        if coding != (("PNG",) if lossless else _coding_of(parameter.made_by[code])):
            wrong_coding.append(f"{photo_id} is {coding}, its class is {parameter.classes[code]}")
        if size != (row["width"], row["height"]):
            wrong_size.append(photo_id)
        if "scale" in row and row["scale"] != random_scale(photo_id, settings["seed"]):
            wrong_scale.append(photo_id)
    jpeg = not lossless and all(processing.file_format == "JPEG" for processing in parameter.made_by)
    promise = "tables and sampling say the class" if jpeg else "the format is that of the class"
    promise = "decoded views, as PNG" if lossless else promise
    add(promise, not wrong_coding, _examples(wrong_coding) or f"all {len(keys):,} images")
    add("width and height", not wrong_size, _examples(wrong_size) or "as in each image's header")
    if parameter.has_random_scale:
        add("scale", not wrong_scale, _examples(wrong_scale) or "from the photo's id and the seed")
    if every and any(processing.scale != 1 for processing in parameter.made_by):
        _check_relative_sizes(loaded, parameter, add)


def _told_by_file(data: bytes) -> tuple[tuple[Any, ...], tuple[int, int] | None]:
    """(quality, subsampling) of a JPEG file with libjpeg's tables, (format,) of any other, which says no more; and
    its (width, height), None where it cannot be read."""
    header = read_jpeg_header(data)
    if header is not None:
        return (header.quality, header.subsampling), (header.width, header.height)
    try:
        with Image.open(io.BytesIO(data)) as image:
            return (image.format,), image.size
    except (OSError, SyntaxError, ValueError):
        return ("unreadable",), None


def _coding_of(processing: Processing) -> tuple[Any, ...]:
    """What the file of a processing tells."""
    jpeg = processing.file_format == "JPEG"
    return (processing.quality, processing.subsampling) if jpeg else (processing.file_format,)


def _check_relative_sizes(loaded: Any, parameter: Parameter, add: _Adder) -> None:
    """Sizes of one photo's rows against each other: the classes of a resize are visible in them."""
    sizes: dict[str, dict[int, tuple[int, int]]] = {}
    columns = (loaded[name] for name in ("photo_id", parameter.name, "width", "height"))
    for photo_id, code, width, height in zip(*columns, strict=True):
        sizes.setdefault(photo_id, {})[code] = (width, height)
    wrong = []
    for photo_id, by_code in sizes.items():
        random = {by_code[code] for code, made in enumerate(parameter.made_by) if made.scale is None}
        whole = next((by_code[code] for code, made in enumerate(parameter.made_by) if made.scale == 1), None)
        scaled = [
            by_code[code] == (int(whole[0] * made.scale), int(whole[1] * made.scale))
            for code, made in enumerate(parameter.made_by)
            if whole is not None and made.scale is not None
        ]
        if len(random) > 1 or not all(scaled):
            wrong.append(photo_id)
    add("sizes of a photo's classes", not wrong, _examples(wrong) or "as the class says")


def _expected(loaded: Any, settings: ProcessingSettings, classes: int) -> np.ndarray:
    """Rows that the assignment gives each class on average: float64 [classes]."""
    if correlation_of(settings.assignment) is None:
        return np.full(classes, len(loaded) / classes)
    names = loaded.features["label"].names
    labels = np.bincount(np.asarray(loaded["label"]), minlength=len(names))
    return expected_counts(labels, settings.own_classes(names), classes, settings.assignment).sum(axis=0)


def _balance(counts: np.ndarray, expected: np.ndarray, every: bool) -> tuple[bool, str]:
    listed = ", ".join(f"{count:,}" for count in counts)
    if every:
        return bool((counts == counts[0]).all()), f"equal by design: {listed}"
    from scipy.stats import chi2

    total = int(counts.sum())
    if total == 0:
        return True, "no rows"
    possible = expected > 0
    statistic = float(((counts - expected)[possible] ** 2 / expected[possible]).sum())
    bound = float(chi2.ppf(CHI_SQUARE_QUANTILE, max(1, possible.sum() - 1)))
    return statistic <= bound and not counts[~possible].any(), f"chi-square {statistic:.1f} <= {bound:.1f}: {listed}"


def _check_pairs(loaded: Any, rows: Iterable[Mapping[str, Any]], add: _Adder) -> None:
    ids, types = loaded["photo_id"], loaded["camera_type"]
    add("unique ids", len(set(ids)) == len(ids), f"{len(ids):,} photos")
    members: dict[str, list[int]] = {}
    for pair, kind in zip(loaded["pair_id"], types, strict=True):
        members.setdefault(pair, []).append(kind)
    odd = [pair for pair, kinds in members.items() if sorted(kinds) != [0, 1]]
    add("pairs", not odd, _examples(odd) or f"{len(members):,} pairs, a phone and a camera each")
    broken, size = [], []
    for row in rows:
        data = row["image"]["bytes"]
        if hashlib.sha256(data).hexdigest() != row["sha256"]:
            broken.append(row["photo_id"])
        elif not _upright_size_is(data, row["width"], row["height"]):
            size.append(row["photo_id"])
    add("bytes", not broken, _examples(broken) or "SHA-256 as the row says")
    add("width and height", not size, _examples(size) or "of the decoded photo")


def _check_recipe(loaded: Any, add: _Adder) -> None:
    pixels = [name for name, feature in loaded.features.items() if name == "image" or "Image" in type(feature).__name__]
    add("no pixels", not pixels, _examples(pixels) or "ids, labels and hashes only")
    parameter = ALL_PARAMETERS[add.config]
    keys = list(zip(loaded["photo_id"], loaded[parameter.name], strict=True))
    add("unique ids", len(set(keys)) == len(keys), f"{len(keys):,} (photo, class) rows")


def _check_labels(loaded: Any, add: _Adder) -> None:
    """Files are shared between configs: each row of a config has a class of it."""
    codes = np.asarray(loaded[add.config])
    inside = (codes >= 0) & (codes < len(loaded.features[add.config].names))
    add("every row has a class", bool(inside.all()), f"{int(inside.sum()):,} of {len(codes):,} rows")


def _check_images(rows: Iterable[Mapping[str, Any]], add: _Adder, decoded: set[str]) -> None:
    """What holds for images of any kind: they can be decoded; not again those that were, for another config."""
    broken, count = [], 0
    for count, row in enumerate(rows, start=1):
        if row["image"] is None or row.get("sha256") in decoded:
            continue
        decoded |= {row["sha256"]} if row.get("sha256") else set()
        try:
            decode_rgb(row["image"]["bytes"])
        except CamtraceError as error:
            broken.append(f"row {count - 1}: {error}")
    add("images can be decoded", not broken, _examples(broken) or f"all {count:,}")


def _upright_size_is(data: bytes, width: int, height: int) -> bool:
    try:
        return decode_rgb(data).size == (width, height)
    except CamtraceError:
        return False


def _examples(wrong: Sequence[str]) -> str:
    more = f", and {len(wrong) - MAX_EXAMPLES} more" if len(wrong) > MAX_EXAMPLES else ""
    return ", ".join(wrong[:MAX_EXAMPLES]) + more
