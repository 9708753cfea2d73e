"""Components of variance on simulated cameras, where the truth is known: an effect that is turned off has no share.

    python -m scripts.checks.variance [--scenes 16] [--model SPEC]

Every scene is rendered by three cameras at two ISO speeds, and saved by two platforms (as it is; half the size and JPEG
quality 40). ``camtrace score --tasks variance/components`` takes the variance apart, first with all effects, then with
one of them turned off: one camera under three names (of three bodies), one ISO speed under two, one platform under two.
The share of that effect, and of its combinations, must then be 0 within its interval and below a point. The others must
stay: they must be those of the photos that the first set has of that one camera, speed or platform.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from PIL import Image

from benchmark.__main__ import main as camtrace
from builders.simcams.camera import Framing, Settings
from builders.simcams.catalogue import bundled_catalogue
from builders.simcams.render import Shot, SimulatedShots
from builders.simcams.scene_sources import ProceduralScenes

EFFECTS = ("device", "speed", "platform")
KINDS = ("phone", "compact", "dslr")
SPEEDS = (100, 6400)
MOST_OFF = 0.01
"""Largest share of an effect that is turned off."""
SHOT = "scene x device x speed"
"""One shot: its noise, and that of its body, is in the photos of both platforms, and is never off."""
STAYS = 0.03
"""Largest change of another effect's share: the bodies of a camera and their noise are others."""


def platform(data: bytes, name: str) -> bytes:
    """The photo as a platform stores it."""
    if name == "original":
        return data
    with Image.open(io.BytesIO(data)) as image:
        small = image.convert("RGB").resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
        stored = io.BytesIO()
        small.save(stored, "JPEG", quality=40)
        return stored.getvalue()


def write_set(folder: Path, scenes: int, off: str) -> None:
    """Photos and their table. An effect that is off has its first level under every name; each name is another unit."""
    source = ProceduralScenes(scenes, 256, 256, 0)
    cameras = [next(camera for camera in bundled_catalogue() if camera.kind == kind) for kind in KINDS]
    cells = [(s, d, i) for s in range(scenes) for d in range(len(cameras)) for i in range(len(SPEEDS))]
    shots = []
    for _, d, i in cells:
        camera, iso = cameras[0 if off == "device" else d], SPEEDS[0 if off == "speed" else i]
        unit = 1 + d * len(SPEEDS) + i
        shots.append(Shot(camera, Settings(Fraction(1, 125), 2.8, iso, 28.0), unit, Framing(), 0))
    rendered = SimulatedShots(source, tuple(s for s, _, _ in cells), tuple(shots))
    rows = []
    for row, (s, d, i) in enumerate(cells):
        data = rendered.read(row)
        for name in ("original", "messenger"):
            path = f"{s:03}-{KINDS[d]}-{SPEEDS[i]}-{name}.jpg"
            (folder / path).write_bytes(platform(data, "original" if off == "platform" else name))
            rows.append([path, f"scene {s:03}", KINDS[d], str(SPEEDS[i]), name])
    with (folder / "photos.csv").open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines).writerows([["path", "scene", *EFFECTS], *rows])


def keep_first(folder: Path, effect: str) -> None:
    """Leave the photos of the first value of an effect in the table."""
    with (folder / "photos.csv").open(newline="", encoding="utf-8") as lines:
        head, *rows = csv.reader(lines)
    at = head.index(effect)
    with (folder / "photos.csv").open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines).writerows([head, *(row for row in rows if row[at] == rows[0][at])])


def measured(folder: Path, model: str, effects: Sequence[str] = EFFECTS) -> dict[str, Mapping[str, float]]:
    """Components by effect, as the command writes them."""
    groups = "".join(f"&group={name}" for name in effects)
    spec = f"table:{folder / 'photos.csv'}?image=path&scene=scene{groups}"
    words = ["score", "-q", "--model", model, "--data", spec, "--tasks", "variance/components"]
    status = camtrace([*words, "--output", str(folder / "out"), "--cache", str(folder / "cache")])
    if status:
        raise SystemExit(status)
    result = json.loads((folder / "out" / "result.json").read_text(encoding="utf-8"))
    rows = next(s["details"]["components"] for s in result["scores"] if s["metric"] == "scene")
    return {row["effect"]: row for row in rows}


def shown(what: str, table: Mapping[str, Mapping[str, float]]) -> None:
    shares = ", ".join(f"{name} {100 * row['estimate']:.2f}" for name, row in table.items())
    print(f"{what}: {shares} %", flush=True)


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--scenes", type=int, default=16)
    p.add_argument("--model", default="bundled:efficientnet-lite0")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as place:
        write_set(Path(place), args.scenes, "")
        whole, table = measured(Path(place), args.model), (Path(place) / "photos.csv").read_bytes()
        shown("all effects", whole)
        problems = [f"{name} is on, and not above 0" for name in EFFECTS if whole[name]["low"] <= 0]
        of_first = {}
        for off in EFFECTS:
            (Path(place) / "photos.csv").write_bytes(table)
            keep_first(Path(place), off)
            of_first[off] = measured(Path(place), args.model, [name for name in EFFECTS if name != off])
    for off in EFFECTS:
        with tempfile.TemporaryDirectory() as place:
            write_set(Path(place), args.scenes, off)
            table_off = measured(Path(place), args.model)
        shown(f"without {off}", table_off)
        for name, row in table_off.items():
            if off in name.split(" x ") and name != SHOT and not (row["low"] <= 0 and row["estimate"] < MOST_OFF):
                problems.append(f"{off} is off, and {name} has {100 * row['estimate']:.2f} %")
        shown(f"  with the first {off} alone", of_first[off])
        for name, row in of_first[off].items():
            if name != "rest" and abs(row["estimate"] - table_off[name]["estimate"]) > STAYS:
                problems.append(f"without {off}, {name} moved to {100 * table_off[name]['estimate']:.2f} %")
    print("\n".join(problems) or "no problem")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
