"""Whether a precision below float32 may be used: what rounding does must be small beside what processing does.

The traces that this benchmark looks for can be as small as what bfloat16 rounds away. So a sample of the photos is
embedded in both precisions, and two lengths are compared, both between embeddings of length 1:

- the trace: |float32 of one processing - float32 of another|, median over photos, of the two most alike processings of
  one parameter (the smallest of these medians);
- the noise: |lower precision - float32| of the same view, median over photos, of the view where it is largest.

The gate asks for trace / noise of at least ``THRESHOLD``. Rounding errors of two views are two independent vectors, and
in many dimensions nearly orthogonal to the trace and each other, so two rounded views lie sqrt(1 + 2 / ratio^2) as far
apart as they should: 1 % too far at a ratio of 10, 4 % at 5, 73 % at 1.
"""

from __future__ import annotations

import dataclasses
import gc
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.bank.fill.members import photos_together
from benchmark.bank.keys import bank_key, key_hash, key_of
from benchmark.bank.view_file import Blocks
from benchmark.compute import FittingBatch
from benchmark.encoders import LARGEST_ERROR, Encoder, Runtime, largest_relative_error
from benchmark.options import RunOptions
from benchmark.views import ProcessingViews, StoredViews, ViewRecipe, iterate_views, photo_bytes
from builders.errors import DataError, EncoderError
from builders.files import write_text_atomically
from builders.photos import PhotoSet
from builders.pixels import PARAMETERS, PROCESSINGS

THRESHOLD = 10.0
"""Smallest ratio that passes: distances between two processings are then at most 1 % too long."""

SAMPLE = 32
"""Photos that are embedded in both precisions; the standard error of their median is about 0.2 standard deviations."""


@dataclass(frozen=True)
class TraceToNoise:
    """What was compared."""

    trace: float
    """Median distance of the two most alike processings of a parameter in float32; 2 is the largest possible."""
    noise: float
    """Median distance between the precisions, of the view where it is largest."""
    pair: tuple[int, int]
    """Those two processings, as positions of views."""

    @property
    def ratio(self) -> float | None:
        """trace / noise; None where nothing was rounded."""
        return self.trace / self.noise if self.noise else None


def trace_to_noise(reference: np.ndarray, lower: np.ndarray, pairs: Sequence[tuple[int, int]]) -> TraceToNoise:
    """Compare the smallest trace of processing with the error of a lower precision; see the top of the file.

    Args:
        reference: [views, photos, dimension], embeddings in float32.
        lower: the same embeddings in a lower precision.
        pairs: of views, as positions, that are processings of one parameter.

    >>> reference = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    >>> found = trace_to_noise(reference, np.array([[[1.0, 0.0]], [[0.1, 1.0]]]), [(0, 1)])
    >>> round(found.trace, 3), round(found.noise, 3), round(found.ratio, 1)
    (1.414, 0.1, 14.2)
    """
    exact, rounded = _unit(reference), _unit(lower)
    noise = max(float(np.median(_lengths(a - b))) for a, b in zip(exact, rounded, strict=True))
    traces = {(a, b): float(np.median(_lengths(exact[a] - exact[b]))) for a, b in pairs}
    pair = min(traces, key=lambda p: traces[p])
    return TraceToNoise(traces[pair], noise, pair)


@dataclass(frozen=True)
class Verdict:
    """What the gate says of one encoder on one photo set; a result keeps it."""

    passed: bool
    reason: str
    """One sentence; empty if it passed."""
    ratio: float | None = None
    """trace / noise; None where nothing was rounded, or nothing could be compared."""
    trace: float | None = None
    noise: float | None = None
    pair: tuple[str, ...] = ()
    """Names of the two most alike processings."""
    photos: int = 0
    threshold: float = THRESHOLD

    def record(self) -> dict[str, Any]:
        """JSON values."""
        return {**dataclasses.asdict(self), "pair": list(self.pair)}


def check_precision(encoder: Encoder, photos: PhotoSet, bytes_hash: str, options: RunOptions) -> Verdict | None:
    """The gate's verdict, from the cache if it was given before; None where nothing is rounded.

    Verdicts lie in ``gates`` beside the banks, under a key as complete as a bank's, so that a run that finds its banks
    complete embeds nothing.
    """
    if encoder.dtype == "float32" and options.storage == "float32":
        return None
    recipe = all_views(photos, options)
    key = {
        "gate": {"sample": SAMPLE, "threshold": THRESHOLD, "batch_size": options.batch_size},
        **key_of(encoder, photos, bytes_hash, options.storage),
        "views": recipe.view_keys(),
    }
    file = options.cache / "gates" / f"{key_hash(key)}.json"
    known = None if options.fresh or not encoder.cacheable else _read_precision_verdict(file)
    if known is not None:
        return known
    verdict = _judge_precision(encoder, photos, recipe, options)
    if encoder.cacheable:
        write_text_atomically(file, json.dumps(verdict.record()) + "\n")
    return verdict


