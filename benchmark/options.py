"""What a run may be told: one frozen value, read by every room."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from builders.errors import UsageError, unknown_name
from builders.files import cache_folder

DTYPES = ("float32", "tf32", "bfloat16", "float16")
STORAGE = ("float32", "float16")
VIEWS = ("auto", "cpu", "device")
RUNTIMES = ("auto", "torch", "openvino", "onnxruntime")
"""What may carry out forward passes; ``auto`` decides as ``benchmark/encoders/runtime.py`` says."""


def default_cache() -> Path:
    """Where banks live: ``$CAMTRACE_CACHE``, or ``camtrace`` in the user's cache folder."""
    return cache_folder()


def default_runtime() -> str:
    """What carries out forward passes unless told: ``$CAMTRACE_RUNTIME``, or ``auto``."""
    return os.environ.get("CAMTRACE_RUNTIME") or "auto"


@dataclass(frozen=True)
class RunOptions:
    """Everything that decides scores or how they are made, besides the encoder, the photos and the tasks."""

    seed: int = 0
    """Of splits that the data do not bring, of ``--limit`` and of the random scale of ``interpolation``."""
    assignment_seeds: int = 10
    """Random class assignments that probes and ``uniform`` set-ups are averaged over (seeds 0, 1, ...)."""
    protocol: str = "converged"
    """How probes are fitted: a name in ``benchmark.probe.PROTOCOLS``."""
    neighbours: int | None = None
    """k of kNN; by default what the data set says."""
    queries: int | None = None
    """Test photos that kNN asks about, seeded and class-balanced; all by default. It is the square of a big set."""
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
    runtime: str = field(default_factory=default_runtime)
    """What carries out forward passes: one of ``RUNTIMES``."""
    force_dtype: bool = False
    """Use a precision below float32 although the gate refuses it (``precision_gate.py``)."""
    allow_random: bool = False
    """Score an encoder whose two answers to the same pictures differ; the result says that it is one draw."""
    storage: str = "float32"
    """Precision of the bank."""
    batch_size: int = 64
    """Views per forward pass, where memory holds them."""
    workers: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))
    """Processes that make views, or decode photos for a device that makes them."""
    views: str = "auto"
    """Who makes views: the workers (``cpu``), the encoders' device (``device``), or the device where that is a CUDA GPU
    (``auto``). They are the same whoever does."""
    memory: int | None = None
    """Bytes that pictures being decoded share, over all workers; by default half of what is free."""
    fresh: bool = False
    """Make every bank again."""
    cache: Path = field(default_factory=default_cache)
    """Folder of the banks."""

    def checked(self) -> RunOptions:
        """These options, if each is in its range.

        Raises:
            UsageError: one is not.

        >>> RunOptions(mask_ratio=1.0).checked()
        Traceback (most recent call last):
        ...
        builders.errors.UsageError: mask ratio 1.0: give a share of at least 0 and less than 1
        """
        for name, value, least in (
            ("limit", self.limit, 1),
            ("neighbours", self.neighbours, 1),
            ("queries", self.queries, 1),
            ("batch size", self.batch_size, 1),
            ("workers", self.workers, 0),
            ("memory", self.memory, 1),
        ):
            if value is not None and value < least:
                raise UsageError(f"{name} {value}: at least {least} is needed")
        if not 0 <= self.mask_ratio < 1:
            raise UsageError(f"mask ratio {self.mask_ratio}: give a share of at least 0 and less than 1")
        for name, chosen, known in (
            ("dtype", self.dtype, DTYPES),
            ("storage", self.storage, STORAGE),
            ("views", self.views, VIEWS),
            ("runtime", self.runtime, RUNTIMES),
        ):
            if chosen not in known:
                raise unknown_name(name, chosen, known)
        return self
