"""Two gates that an encoder passes before a bank is filled: one for low precision, one for another runtime than torch.

The traces that this benchmark looks for can be as small as what bfloat16 rounds away. Both gates therefore embed a
sample of the photos twice, exactly and as the run would, and compare two lengths, both between embeddings of length 1:

- the trace: |exact embedding of one processing - that of another|, median over photos, of the two most alike
  processings of one parameter (the smallest of these medians);
- the noise: |embedding of the run - exact embedding| of the same view, median over photos, of the view where it is
  largest.

A gate requires trace / noise of at least ``THRESHOLD``. The errors of two views are two independent vectors, and in
many dimensions nearly orthogonal to the trace and to each other, so two rounded views lie sqrt(1 + 2 / ratio^2) times
as far apart as they should: 1 % too far at a ratio of 10, 4 % at 5, 73 % at 1.

Verdicts are cached in the folder ``gates`` of the cache, under a key as complete as a bank's. A run whose banks are
complete then embeds nothing.
"""

from __future__ import annotations

import dataclasses
import gc
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from benchmark.bank.fill.members import photos_together
from benchmark.bank.keys import bank_key, key_hash, key_of
from benchmark.bank.view_file import Blocks
from benchmark.compute import FittingBatch, read_record, write_record
from benchmark.encoders import LARGEST_ERROR, Encoder, Runtime, largest_relative_error
from benchmark.options import RunOptions
from benchmark.views import ProcessingViews, StoredViews, ViewRecipe, iterate_views, photo_bytes
from builders.errors import DataError, EncoderError
from builders.photos import PhotoSet
from builders.pixels import BUILT_IN, BUILT_IN_PROCESSINGS

THRESHOLD = 10.0
"""Smallest ratio that passes: distances between two processings are then at most 1 % too long."""

SAMPLE = 32
"""Photos that are embedded in both precisions; the standard error of their median is about 0.2 standard deviations."""

RUNTIME_SAMPLE = 4
"""Photos that are embedded by both runtimes where one photo does not decide: 56 views under the study's processings."""

BY_FAR = 100.0
"""A single photo decides if its ratio is at least this many times ``THRESHOLD``. EfficientNet-Lite0 on the bundled
photos has 180,000 times (docs/explanation/performance.md)."""