def neighbouring(names: Sequence[str]) -> list[tuple[int, int]]:
    """Positions of all pairs of views that are classes of one parameter.

    >>> neighbouring(["jpeg-q95-444", "sharpening-x2", "resizing-x2"])
    [(0, 1), (0, 2)]
    """
    at = {name: position for position, name in enumerate(names)}
    found = [
        (at[a], at[b])
        for parameter in PARAMETERS.values()
        for a, b in itertools.combinations(parameter.processings, 2)
        if a in at and b in at
    ]
    return list(dict.fromkeys(found))


def _judge_precision(encoder: Encoder, photos: PhotoSet, recipe: ViewRecipe, options: RunOptions) -> Verdict:
    what = f"{encoder.info.id} in {_precision(encoder, options)}"
    remedy = "use float32, or --force-dtype to run all the same"
    pairs = neighbouring(recipe.names)
    if not pairs:
        stored = f"{photos.name} holds photos that are processed already, no two ways of one parameter"
        return Verdict(False, f"{what} cannot be judged: {stored}; {remedy}")
    exact = encoder if encoder.dtype == "float32" else encoder.in_float32() if encoder.in_float32 else None
    if exact is None or exact.dtype != "float32":
        return Verdict(False, f"{what} cannot be judged: it cannot be loaded in float32; {remedy}")
    reference, lower = embedded_by_both(exact, encoder, photos.limited(SAMPLE), recipe, options)
    del exact
    gc.collect()
    if options.storage == "float16":
        lower = lower.astype(np.float16)
    if not np.isfinite(lower).all():
        return Verdict(False, f"{what} gives embeddings that are not finite; use float32")
    found = trace_to_noise(reference, lower, pairs)
    a, b = (recipe.names[i] for i in found.pair)
    passed = found.ratio is None or found.ratio >= THRESHOLD
    reason = (
        ""
        if passed
        else (
            f"{what} is not precise enough on {photos.name}: rounding moves an embedding by {found.noise:.2g}, "
            f"{a} against {b} by {found.trace:.2g} (ratio {found.ratio:.2g}, {THRESHOLD:g} is needed); {remedy}"
        )
    )
    return Verdict(passed, reason, found.ratio, found.trace, found.noise, (a, b), reference.shape[1])


def embedded_by_both(
    exact: Encoder,
    lower: Encoder,
    sample: PhotoSet,
    recipe: ViewRecipe,
    options: RunOptions,
    workers: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """float32 [views, photos, dimension] of the sample by each encoder; photos that fail are left out.

    Batches are those of a pass: what a precision rounds may depend on the kernel, and that on the batch.

    Raises:
        DataError: all of them fail.
    """
    workers = options.workers if workers is None else workers
    faces = [FittingBatch(e.info.id, e.embed, options.batch_size) for e in (exact, lower)]
    made = photo_bytes(recipe, [lower.preprocess])
    together = photos_together(len(recipe.names), options.batch_size, made, Blocks(len(sample)).size)
    stream = iterate_views(sample, range(len(sample)), recipe, [lower.preprocess], workers=workers)
    usable = (photo.arrays[0] for photo in stream if not photo.failure and not any(photo.own_failures))
    embedded: list[list[np.ndarray]] = [[], []]
    while gathered := list(itertools.islice(usable, together)):
        views = torch.cat(gathered)
        for face, found in zip(faces, embedded, strict=True):
            found.append(face(views).unflatten(0, (len(gathered), -1)).numpy())
    if not embedded[0]:
        raise DataError(f"{sample.name}: none of {len(sample)} sampled photos can be used")
    reference, rounded = (np.concatenate(found).swapaxes(0, 1) for found in embedded)
    return reference, rounded


def all_views(photos: PhotoSet, options: RunOptions) -> ViewRecipe:
    """All processings, whatever the tasks: a verdict is about an encoder on photos."""
    if photos.stored_views:
        return StoredViews(tuple(n for n in photos.stored_views if n in PROCESSINGS), photos.stored_views)
    return ProcessingViews(tuple(PROCESSINGS), upright=options.orientation == "upright")


def _precision(encoder: Encoder, options: RunOptions) -> str:
    stored = f"{options.storage} on disk" if options.storage != "float32" else ""
    computed = encoder.dtype if encoder.dtype != "float32" else ""
    return " and ".join(part for part in (computed, stored) if part)


def _read_precision_verdict(file: Path) -> Verdict | None:
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        return Verdict(**{**raw, "pair": tuple(raw["pair"])})
    except (OSError, ValueError, TypeError, KeyError):  # absent, or not ours: given again
        return None


def _unit(embeddings: np.ndarray) -> np.ndarray:
    wide = np.asarray(embeddings, dtype=np.float64)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    return wide / np.where(lengths > 0, lengths, 1)  # an embedding of zeros stays one


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1)


RUNTIME_SAMPLE = 4
"""Photos whose views both embed where one does not decide: 56 views under the study's processings."""

BY_FAR = 100.0
"""Times ``THRESHOLD`` that the ratio of one photo must be to decide alone. Of EfficientNet-Lite0 on the bundled photos
it is 180,000 times (docs/explanation/performance.md)."""


