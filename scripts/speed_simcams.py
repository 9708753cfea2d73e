"""Renders a second of the simulated cameras on one core, by stage; ``--quick`` runs the same on few renders."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from builders.simcams import ProceduralScenes, Shot, bundled_catalogue, expose, render_shot
from builders.simcams.demosaic import demosaic
from builders.simcams.design import STOPS, settings_for_scene
from builders.simcams.jpeg import encode_file
from builders.simcams.optics import Moment, light_on_sensor
from builders.simcams.pipeline import balanced_mosaic, develop

AIM_RENDERS_PER_SECOND = 3.0
"""What 512 x 512 pixels on one core must reach."""


def rows(quick: bool = False) -> list[dict[str, Any]]:
    """One row per figure: ``what``, ``value``, ``unit``, ``n``, ``aim`` where there is one. Medians over cameras."""
    cameras = bundled_catalogue()[:: 9 if quick else 1]
    result = []
    for size in (256, 512):
        scenes = ProceduralScenes(1, size, size)
        scene_s = _median([_seconds(lambda s=scenes: s.light(0)) for _ in range(1 if quick else 3)])
        light = scenes.light(0)
        settings = settings_for_scene(light.scene_id, len(cameras), STOPS, 0)
        shots = [Shot(camera, s) for camera, s in zip(cameras, settings, strict=True)]
        render_shot(light, shots[0])  # what is worked out once per size
        times = [_seconds(lambda light=light, shot=shot: render_shot(light, shot)) for shot in shots]
        aim = {"aim": AIM_RENDERS_PER_SECOND} if size == 512 else {}
        result.append(_row(f"render {size} x {size}", 1 / _median(times), "renders/s, one core", len(times), **aim))
        result.append(_row(f"procedural scene {size} x {size}", 1000 * scene_s, "ms, once for all cameras", 1))
        if size == 512:
            for stage, stage_times in _stages(light, shots).items():
                result.append(_row(f"  {stage}", 1000 * _median(stage_times), "ms a render_shot", len(stage_times)))
    return result


def _stages(light: Any, shots: Sequence[Shot]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {}
    for shot in shots:
        camera, settings = shot.camera, shot.settings
        raw = expose(light, shot)
        mosaic = balanced_mosaic(raw, camera, settings)
        rgb = develop(raw, camera, settings)
        moment = Moment.draw(np.random.default_rng(0))
        stages: dict[str, Callable[[], object]] = {
            "light on the sensor": lambda c=camera, s=settings, m=moment: light_on_sensor(light, c, s, m),
            "light on the sensor + read-out": lambda s=shot: expose(light, s),
            "develop": lambda r=raw, c=camera, s=settings: develop(r, c, s),
            "demosaic (part of develop)": lambda m=mosaic, c=camera: demosaic(m, c.body.bayer, c.pipeline.demosaic),
            "JPEG": lambda x=rgb, c=camera: encode_file(x, c.jpeg, 100),
        }
        for stage, run in stages.items():
            times.setdefault(stage, []).append(_seconds(run))
    return times


def _row(what: str, value: float, unit: str, n: int, **more: float) -> dict[str, Any]:
    return {"what": what, "value": round(value, 2), "unit": unit, "n": n, **more}


def _seconds(run: Callable[[], object]) -> float:
    start = time.process_time()  # of all threads: other work on the machine does not count, and threads do not help
    run()
    return time.process_time() - start


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
        print(f"{row['what']:36} {row['value']:10.2f} {row['unit']}{aim}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
