"""The choice of the engine that makes pixels: the exact compiled one where it passes its test, Pillow otherwise.

``CAMTRACE_ENGINE=pillow`` or ``CAMTRACE_ENGINE=numba`` forces one. Both make the same pixels; Pillow is the reference.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from builders.kernels import BackgroundKernels, KernelTrial, forced_engine, try_kernels
from builders.pixels.requests import Rectangle, ResizeCrop

ENGINE_KERNELS = BackgroundKernels(
    "builders.pixels.engine.selection:chosen_engine", "views", Path(__file__).parent, "*.py"
)

SELF_TEST_SIZES = ((37, 83), (50, 35), (4, 21))
"""(width, height): tall enough for the order of a resize's passes, odd sides, too narrow for libjpeg's filter."""


def chosen_engine() -> ModuleType | None:
    """``engine.photo``, compiled and tested against the installed Pillow, or ``None`` for Pillow itself.

    The first call of a process takes some tenths of a second; the first on a machine compiles, some ten seconds.

    Raises:
        UsageError: the variable has another value, or forces an engine that is not installed or not exact.
    """
    if forced_engine() == "pillow":
        return None
    trial = _trial()
    trial.check_forced("Pillow")
    return trial.kernels


@functools.cache
def _trial() -> KernelTrial[ModuleType]:
    trial = try_kernels(
        _load,
        self_test,
        name="the fast engine",
        otherwise="using Pillow, which is slower",
        first_call=ENGINE_KERNELS.first_call,
        stacklevel=4,
    )
    if not trial.objection:
        ENGINE_KERNELS.note()
    return trial


def _load() -> ModuleType:
    from builders.pixels.engine import photo

    return photo


def begin_compiling_engine() -> None:
    """Start to compile the engine in a separate process, where this machine does not have it; returns at once."""
    ENGINE_KERNELS.begin()


def engine_being_compiled() -> bool:
    """True while that process compiles: ``chosen_engine`` waits for it."""
    return ENGINE_KERNELS.running


def self_test(photo: ModuleType) -> str:
    """Compare every processing and a preprocessing of a few tiny pictures with Pillow: empty if all are equal, else one
    sentence."""
    from builders.pixels.parameters import BUILT_IN_PROCESSINGS
    from builders.pixels.reference import process_by_pillow, request

    for width, height in SELF_TEST_SIZES:
        noise = hashlib.shake_256(b"camtrace engine").digest(width * height * 3)
        pixels = np.frombuffer(noise, np.uint8).reshape(height, width, 3)
        picture = Image.fromarray(pixels)
        candidates = {name: request(p, picture.size, "self-test", 0) for name, p in BUILT_IN_PROCESSINGS.items()}
        requests = {name: wanted for name, wanted in candidates.items() if photo.takes(wanted, picture.size)}
        (cut,) = photo.preprocessed(pixels, list(requests.values()), [_small])  # makes no more than the cut needs
        whole = photo.pictures(pixels, list(requests.values()))
        for name, small, view in zip(requests, cut, whole, strict=True):
            expected = process_by_pillow(picture, BUILT_IN_PROCESSINGS[name], "self-test", 0)
            shrunk = _small(*expected.size)(expected)
            if not np.array_equal(view, np.asarray(expected)) or not np.array_equal(small, shrunk):
                return f"the fast engine differs from this Pillow ({name}, {width} x {height})"
    return ""


def _small(width: int, height: int) -> ResizeCrop:
    """A preprocessing that shrinks and cuts."""
    size = (max(1, width // 2), max(1, height // 2))
    after = Rectangle(size[0] // 4, 0, size[0], size[1])
    return ResizeCrop((width, height), Rectangle(0, 0, width, height), size, int(Image.Resampling.BICUBIC), after)
