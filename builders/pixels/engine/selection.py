"""Which engine makes the pixels: the exact one where it is installed and passes its test, Pillow otherwise.

``CAMTRACE_ENGINE=pillow`` or ``CAMTRACE_ENGINE=numba`` forces one. Both make the same pixels; Pillow is the reference.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import warnings
from types import ModuleType

import numpy as np
from PIL import Image

from builders.errors import UsageError, missing_package
from builders.kernels import VARIABLE, BackgroundKernels, forced_engine
from builders.pixels.requests import Rectangle, ResizeCrop
from builders.untrusted import describe_error

ENGINE_KERNELS = BackgroundKernels("builders.pixels.engine.selection:chosen_engine", "views")

SELF_TEST_SIZES = ((37, 83), (50, 35), (4, 21))
"""(width, height): tall enough for the order of a resize's passes, odd sides, too narrow for libjpeg's filter."""


def chosen_engine() -> ModuleType | None:
    """``engine.photo``, compiled and tested against the installed Pillow, or ``None`` for Pillow itself.

    The first call of a process takes some tenths of a second; the first on a machine compiles, some ten seconds.

    Raises:
        UsageError: the variable has another value, or forces an engine that is not there or not exact.
    """
    forced = forced_engine()
    if forced == "pillow":
        return None
    found, objection = _tested()
    if objection and forced:
        raise UsageError(f"{VARIABLE}=numba: {objection}; unset it to use Pillow")
    return found


@functools.cache
def _tested() -> tuple[ModuleType | None, str]:
    """The engine, or none and the reason; warns once if it is there but not usable."""
    if importlib.util.find_spec("numba") is None:
        return None, missing_package("numba", "the fast engine")
    try:
        with ENGINE_KERNELS.first_call():
            from builders.pixels.engine import photo

            objection = self_test(photo)
    except Exception as error:  # of a compiler: any
        objection = f"the fast engine cannot be compiled ({describe_error(error)})"
    if objection:
        warnings.warn(f"{objection}; using Pillow, which is slower", RuntimeWarning, stacklevel=4)
        return None, objection
    ENGINE_KERNELS.note()
    return photo, ""


def begin_compiling_engine() -> None:
    """Begin to compile the engine in a process of its own, where this machine does not have it; returns at once."""
    ENGINE_KERNELS.begin()


def engine_being_compiled() -> bool:
    """Whether that process is still at it: who asks for the engine now waits."""
    return ENGINE_KERNELS.running


def self_test(photo: ModuleType) -> str:
    """Empty if every processing and a preprocessing of a few tiny pictures equal Pillow's, else one sentence."""
    from builders.pixels.parameters import PROCESSINGS
    from builders.pixels.reference import process_by_pillow, request

    for width, height in SELF_TEST_SIZES:
        noise = hashlib.shake_256(b"camtrace engine").digest(width * height * 3)
        pixels = np.frombuffer(noise, np.uint8).reshape(height, width, 3)
        picture = Image.fromarray(pixels)
        wanted = [request(processing, picture.size, "self-test", 0) for processing in PROCESSINGS.values()]
        taken = [i for i, one in enumerate(wanted) if photo.takes(one, picture.size)]
        requests, names = [wanted[i] for i in taken], [list(PROCESSINGS)[i] for i in taken]
        (cut,) = photo.preprocessed(pixels, requests, [_small])  # makes no more than the cut needs
        whole = photo.pictures(pixels, requests)
        for name, small, view in zip(names, cut, whole, strict=True):
            expected = process_by_pillow(picture, PROCESSINGS[name], "self-test", 0)
            shrunk = _small(*expected.size)(expected)
            if not np.array_equal(view, np.asarray(expected)) or not np.array_equal(small, shrunk):
                return f"the fast engine differs from this Pillow ({name}, {width} x {height})"
    return ""


def _small(width: int, height: int) -> ResizeCrop:
    """A preprocessing that shrinks and cuts."""
    size = (max(1, width // 2), max(1, height // 2))
    after = Rectangle(size[0] // 4, 0, size[0], size[1])
    return ResizeCrop((width, height), Rectangle(0, 0, width, height), size, int(Image.Resampling.BICUBIC), after)
