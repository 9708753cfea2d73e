"""What a run may be told: one frozen value, read by every room."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from builders.errors import UsageError, unknown_name
from builders.files import cache_folder

DTYPES = ("float32", "tf32", "bfloat16", "float16")
STORAGE = ("float32", "float16")
VIEWS = ("auto", "cpu", "device")
RUNTIMES = ("auto", "torch", "openvino", "onnxruntime")
"""What may carry out forward passes; ``auto`` decides as ``benchmark/encoders/runtime.py`` says."""
PREPROCESS = ("own", "study", "short-side", "squash")
"""Preprocessings of an encoder: ``benchmark/encoders/preprocess_modes.py`` says what each means."""
TIES = ("nearest", "random")
"""What a tied kNN vote counts for: whether the label of the nearest tied neighbour is right, or the probability that a
random one of the tied labels is (in closed form: nothing is drawn)."""
ORIENTATION = ("upright", "stored")
"""Of photos that are processed or seen plain by kNN: the Exif orientation applied, or pixels as the file stores them.
Photos that are asked about their camera, and pairs, are always upright."""


@dataclass(frozen=True)
class Preset:
    """A named set of choices. An option that is given beside it wins, and the result says so."""

    name: str
    protocol: str
    preprocess: str
    ties: str
    orientation: str
    summary: str
    """One line for people."""


CHOICES = ("protocol", "preprocess", "ties", "orientation")
"""What a preset decides; fields of ``Preset`` and of ``RunOptions``."""

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            Preset(
                "camtrace",
                "converged",
                "own",
                "nearest",
                "upright",
                "ours: each encoder's own preprocessing, probes solved to their optimum, ties to the nearest label",
            ),
            Preset(
                "iccv2025",
                "iccv2025",
                "study",
                "random",
                "stored",
                "as the ICCV 2025 study's released code: short side = crop, its SGD, random ties, no Exif orientation",
            ),
        )
    }
)
"""By name."""

STUDY_PRESET = "iccv2025"
"""The preset under which our numbers stand beside the published ones."""


def default_cache() -> Path:
    """Where banks live: ``$CAMTRACE_CACHE``, or ``camtrace`` in the user's cache folder."""
    return cache_folder()


def automatic_runtime() -> str:
    """What ``auto`` tries first: ``$CAMTRACE_RUNTIME``, or OpenVINO.

    Raises:
        UsageError: the variable names no runtime.
    """
    named = os.environ.get("CAMTRACE_RUNTIME") or "openvino"
    if named not in RUNTIMES[1:]:
        raise unknown_name("runtime in CAMTRACE_RUNTIME", named, RUNTIMES[1:])
    return named


@dataclass(frozen=True)
class RunOptions:
    """Everything that decides scores or how they are made, besides the encoder, the photos and the tasks."""

    seed: int = 0
    """Of splits that the data do not bring, of ``--limit`` and of the random scale of ``interpolation``."""
    assignment_seeds: int = 10
    """Random class assignments that probes and ``uniform`` set-ups are averaged over (seeds 0, 1, ...)."""
    preset: str = "camtrace"
    """A name in ``PRESETS``; the four choices below are already made, by it or in its place."""
    protocol: str = PRESETS["camtrace"].protocol
    """How probes are fitted: a name in ``benchmark.probe.PROTOCOLS``."""
    readers: str = "linear"
    """Who reads traces, with commas between them: names in ``benchmark.probe.READERS``, the linear one among them."""
    preprocess: str = PRESETS["camtrace"].preprocess
    """Of every encoder, applied when it is loaded: one of ``PREPROCESS``; here for the record."""
    ties: str = PRESETS["camtrace"].ties
    """One of ``TIES``."""
    orientation: str = PRESETS["camtrace"].orientation
    """One of ``ORIENTATION``."""
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
    """Where encoders and tasks compute; of several (``benchmark.compute.named_devices``) all embed, and tasks take the
    first."""
    dtype: str = "float32"
    """Precision of the forward pass: one of ``DTYPES``."""
    compile: bool = False
    """Forward passes by ``torch.compile``."""
    runtime: str = "auto"
    """What carries out forward passes: one of ``RUNTIMES``."""
    force_dtype: bool = False
    """Use a precision below float32 although the gate refuses it (``precision_gate.py``)."""
    allow_random: bool = False
    """Score an encoder whose two answers to the same pictures differ; the result says that it is one draw."""
    storage: str = "float32"
    """Precision of the bank."""
    outputs: tuple[str, ...] = ()
    """Of every encoder, scored beside its embedding: ``layers``, ``layers[::4]:mean,cls``, ...
    (``benchmark/encoders/outputs.py``)."""
    batch_size: int = 64
    """Views per forward pass, where memory holds them."""
    workers: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))
    """Processes that make views, or decode photos for a device that makes them; for each of several devices, within its
    part of the cores."""
    views: str = "auto"
    """Who makes views: the workers (``cpu``), the encoders' device (``device``), or (``auto``) the device where that is
    a CUDA GPU and there are few workers (``benchmark/views/choice.py``). They are the same whoever does."""
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
            ("preset", self.preset, PRESETS),
            ("preprocess", self.preprocess, PREPROCESS),
            ("ties", self.ties, TIES),
            ("orientation", self.orientation, ORIENTATION),
            ("runtime", self.runtime, RUNTIMES),
        ):
            if chosen not in known:
                raise unknown_name(name, chosen, known)
        return self


def choices(preset: str, given: Mapping[str, str | None]) -> dict[str, str]:
    """The choices of a preset, but for those that are given.

    Args:
        preset: a name in ``PRESETS``.
        given: by name in ``CHOICES``; None, or nothing, leaves one to the preset.

    Raises:
        UsageError: there is no such preset.

    >>> choices("iccv2025", {"ties": "nearest", "protocol": None})
    {'protocol': 'iccv2025', 'preprocess': 'study', 'ties': 'nearest', 'orientation': 'stored'}
    """
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    return {name: given.get(name) or getattr(PRESETS[preset], name) for name in CHOICES}


def preset_label(recorded: Mapping[str, Any], relevant: tuple[str, ...] = CHOICES) -> str:
    """The preset that a result records, and the choices that are not the preset's.

    Args:
        recorded: ``environment.options`` of a result; one without a preset is older than presets, and was ours.
        relevant: the choices that matter.

    >>> preset_label({"preset": "iccv2025", "protocol": "converged", "ties": "random"})
    'iccv2025 with protocol converged'
    >>> preset_label({"protocol": "iccv2025"}), preset_label({"protocol": "iccv2025"}, ("ties",))
    ('camtrace with protocol iccv2025', 'camtrace')
    """
    name = str(recorded.get("preset") or "camtrace")
    usual = PRESETS.get(name)
    other = [
        f"{choice} {recorded[choice]}"
        for choice in relevant
        if usual and recorded.get(choice) is not None and recorded[choice] != getattr(usual, choice)
    ]
    return f"{name} with {' and '.join(other)}" if other else name
