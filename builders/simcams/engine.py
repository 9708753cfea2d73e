"""Choice of the implementation of the stages: NumPy, which defines them, or compiled kernels with the same results.

Kernels are used if numba is installed and they pass a test against NumPy at the start. ``CAMTRACE_ENGINE=pillow`` or
``numba`` forces one of the two.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from builders.kernels import BackgroundKernels, KernelTrial, forced_engine, try_kernels
from builders.simcams.stages.sensor import Raw

SIMCAMS_KERNELS = BackgroundKernels(
    "builders.simcams.engine:chosen_stages", "simcams", Path(__file__).parent / "kernels", "*.py"
)


@dataclass(frozen=True)
class Stages:
    """The stages that have two implementations."""

    paint: Callable[..., np.ndarray]
    """``stages.scene.paint``"""
    light_on_sensor: Callable[..., np.ndarray]
    """``stages.optics.light_on_sensor``"""
    read_out: Callable[..., Raw]
    """``stages.sensor.read_out``"""
    develop: Callable[..., np.ndarray]
    """``stages.develop.develop``"""


def chosen_stages() -> Stages:
    """The compiled stages if they pass their test, otherwise those of NumPy.

    The first call of a process reads the kernels from a cache; the first call on a machine compiles them, which takes
    about ten seconds.

    Raises:
        UsageError: ``CAMTRACE_ENGINE=numba`` where numba is not installed or a kernel differs.
    """
    if forced_engine() == "pillow":
        return numpy_stages()
    trial = tested()
    trial.check_forced("NumPy")
    return trial.kernels or numpy_stages()


@functools.cache
def numpy_stages() -> Stages:
    """The stages of NumPy, which define the results."""
    from builders.simcams.stages import develop, optics, scene, sensor

    return Stages(scene.paint, optics.light_on_sensor, sensor.read_out, develop.develop)


@functools.cache
def tested() -> KernelTrial[Stages]:
    """The compiled stages, compared with those of NumPy. Warns once if numba is installed but they are not usable."""
    trial = try_kernels(
        _compiled_stages,
        lambda compiled: difference(compiled, numpy_stages()),
        name="the kernels of simulated cameras",
        otherwise="going on with NumPy, which is slower",
        purpose="fast rendering of simulated cameras",
        first_call=SIMCAMS_KERNELS.first_call,
        stacklevel=4,
    )
    if not trial.objection:
        SIMCAMS_KERNELS.note()
    return trial


def _compiled_stages() -> Stages:
    from builders.simcams.kernels import stages

    return Stages(
        stages.compiled_paint, stages.compiled_light_on_sensor, stages.compiled_read_out, stages.compiled_develop
    )


def difference(stages: Stages, reference: Stages, size: int = 32) -> str:
    """Compare every stage bit by bit on two small scenes and a camera of each kind.

    Args:
        stages: to compare.
        reference: to compare with.
        size: pixels a side.

    Returns:
        Empty if they are equal, otherwise one sentence.
    """
    from builders.simcams.catalogue import bundled_catalogue
    from builders.simcams.random_numbers import generator
    from builders.simcams.settings import STOPS, settings_for_scene
    from builders.simcams.stages.light import SceneLight, margin_for
    from builders.simcams.stages.optics import Moment

    cameras = {camera.kind: camera for camera in bundled_catalogue()}.values()
    margin = margin_for(size, size)
    side = size + 2 * margin
    for kind in ("blocks", "weave"):
        linear = reference.paint(kind, side, side, generator(kind))
        if not np.array_equal(stages.paint(kind, side, side, generator(kind)), linear):
            return f"compiled scenes differ from NumPy's ({kind})"
        light = SceneLight.of_linear_rgb(kind, linear, margin)
        for camera, settings in zip(cameras, settings_for_scene(kind, len(cameras), STOPS, 0), strict=True):
            moment = Moment.draw(generator("moment", camera.name))
            exposure = reference.light_on_sensor(light, camera, settings, moment)
            if not np.array_equal(stages.light_on_sensor(light, camera, settings, moment), exposure):
                return f"compiled optics differ from NumPy's ({camera.name})"
            raw, again = (
                implementation.read_out(exposure, camera, settings, 1, generator("noise", camera.name))
                for implementation in (reference, stages)
            )
            if not np.array_equal(raw.dn, again.dn):
                return f"compiled read-out differs from NumPy's ({camera.name})"
            if not np.array_equal(stages.develop(raw, camera, settings), reference.develop(raw, camera, settings)):
                return f"compiled development differs from NumPy's ({camera.name})"
    return ""
