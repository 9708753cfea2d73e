"""Renders a second of the simulated cameras on one core, by compiled kernels and by NumPy, in turn, the same bytes, and
the time of each stage; ``--quick`` runs the same on few renders."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from builders.simcams import ProceduralScenes, Shot, bundled_catalogue, expose, render_shot
from builders.simcams.design import STOPS, settings_for_scene
from builders.simcams.jpeg import encode_file
from builders.simcams.optics import Moment
from builders.simcams.randomness import generator
from builders.simcams.stages import Stages, chosen_stages, numpy_stages

AIM_RENDERS_PER_SECOND = 3.0
"""What 512 x 512 pixels on one core must reach."""

ENGINES = {"kernels": "numba", "NumPy": "pillow"}
"""Name -> ``CAMTRACE_ENGINE``."""


def rows(quick: bool = False, *, every: int = 1) -> list[dict[str, Any]]:
    """One row per figure: ``what``, ``value``, ``unit``, ``n``, ``aim`` where there is one. Medians over cameras.

    ``every``: measure each camera of the catalogue (1), each third (3), ...
    """
    cameras = bundled_catalogue()[:: 9 if quick else every]
    result = []
    for size in (256, 512):
        scenes = ProceduralScenes(4, size, size)
        drawn: dict[str, list[float]] = {engine: [] for engine in ENGINES}
        taken: dict[str, list[float]] = {engine: [] for engine in ENGINES}
        for index in range(1 if quick else scenes.count):  # a scene of each kind
            for engine in ENGINES:
                drawn[engine].append(_seconds(engine, lambda s=scenes, i=index: s.light(i))[0])
        light = scenes.light(0)
        settings = settings_for_scene(light.scene_id, len(cameras), STOPS, 0)
        shots = [Shot(camera, s) for camera, s in zip(cameras, settings, strict=True)]
        for shot in (shots[0], *shots):  # the first is for what is worked out once per size
            files = []
            for engine, times in taken.items():
                seconds, file = _seconds(engine, lambda light=light, shot=shot: render_shot(light, shot))
                times.append(seconds)
                files.append(file)
            assert files[0] == files[1], "kernels and NumPy differ"
        taken = {engine: times[1:] for engine, times in taken.items()}
        aim = {"aim": AIM_RENDERS_PER_SECOND} if size == 512 else {}
        for engine, times in taken.items():
            name = f"{size} x {size}, {engine}"
            result.append(_row(f"render {name}", 1 / _median(times), "renders/s, one core", len(times), **aim))
            result.append(
                _row(f"  scene {name}", 1000 * _median(drawn[engine]), "ms, once for all cameras", len(drawn[engine]))
            )
        for what, both in (("render", taken), ("scene", drawn)):
            ratio = statistics.median(n / max(k, 1e-6) for k, n in zip(both["kernels"], both["NumPy"], strict=True))
            result.append(
                _row(f"{what} {size} x {size}: kernels against NumPy", ratio, "times as fast", len(both["NumPy"]))
            )
        if size == 256:
            for engine, stages in {"kernels": _chosen("kernels"), "NumPy": numpy_stages()}.items():
                for stage, times in _stages(stages, light, shots).items():
                    result.append(_row(f"  {stage}, {engine}", 1000 * _median(times), "ms a shot", len(times)))
    return result


def _stages(stages: Stages, light: Any, shots: Sequence[Shot]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {}
    for shot in shots:
        camera, settings, moment = shot.camera, shot.settings, Moment.draw(generator("speed"))
        exposure, raw = stages.light_on_sensor(light, camera, settings, moment), expose(light, shot)
        rgb = stages.develop(raw, camera, settings)
        runs: dict[str, Callable[[], object]] = {
            "light on the sensor": lambda c=camera, s=settings, m=moment: stages.light_on_sensor(light, c, s, m),
            "read-out": lambda c=camera, s=settings, e=exposure: stages.read_out(e, c, s, 1, generator("speed")),
            "develop": lambda r=raw, c=camera, s=settings: stages.develop(r, c, s),
            "JPEG": lambda x=rgb, c=camera: encode_file(x, c.jpeg, 100),
        }
        for stage, run in runs.items():
            times.setdefault(stage, []).append(_timed(run)[0])
    return times


def _chosen(engine: str) -> Stages:
    before = os.environ.get("CAMTRACE_ENGINE", "")
    os.environ["CAMTRACE_ENGINE"] = ENGINES[engine]
    try:
        return chosen_stages()
    finally:
        os.environ["CAMTRACE_ENGINE"] = before


def _row(what: str, value: float, unit: str, n: int, **more: float) -> dict[str, Any]:
    return {"what": what, "value": round(value, 2), "unit": unit, "n": n, "threads": 1, **more}


def _seconds(engine: str, run: Callable[[], Any]) -> tuple[float, Any]:
    """Processor time and answer, with the engine forced."""
    before = os.environ.get("CAMTRACE_ENGINE", "")
    os.environ["CAMTRACE_ENGINE"] = ENGINES[engine]
    try:
        chosen_stages()
        return _timed(run)
    finally:
        os.environ["CAMTRACE_ENGINE"] = before


def _timed(run: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()  # of all threads: other work on the machine does not count, and threads do not help
    answer = run()
    return time.process_time() - start, answer


def _median(values: Sequence[float]) -> float:
    return max(statistics.median(values), 1e-6)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few renders: it runs, the figures say little")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    arguments = parser.parse_args(argv)
    measured = rows(arguments.quick)
    if arguments.json:
        print(json.dumps(measured, indent=1))
        return 0
    for row in measured:
        aim = f"   (aim: {row['aim']:g})" if "aim" in row else ""
        print(f"{row['what']:44} {row['value']:10.2f} {row['unit']}{aim}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
