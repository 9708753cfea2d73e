"""Checks of the rows of processed photos: no photo twice in a class, balance of classes as assigned, and each picture's
format, JPEG quality, subsampling, size and scale those of its class."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from builders.check.result import Adder, examples
from builders.dataset import Build
from builders.pixels import Parameter, Processing, random_scale, read_jpeg_header, register_format
from builders.processed import ProcessingSettings, correlation_of, expected_counts, settings_of

CHI_SQUARE_QUANTILE = 0.999
"""Quantile of chi-square that class counts may not exceed; a correct build fails once in a thousand."""


def check_processed(build: Build, loaded: Any, rows: Iterable[Mapping[str, Any]], add: Adder) -> None:
    """Check one split of a build of processed photos.

    Args:
        build: of the folder.
        loaded: the split, with its columns.
        rows: its rows, in order.
        add: receives the checks.
    """
    settings = next(s for s in build.recipe["settings"] if s["parameter"] == add.config)
    parameter, lossless = settings_of(settings).question, bool(settings.get("lossless"))
    every = settings_of(settings).every(add.split)
    codes, ids = np.asarray(loaded[parameter.name]), loaded["photo_id"]
    keys = list(zip(ids, codes.tolist(), strict=True))
    repeated = len(keys) - len(set(keys))
    photos = len(set(ids))
    expected = photos * len(parameter.classes) if every else photos
    add("unique ids", repeated == 0 and len(keys) == expected, f"{photos:,} photos, {len(keys):,} (photo, class) rows")
    counts = np.bincount(codes, minlength=len(parameter.classes))
    balanced, detail = _balance(counts, _expected(loaded, settings_of(settings), len(counts)), every)
    add("class balance", balanced, detail)

    wrong_coding, wrong_size, wrong_scale = [], [], []
    for row in rows:
        code, photo_id = row[parameter.name], row["photo_id"]
        coding, size = _coding_of_file(row["image"]["bytes"], parameter.made_by[code].file_format)
        made_by = parameter.made_by[code].drawn(photo_id, settings["seed"])
        if coding != (("PNG",) if lossless else _coding_of(made_by)):
            wrong_coding.append(f"{photo_id} is {coding}, its class is {parameter.classes[code]}")
        if size != (row["width"], row["height"]):
            wrong_size.append(photo_id)
        if "scale" in row and row["scale"] != random_scale(photo_id, settings["seed"]):
            wrong_scale.append(photo_id)
    jpeg = not lossless and all(processing.file_format == "JPEG" for processing in parameter.made_by)
    name = "tables and sampling say the class" if jpeg else "the format is that of the class"
    name = "decoded views, as PNG" if lossless else name
    add(name, not wrong_coding, examples(wrong_coding) or f"all {len(keys):,} images")
    add("width and height", not wrong_size, examples(wrong_size) or "as in each image's header")
    if parameter.has_random_scale:
        add("scale", not wrong_scale, examples(wrong_scale) or "from the photo's id and the seed")
    if every and any(p.scale != 1 for p in parameter.made_by) and all(p.is_one_stage for p in parameter.made_by):
        _check_relative_sizes(loaded, parameter, add)


def _coding_of_file(data: bytes, file_format: str) -> tuple[tuple[Any, ...], tuple[int, int] | None]:
    """Coding and (width, height) of a file.

    The coding is (quality, subsampling) of a JPEG file with libjpeg's tables, (format,) of other files. The size is
    None if the file cannot be read. ``file_format``: whose plugin may be needed.
    """
    register_format(file_format)
    header = read_jpeg_header(data)
    if header is not None:
        return (header.quality, header.subsampling), (header.width, header.height)
    try:
        with Image.open(io.BytesIO(data)) as image:
            return (image.format,), image.size
    except (OSError, SyntaxError, ValueError):
        return ("unreadable",), None


def _coding_of(processing: Processing) -> tuple[Any, ...]:
    """The coding of the files of a processing, as ``_coding_of_file`` reads it."""
    jpeg = processing.file_format == "JPEG"
    if dict(processing.options).get("qtables"):
        return (None, processing.subsampling)
    return (processing.quality, processing.subsampling) if jpeg else (processing.file_format,)


def _check_relative_sizes(loaded: Any, parameter: Parameter, add: Adder) -> None:
    """Compare the sizes of the rows of each photo, which show the classes of a resize."""
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
    add("sizes of a photo's classes", not wrong, examples(wrong) or "as the class says")


def _expected(loaded: Any, settings: ProcessingSettings, classes: int) -> np.ndarray:
    """Rows that the assignment gives each class on average: float64 [classes]."""
    if correlation_of(settings.assignment) is None:
        return np.full(classes, len(loaded) / classes)
    names = loaded.features["label"].names
    labels = np.bincount(np.asarray(loaded["label"]), minlength=len(names))
    return expected_counts(labels, settings.tied_classes(names), classes, settings.assignment).sum(axis=0)


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
