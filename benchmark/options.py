"""What a run may be told: one frozen value, read by every room."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

PROTOCOLS = ("converged", "iccv2025")
DTYPES = ("float32", "tf32", "bfloat16", "float16")
VIEWS = ("auto", "cpu", "device")


def default_cache() -> Path:
    """Where banks live: ``$CAMTRACE_CACHE``, or ``camtrace`` in the user's cache folder."""
    named = os.environ.get("CAMTRACE_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "camtrace"


@dataclass(frozen=True)
class RunOptions:
    """Everything that decides scores or how they are made, besides the encoder, the photos and the tasks."""

    seed: int = 0
    """Of splits that the data do not bring, of ``--limit`` and of the random scale of ``interpolation``."""
    assignment_seeds: int = 10
    """Random class assignments that probes and ``uniform`` set-ups are averaged over (seeds 0, 1, ...)."""
    protocol: str = "converged"
    """How probes are fitted: one of ``PROTOCOLS``."""
    neighbours: int | None = None
    """k of kNN; by default what the data set says."""
    mask_ratio: float = 0.9
    """Share of the crop's area that acquisition probes do not see; 0 shows everything."""
    resamples: int = 10_000
    """Bootstrap resamples behind each interval."""
    limit: int | None = None
    """Photos that a set was reduced to; for the record, ``PhotoSet.limited`` does it."""
    device: str = "auto"
    dtype: str = "float32"
    """Precision of the forward pass: one of ``DTYPES``."""
    compile: bool = False
    """Forward passes by ``torch.compile``."""
    force_dtype: bool = False
    """Use a precision below float32 although the gate refuses it (``precision_gate.py``)."""
    storage: str = "float32"
    """Precision of the bank."""
    batch_size: int = 64
    """Views per forward pass, where memory holds them."""
    workers: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))
    """Processes that make views, or decode photos for a device that makes them."""
    views: str = "auto"
    """Who makes views: the workers (``cpu``), the encoders' device (``device``), or the device where that is a CUDA GPU
    (``auto``). They are the same whoever does."""
    fresh: bool = False
    """Make every bank again."""
    cache: Path = field(default_factory=default_cache)
    """Folder of the banks."""