@dataclass(frozen=True)
class RuntimeVerdict:
    """How a runtime's embeddings of one batch compare with torch's; a result keeps it."""

    passed: bool
    reason: str
    """One sentence; empty if it passed."""
    relative_error: float
    """Largest, see ``largest_relative_error``."""
    trace: float | None = None
    """Median distance of the two most alike processings of a parameter; None where the photos have no two."""
    noise: float | None = None
    """Median distance from torch, of the view where it is largest."""
    ratio: float | None = None
    """trace / noise."""
    pair: tuple[str, ...] = ()
    """Names of those two processings."""
    photos: int = 0

    def record(self) -> dict[str, Any]:
        """JSON values."""
        return {**dataclasses.asdict(self), "pair": list(self.pair)}


def resolve_runtime(
    encoder: Encoder, photos: PhotoSet, bytes_hash: str, options: RunOptions
) -> tuple[Encoder, RuntimeVerdict | None]:
    """The encoder as it is used on these photos: by its own runtime, or by torch where the two differ too much.

    Verdicts lie in ``gates`` beside the banks, so that a run that finds its banks complete embeds nothing.

    Raises:
        EncoderError: they differ too much, and ``options.runtime`` asks for this runtime by name.
    """
    if encoder.runtime is None or encoder.in_torch is None:
        return encoder, None
    recipe = all_views(photos, options)
    key = {
        "gate": {
            "runtime": True,
            "sample": RUNTIME_SAMPLE,
            "by_far": BY_FAR,
            "threshold": THRESHOLD,
            "largest_error": LARGEST_ERROR,
        },
        **bank_key(encoder.info, encoder.dtype, photos, bytes_hash, "float32", runtime=encoder.runtime),
        "views": recipe.view_keys(),
    }
    file = options.cache / "gates" / f"{key_hash(key)}.json"
    verdict = None if options.fresh or not encoder.cacheable else _read_runtime_verdict(file)
    if verdict is None:
        verdict = _judge_runtime(encoder, encoder.in_torch(), photos, options)
        if encoder.cacheable:
            write_text_atomically(file, json.dumps(verdict.record()) + "\n")
    if verdict.passed:
        return encoder, verdict
    if options.runtime not in ("auto", "torch"):
        raise EncoderError(verdict.reason)
    in_torch = encoder.in_torch()
    version = in_torch.runtime.version if in_torch.runtime else ""
    runtime = Runtime("torch", version, reason=verdict.reason)
    return dataclasses.replace(in_torch, runtime=runtime, reload=encoder.reload), verdict


def _judge_runtime(encoder: Encoder, in_torch: Encoder, photos: PhotoSet, options: RunOptions) -> RuntimeVerdict:
    if neighbouring(all_views(photos, options).names):  # without two that are alike nothing passes by far
        first = _compared(encoder, in_torch, photos, 1, options)
        if len(photos) == 1 or (first.passed and (first.ratio or 0.0) >= BY_FAR * THRESHOLD):
            return first
    return _compared(encoder, in_torch, photos, RUNTIME_SAMPLE, options)


def _compared(encoder: Encoder, in_torch: Encoder, photos: PhotoSet, count: int, options: RunOptions) -> RuntimeVerdict:
    """The verdict of so many photos."""
    assert encoder.runtime is not None
    recipe = all_views(photos, options)
    sample = photos.limited(min(count, len(photos)))
    what = f"{encoder.info.id} by {encoder.runtime.name} on {photos.name}"
    try:
        reference, found = embedded_by_both(in_torch, encoder, sample, recipe, options, workers=0)
    except DataError as reason:
        return RuntimeVerdict(False, f"{what} cannot be compared with torch: {reason}", 0.0)
    error = max(largest_relative_error(a, b) for a, b in zip(found, reference, strict=True))
    pairs = neighbouring(recipe.names)
    if error > LARGEST_ERROR or not pairs:
        wrong = f"{what} is not what torch computes: relative error {error:.1e}, at most {LARGEST_ERROR:g} is allowed"
        passed = error <= LARGEST_ERROR
        return RuntimeVerdict(passed, "" if passed else wrong, min(error, 1e30), photos=reference.shape[1])
    measured = trace_to_noise(reference, found, pairs)
    a, b = (recipe.names[i] for i in measured.pair)
    passed = measured.ratio is None or measured.ratio >= THRESHOLD
    rough = (
        f"{what} is not as precise as torch: it moves an embedding by {measured.noise:.2g}, {a} against {b} by "
        f"{measured.trace:.2g} (ratio {measured.ratio or 0:.2g}, {THRESHOLD:g} is needed)"
    )
    return RuntimeVerdict(
        passed, "" if passed else rough, error, measured.trace, measured.noise, measured.ratio, (a, b),
        reference.shape[1],
    )  # fmt: skip


def _read_runtime_verdict(file: Path) -> RuntimeVerdict | None:
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        return RuntimeVerdict(**{**raw, "pair": tuple(raw["pair"])})
    except (OSError, ValueError, TypeError, KeyError):  # absent, or not ours: given again
        return None