@dataclass(frozen=True)
class GateVerdict:
    """Whether an encoder may be used in the run's precision or runtime, on one photo set. Results record it."""

    passed: bool
    reason: str
    """One sentence; empty if it passed."""
    ratio: float | None = None
    """trace / noise; None where the noise is 0 or nothing could be compared."""
    trace: float | None = None
    """Median distance of the two most alike processings of a parameter; None where the photos have no two."""
    noise: float | None = None
    """Median distance from the exact embedding, of the view where it is largest."""
    pair: tuple[str, ...] = ()
    """Names of the two most alike processings."""
    photos: int = 0
    """Photos of the sample that could be used."""

    def record(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {**dataclasses.asdict(self), "pair": list(self.pair)}


@dataclass(frozen=True)
class PrecisionVerdict(GateVerdict):
    """Verdict about computing or storing embeddings in a precision below float32."""

    threshold: float = THRESHOLD
    """Smallest ratio that passed."""


@dataclass(frozen=True)
class RuntimeVerdict(GateVerdict):
    """Verdict about another runtime than torch."""

    relative_error: float = 0.0
    """The largest of the sample's views, see ``largest_relative_error``."""


def check_precision(
    encoder: Encoder, photos: PhotoSet, bytes_hash: str, options: RunOptions
) -> PrecisionVerdict | None:
    """Check whether the precisions of computing and of storage are high enough for these photos.

    Args:
        encoder: as it is used in the run.
        photos: the photo set; a sample of it is embedded.
        bytes_hash: from ``PhotoHashes.bytes_hash``.
        options: ``storage``, ``batch_size``, ``orientation``, ``workers``, ``cache`` and ``fresh`` are read.

    Returns:
        The verdict, from the cache if it is there; None where nothing is rounded.

    Raises:
        DataError: no photo of the sample can be used.
    """
    if encoder.dtype == "float32" and options.storage == "float32":
        return None
    recipe = all_views(photos, options)
    key = {
        "gate": {"sample": SAMPLE, "threshold": THRESHOLD, "batch_size": options.batch_size},
        **key_of(encoder, photos, bytes_hash, options.storage),
        "views": recipe.view_keys(),
    }
    return _cached(PrecisionVerdict, key, encoder, options, lambda: _compare_precisions(encoder, photos, options))


def resolve_runtime(
    encoder: Encoder, photos: PhotoSet, bytes_hash: str, options: RunOptions
) -> tuple[Encoder, RuntimeVerdict | None]:
    """Choose the runtime for these photos: the encoder's, or torch where the two differ too much.

    Args:
        encoder: in the runtime that was chosen when it was loaded.
        photos: the photo set; a sample of it is embedded.
        bytes_hash: from ``PhotoHashes.bytes_hash``.
        options: ``runtime``, ``batch_size``, ``orientation``, ``cache`` and ``fresh`` are read.

    Returns:
        The encoder to use, and the verdict; None if there is nothing to compare.

    Raises:
        EncoderError: the runtimes differ too much, and ``options.runtime`` requests this one by name.
    """
    if encoder.runtime is None or encoder.in_torch is None:
        return encoder, None
    torch_encoder = encoder.in_torch
    key = {
        "gate": {
            "runtime": True,
            "sample": RUNTIME_SAMPLE,
            "by_far": BY_FAR,
            "threshold": THRESHOLD,
            "largest_error": LARGEST_ERROR,
        },
        **bank_key(encoder.info, encoder.dtype, photos, bytes_hash, "float32", runtime=encoder.runtime),
        "views": all_views(photos, options).view_keys(),
    }
    verdict = _cached(
        RuntimeVerdict, key, encoder, options, lambda: _compare_runtimes(encoder, torch_encoder(), photos, options)
    )
    if verdict.passed:
        return encoder, verdict
    if options.runtime not in ("auto", "torch"):
        raise EncoderError(verdict.reason)
    in_torch = torch_encoder()
    version = in_torch.runtime.version if in_torch.runtime else ""
    runtime = Runtime("torch", version, reason=verdict.reason)
    return dataclasses.replace(in_torch, runtime=runtime, reload=encoder.reload), verdict


@dataclass(frozen=True)
class TraceToNoise:
    """The two lengths that a gate compares, and where the trace was measured."""

    trace: float
    """Median distance of the two most alike processings of a parameter, exact; 2 is the largest possible."""
    noise: float
    """Median distance from the exact embedding, of the view where it is largest."""
    pair: tuple[int, int]
    """The two most alike processings, as positions of views."""

    @property
    def ratio(self) -> float | None:
        """trace / noise; None where the noise is 0."""
        return self.trace / self.noise if self.noise else None

    @property
    def passed(self) -> bool:
        """Whether the ratio is large enough."""
        return self.ratio is None or self.ratio >= THRESHOLD


def trace_to_noise(reference: np.ndarray, lower: np.ndarray, pairs: Sequence[tuple[int, int]]) -> TraceToNoise:
    """Compare the smallest trace of processing with the error of other embeddings of the same views.

    Args:
        reference: [views, photos, dimension], exact embeddings.
        lower: [views, photos, dimension], the embeddings to be judged.
        pairs: positions of two views each that are processings of one parameter.

    >>> reference = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    >>> compared = trace_to_noise(reference, np.array([[[1.0, 0.0]], [[0.1, 1.0]]]), [(0, 1)])
    >>> round(compared.trace, 3), round(compared.noise, 3), round(compared.ratio, 1)
    (1.414, 0.1, 14.2)
    """
    exact, rounded = _unit_length(reference), _unit_length(lower)
    noise = max(float(np.median(_lengths(a - b))) for a, b in zip(exact, rounded, strict=True))
    traces = {(a, b): float(np.median(_lengths(exact[a] - exact[b]))) for a, b in pairs}
    pair = min(traces, key=lambda p: traces[p])
    return TraceToNoise(traces[pair], noise, pair)


def neighbouring(names: Sequence[str]) -> list[tuple[int, int]]:
    """Positions of all pairs of views that are classes of one parameter.

    >>> neighbouring(["jpeg-q95-444", "sharpening-x2", "resizing-x2"])
    [(0, 1), (0, 2)]
    """
    at = {name: position for position, name in enumerate(names)}
    pairs = [
        (at[a], at[b])
        for parameter in BUILT_IN.values()
        for a, b in itertools.combinations(parameter.processings, 2)
        if a in at and b in at
    ]
    return list(dict.fromkeys(pairs))


def all_views(photos: PhotoSet, options: RunOptions) -> ViewRecipe:
    """All processings, whatever the tasks: a verdict is about an encoder on photos."""
    if photos.stored_views:
        return StoredViews(tuple(n for n in photos.stored_views if n in BUILT_IN_PROCESSINGS), photos.stored_views)
    return ProcessingViews(tuple(BUILT_IN_PROCESSINGS), upright=options.orientation == "upright")


def embedded_by_both(
    exact: Encoder,
    lower: Encoder,
    sample: PhotoSet,
    recipe: ViewRecipe,
    options: RunOptions,
    workers: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of the sample by each encoder, float32 [views, photos, dimension]; photos that fail are left out.

    Batches are those of a pass: what a precision rounds may depend on the kernel, and the kernel on the batch.

    Raises:
        DataError: all photos fail.
    """
    workers = options.workers if workers is None else workers
    forwards = [FittingBatch(e.info.id, e.embed, options.batch_size) for e in (exact, lower)]
    bytes_a_photo = photo_bytes(recipe, [lower.preprocess])
    together = photos_together(len(recipe.names), options.batch_size, bytes_a_photo, Blocks(len(sample)).size)
    stream = iterate_views(sample, range(len(sample)), recipe, [lower.preprocess], workers=workers)
    usable = (photo.arrays[0] for photo in stream if not photo.failure and not any(photo.view_failures))
    embedded: list[list[np.ndarray]] = [[], []]
    while gathered := list(itertools.islice(usable, together)):
        views = torch.cat(gathered)
        for forward, parts in zip(forwards, embedded, strict=True):
            parts.append(forward(views).unflatten(0, (len(gathered), -1)).numpy())
    if not embedded[0]:
        raise DataError(f"{sample.name}: none of {len(sample)} sampled photos can be used")
    reference, rounded = (np.concatenate(parts).swapaxes(0, 1) for parts in embedded)
    return reference, rounded


def _compare_precisions(encoder: Encoder, photos: PhotoSet, options: RunOptions) -> PrecisionVerdict:
    recipe = all_views(photos, options)
    what = f"{encoder.info.id} in {_precision(encoder, options)}"
    remedy = "use float32, or --force-dtype to run all the same"
    pairs = neighbouring(recipe.names)
    if not pairs:
        stored = f"{photos.name} holds photos that are processed already, no two ways of one parameter"
        return PrecisionVerdict(False, f"{what} cannot be judged: {stored}; {remedy}")
    exact = encoder if encoder.dtype == "float32" else encoder.in_float32() if encoder.in_float32 else None
    if exact is None or exact.dtype != "float32":
        return PrecisionVerdict(False, f"{what} cannot be judged: it cannot be loaded in float32; {remedy}")
    reference, lower = embedded_by_both(exact, encoder, photos.limited(SAMPLE), recipe, options)
    del exact
    gc.collect()
    if options.storage == "float16":
        lower = lower.astype(np.float16)
    if not np.isfinite(lower).all():
        return PrecisionVerdict(False, f"{what} gives embeddings that are not finite; use float32")
    compared = trace_to_noise(reference, lower, pairs)
    a, b = (recipe.names[i] for i in compared.pair)
    reason = (
        f"{what} is not precise enough on {photos.name}: rounding moves an embedding by {compared.noise:.2g}, "
        f"{a} against {b} by {compared.trace:.2g} (ratio {compared.ratio or 0:.2g}, {THRESHOLD:g} is needed); {remedy}"
    )
    return PrecisionVerdict(**_measured(compared, reason, (a, b), reference.shape[1]))


def _precision(encoder: Encoder, options: RunOptions) -> str:
    stored = f"{options.storage} on disk" if options.storage != "float32" else ""
    computed = encoder.dtype if encoder.dtype != "float32" else ""
    return " and ".join(part for part in (computed, stored) if part)


def _compare_runtimes(encoder: Encoder, in_torch: Encoder, photos: PhotoSet, options: RunOptions) -> RuntimeVerdict:
    """One photo decides where it passes by far, else ``RUNTIME_SAMPLE`` photos do."""
    if neighbouring(all_views(photos, options).names):  # without two processings that are alike nothing passes by far
        first = _compare_sample(encoder, in_torch, photos, 1, options)
        if len(photos) == 1 or (first.passed and (first.ratio or 0.0) >= BY_FAR * THRESHOLD):
            return first
    return _compare_sample(encoder, in_torch, photos, RUNTIME_SAMPLE, options)


def _compare_sample(
    encoder: Encoder, in_torch: Encoder, photos: PhotoSet, count: int, options: RunOptions
) -> RuntimeVerdict:
    assert encoder.runtime is not None
    recipe = all_views(photos, options)
    sample = photos.limited(min(count, len(photos)))
    what = f"{encoder.info.id} by {encoder.runtime.name} on {photos.name}"
    try:
        reference, by_runtime = embedded_by_both(in_torch, encoder, sample, recipe, options, workers=0)
    except DataError as error:
        return RuntimeVerdict(False, f"{what} cannot be compared with torch: {error}")
    usable = reference.shape[1]
    relative = max(largest_relative_error(a, b) for a, b in zip(by_runtime, reference, strict=True))
    if relative > LARGEST_ERROR:
        wrong = (
            f"{what} is not what torch computes: relative error {relative:.1e}, at most {LARGEST_ERROR:g} is allowed"
        )
        return RuntimeVerdict(False, wrong, relative_error=min(relative, 1e30), photos=usable)
    pairs = neighbouring(recipe.names)
    if not pairs:
        return RuntimeVerdict(True, "", relative_error=relative, photos=usable)
    compared = trace_to_noise(reference, by_runtime, pairs)
    a, b = (recipe.names[i] for i in compared.pair)
    reason = (
        f"{what} is not as precise as torch: it moves an embedding by {compared.noise:.2g}, {a} against {b} by "
        f"{compared.trace:.2g} (ratio {compared.ratio or 0:.2g}, {THRESHOLD:g} is needed)"
    )
    return RuntimeVerdict(relative_error=relative, **_measured(compared, reason, (a, b), usable))


def _measured(compared: TraceToNoise, reason: str, pair: tuple[str, str], photos: int) -> dict[str, Any]:
    """Fields of the verdict that follows from a comparison; ``reason`` counts if it did not pass."""
    return {
        "passed": compared.passed,
        "reason": "" if compared.passed else reason,
        "ratio": compared.ratio,
        "trace": compared.trace,
        "noise": compared.noise,
        "pair": pair,
        "photos": photos,
    }


AnyVerdict = TypeVar("AnyVerdict", bound=GateVerdict)


def _cached(
    kind: type[AnyVerdict],
    key: Mapping[str, Any],
    encoder: Encoder,
    options: RunOptions,
    judge: Callable[[], AnyVerdict],
) -> AnyVerdict:
    """The cached verdict, else that of ``judge``; verdicts on encoders that cannot be identified are not cached."""
    file = options.cache / "gates" / f"{key_hash(key)}.json"
    if encoder.cacheable and not options.fresh and (known := read_record(file, kind)) is not None:
        return known
    verdict = judge()
    if encoder.cacheable:
        write_record(file, verdict)
    return verdict


def _unit_length(embeddings: np.ndarray) -> np.ndarray:
    wide = np.asarray(embeddings, dtype=np.float64)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    return wide / np.where(lengths > 0, lengths, 1)  # an embedding of zeros stays one


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1)
