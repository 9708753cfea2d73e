"""Whether another runtime than torch may be used on these photos: both embed the views of a few of them first.

The largest relative error must be at most ``LARGEST_ERROR``, and small beside the smallest trace by the measure of the
precision gate (``precision_gate.py``): trace / noise of at least its ``THRESHOLD``. One photo is asked first, and
decides where it passes by far; ``SAMPLE`` of them decide where it does not, or where views have no trace to measure.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.bank.keys import bank_key, key_hash
from benchmark.bank.precision_gate import THRESHOLD, all_views, embedded_by_both, neighbouring, trace_to_noise
from benchmark.encoders import LARGEST_ERROR, Encoder, Runtime, largest_relative_error
from benchmark.options import RunOptions
from builders.errors import DataError, EncoderError
from builders.files import write_text_atomically
from builders.photos import PhotoSet

SAMPLE = 4
"""Photos whose views both embed where one does not decide: 56 views under the study's processings."""

BY_FAR = 100.0
"""Times ``THRESHOLD`` that the ratio of one photo must be to decide alone. Of EfficientNet-Lite0 on the bundled photos
it is 180,000 times (docs/performance.md)."""


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


def settled(
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
            "sample": SAMPLE,
            "by_far": BY_FAR,
            "threshold": THRESHOLD,
            "largest_error": LARGEST_ERROR,
        },
        **bank_key(encoder.info, encoder.dtype, photos, bytes_hash, "float32", runtime=encoder.runtime),
        "views": recipe.view_keys(),
    }
    file = options.cache / "gates" / f"{key_hash(key)}.json"
    verdict = None if options.fresh or not encoder.cacheable else _read(file)
    if verdict is None:
        verdict = _judge(encoder, encoder.in_torch(), photos, options)
        if encoder.cacheable:
            write_text_atomically(file, json.dumps(verdict.record()) + "\n")
    if verdict.passed:
        return encoder, verdict
    if options.runtime not in ("auto", "torch"):
        raise EncoderError(verdict.reason)
    in_torch = encoder.in_torch()
    version = in_torch.runtime.version if in_torch.runtime else ""
    runtime = Runtime("torch", version, reason=verdict.reason)
    return dataclasses.replace(in_torch, runtime=runtime, elsewhere=encoder.elsewhere), verdict


def _judge(encoder: Encoder, in_torch: Encoder, photos: PhotoSet, options: RunOptions) -> RuntimeVerdict:
    if neighbouring(all_views(photos, options).names):  # without two that are alike nothing passes by far
        first = _compared(encoder, in_torch, photos, 1, options)
        if len(photos) == 1 or (first.passed and (first.ratio or 0.0) >= BY_FAR * THRESHOLD):
            return first
    return _compared(encoder, in_torch, photos, SAMPLE, options)


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


def _read(file: Path) -> RuntimeVerdict | None:
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        return RuntimeVerdict(**{**raw, "pair": tuple(raw["pair"])})
    except (OSError, ValueError, TypeError, KeyError):  # absent, or not ours: given again
        return None
