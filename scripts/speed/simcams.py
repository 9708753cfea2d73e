"""Renders a second of the simulated cameras on one core, by compiled kernels and by NumPy, and the time of each stage.

Both engines take turns and must give the same bytes. Processor time of all threads: other work on the machine does not
count, and threads do not help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

from builders.kernels import VARIABLE
from builders.simcams import ProceduralScenes, Shot, bundled_catalogue, expose, render_shot
from builders.simcams.engine import Stages, chosen_stages, numpy_stages
from builders.simcams.random_numbers import generator
from builders.simcams.settings import STOPS, settings_for_scene
from builders.simcams.stages.jpeg_file import encode_file
from builders.simcams.stages.optics import Moment
from scripts.speed.measure import Row, Times, environment, interleaved, together

AIM_RENDERS_PER_SECOND = 3.0
"""What 512 x 512 pixels on one core must reach."""

ENGINES = {"kernels": "numba", "NumPy": "pillow"}
"""Name -> value of the variable that chooses the engine."""

T = TypeVar("T")


def rows(quick: bool = False, *, every: int = 1) -> Iterator[Row]:
    """Medians over cameras; ``every``: measure each camera of the catalogue (1), each third (3), ..."""
    cameras = bundled_catalogue()[:: 9 if quick else every]
    compiled = _with_engine("kernels", chosen_stages)
    for size in (256, 512):
        scenes = ProceduralScenes(4, size, size)
        kinds = range(1 if quick else scenes.count)  # a scene of each kind
        drawn = together([_by_both(partial(scenes.light, i)) for i in kinds])
        light = scenes.light(0)
        settings = settings_for_scene(light.scene_id, len(cameras), STOPS, 0)
        shots = [Shot(camera, s) for camera, s in zip(cameras, settings, strict=True)]
        _by_both(partial(render_shot, light, shots[0]))  # what is worked out once per size
        rendered = together([_by_both(partial(render_shot, light, shot)) for shot in shots])
        assert rendered.results["kernels"] == rendered.results["NumPy"], "kernels and NumPy differ"
        yield from _report(size, rendered, drawn)
        if size == 256:
            for engine, stages in {"kernels": compiled, "NumPy": numpy_stages()}.items():
                times = together([_of_stages(stages, light, shot) for shot in shots])
                for stage in times.of:
                    yield _row(f"  {stage}, {engine}", 1000 * times.median(stage), "ms a shot", len(shots))


def _report(size: int, rendered: Times, drawn: Times) -> Iterator[Row]:
    aim = {"aim": AIM_RENDERS_PER_SECOND} if size == 512 else {}
    for engine in ENGINES:
        name, rate = f"{size} x {size}, {engine}", 1 / max(rendered.median(engine), 1e-6)
        yield _row(f"render {name}", rate, "renders/s, one core", len(rendered), **aim)
        yield _row(f"  scene {name}", 1000 * drawn.median(engine), "ms, once for all cameras", len(drawn))
    for what, times in (("render", rendered), ("scene", drawn)):
        ratio = times.ratio("NumPy", "kernels")
        yield _row(f"{what} {size} x {size}: kernels against NumPy", ratio, "times as fast", len(times))


def _by_both(run: Callable[[], object]) -> Times:
    work = {engine: partial(_with_engine, engine, run) for engine in ENGINES}
    return interleaved(work, 1, clock="processor", warm_up=False)


def _of_stages(stages: Stages, light: Any, shot: Shot) -> Times:
    camera, settings, moment = shot.camera, shot.settings, Moment.draw(generator("speed"))
    exposure, raw = stages.light_on_sensor(light, camera, settings, moment), expose(light, shot)
    rgb = stages.develop(raw, camera, settings)
    work: dict[str, Callable[[], object]] = {
        "light on the sensor": lambda: stages.light_on_sensor(light, camera, settings, moment),
        "read-out": lambda: stages.read_out(exposure, camera, settings, 1, generator("speed")),
        "develop": lambda: stages.develop(raw, camera, settings),
        "JPEG": lambda: encode_file(rgb, camera.jpeg, 100),
    }
    return interleaved(work, 1, clock="processor", warm_up=False)


def _with_engine(engine: str, run: Callable[[], T]) -> T:
    with environment(**{VARIABLE: ENGINES[engine]}):
        return run()


def _row(what: str, value: float, unit: str, n: int, **more: float) -> Row:
    return Row(what, value, unit, n, threads=1, **more)
