"""Simulated cameras in the layouts of real camera sets, marked as simulated: ``build simcams --layout fodb``.

Loaders, tasks and guides of real sets run on them. Sizes of effects in the real sets do not follow from them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from builders.errors import DataError, PhotoError, UsageError
from builders.extras.cameras.design import SIMULATED_FILE
from builders.extras.cameras.layouts import ES_GRIDS
from builders.files import write_bytes_atomically, write_text_atomically
from builders.photos import PhotoSet
from builders.pixels import Processing, decode_rgb, processed_file
from builders.processes import progress_bar, run_in_pool
from builders.simcams import (
    SIMULATED,
    Catalogue,
    Moment,
    SceneLight,
    Scenes,
    Settings,
    Shot,
    SimulatedShots,
    render_shot,
)
from builders.untrusted import list_folder

PLATFORMS = {
    "facebook": Processing("simulated-facebook", 71, "4:2:0", scale=0.75),
    "instagram": Processing("simulated-instagram", 75, "4:2:0", scale=0.7),
    "telegram": Processing("simulated-telegram", 87, "4:2:0", scale=0.8),
    "twitter": Processing("simulated-twitter", 85, "4:2:0"),
    "whatsapp": Processing("simulated-whatsapp", 70, "4:2:0", scale=0.8),
}
"""Stand-ins for social networks: resize and JPEG quality are guesses, no network was measured."""

LIGHTS = {"l1": 0.0, "l5": -2.0}
"""Stops by which each light differs from the light that the middle setting exposes correctly."""

FOCAL_LENGTH_35MM = 50.0


@dataclass(frozen=True)
class LayoutFile:
    """A file of the layout."""

    path: str
    shot: Shot
    stops: float = 0.0
    """Stops by which the scene is brighter than the settings expose correctly."""
    platform: str = ""
    """A key of ``PLATFORMS``; empty for the file as the camera wrote it."""
    steady: bool = False
    """Whether camera and scene stand still, as in a studio."""


@dataclass(frozen=True)
class LayoutPlan:
    """All files of a simulated set, by scene."""

    root: Path
    scenes: Scenes
    files: tuple[tuple[LayoutFile, ...], ...]
    """Of each scene; files of one shot are adjacent, the camera's own file first."""


@dataclass(frozen=True)
class LayoutBuild:
    """What was written."""

    folder: Path
    """The set, named ``simulated-LAYOUT``."""
    files: int
    failures: tuple[str, ...]
    """Scenes that could not be rendered, with the reason."""


def fodb_files(photos: PhotoSet, cameras: Catalogue) -> list[list[LayoutFile]]:
    """Files in the layout of FODB, by scene: every shot of ``simcams_photos`` or ``simpairs_photos`` through platforms.

    Args:
        photos: of these functions; one body of each camera takes all its photos.
        cameras: numbered in their order.
    """
    source = photos.source
    assert isinstance(source, SimulatedShots)
    number = {camera.name: f"D{i:02}" for i, camera in enumerate(cameras, 1)}
    files: list[list[LayoutFile]] = [[] for _ in range(source.scenes.count)]
    for scene, shot in zip(source.scene_of, source.shots, strict=True):
        device = number[shot.camera.name]
        folder = f"{device}_{_word(shot.camera.make)}_{_word(shot.camera.model)}_1"
        for platform in ("", *PLATFORMS):
            kind = platform or "orig"
            path = f"{folder}/{kind}/{device}_img_{kind}_{scene + 1:04}.jpg"
            files[scene].append(LayoutFile(path, dataclasses.replace(shot, unit=1), platform=platform))
    return files


def imagenet_es_files(scenes: Scenes, cameras: Catalogue, seed: int) -> list[list[LayoutFile]]:
    """Files in the layout of ImageNet-ES's part ``es-test``, by scene: 27 settings under two lights by one camera.

    The scene keeps its light, so that settings make pictures darker or brighter, as in the real set.

    Raises:
        UsageError: there is no camera with a large sensor.
    """
    camera = next((camera for camera in cameras if camera.kind == "dslr"), None)
    if camera is None:
        raise UsageError("--layout imagenet-es needs a camera of kind dslr")
    kinds = sorted({scenes.kind(i) for i in range(scenes.count)})
    levels = ES_GRIDS["es-test"]
    grid = [
        Settings(Fraction(exposure), float(aperture), int(iso), FOCAL_LENGTH_35MM)
        for aperture in levels.aperture
        for exposure in levels.exposure
        for iso in levels.iso
    ]
    middle = grid[len(grid) // 2].scene_luminance_cd_m2
    return [
        [
            LayoutFile(
                f"es-test/param_control/{light}/param_{number}/n{kinds.index(scenes.kind(i)) + 1:08}/{scene}.JPEG",
                Shot(camera, settings, seed=seed * len(LIGHTS) + position),
                stops + math.log2(middle / settings.scene_luminance_cd_m2),
                steady=True,
            )
            for position, (light, stops) in enumerate(LIGHTS.items())
            for number, settings in enumerate(grid, 1)
        ]
        for i, scene in enumerate(scenes.ids)
    ]


def build_layout(
    layout: str,
    scenes: Scenes,
    files: Sequence[Sequence[LayoutFile]],
    output: Path,
    *,
    workers: int = 1,
    fresh: bool = False,
) -> LayoutBuild:
    """Render files into ``output/simulated-LAYOUT``. Files that are there are taken: a stopped run goes on.

    Args:
        layout: ``fodb`` or ``imagenet-es``.
        scenes, files: of the set, in one order.
        output: folder of the build.
        workers: processes.
        fresh: replace a simulated set of other settings.

    Raises:
        UsageError: the folder holds a simulated set of other settings, or something else.
        DataError: no scene could be rendered.
    """
    root = output / f"simulated-{layout}"
    mark = _mark(layout, scenes, files)
    _prepare(root, mark, fresh)
    count = sum(map(len, files))
    with progress_bar(total=count, desc=f"rendering {root.name}", unit="photo", delay=2) as bar:
        plan = LayoutPlan(root, scenes, tuple(map(tuple, files)))
        outcomes = run_in_pool(_scene, range(len(files)), shared=plan, workers=workers, progress=bar.update)
    failures = tuple(f"{scenes.ids[i]}: {reason}" for i, (_, reason) in enumerate(outcomes) if reason)
    digests = [digest for some, _ in outcomes for digest in some]
    if not digests:
        raise DataError(f"{root}: no scene could be rendered (the first: {failures[0]})")
    whole = hashlib.sha256("".join(digests).encode()).hexdigest()
    mark = {**mark, "files": len(digests), "sha256_of_sha256": whole, "failures": list(failures)}
    write_text_atomically(root / SIMULATED_FILE, json.dumps(mark, indent=1) + "\n")
    write_text_atomically(root / "README.md", _card(layout, mark))
    return LayoutBuild(root, len(digests), failures)


def _mark(layout: str, scenes: Scenes, files: Sequence[Sequence[LayoutFile]]) -> dict[str, object]:
    """Contents of the file that marks the set."""
    digest = hashlib.sha256(f"{layout} {scenes.fingerprint()}".encode())
    for file in (file for of_scene in files for file in of_scene):
        digest.update(repr(file).encode())
    return {
        "simulated": SIMULATED.format(f"{scenes.count} {scenes.source} scenes") + f"; in the layout of {layout}",
        "layout": layout,
        "recipe": digest.hexdigest()[:32],
        "licence_of_scenes": scenes.licence,
        "cameras": sorted({file.shot.camera.name for of_scene in files for file in of_scene}),
    }


def _prepare(root: Path, mark: dict[str, object], fresh: bool) -> None:
    """Make the folder with its mark. Raises ``UsageError`` if it holds something else."""
    stored = root / SIMULATED_FILE
    if root.exists() and not stored.is_file() and not list_folder(root).is_empty:
        raise UsageError(f"{root} holds files and no {SIMULATED_FILE}: choose another --output")
    if stored.is_file():
        try:
            same = json.loads(stored.read_text("utf-8"))["recipe"] == mark["recipe"]
        except (OSError, ValueError, KeyError, TypeError):
            same = False
        if not same and not fresh:
            raise UsageError(f"{root} holds a simulated set of other settings: say --fresh, or choose another --output")
        if not same:
            shutil.rmtree(root)
    root.mkdir(parents=True, exist_ok=True)
    if not stored.is_file():
        write_text_atomically(stored, json.dumps(mark, indent=1) + "\n")


def _scene(plan: LayoutPlan, scene: int, tick: Callable[[], object]) -> tuple[list[str], str]:
    """Render the files of a scene that are not there. Returns the hashes of all, or the reason of a failure."""
    light: SceneLight | None = None
    camera_file = b""
    digests = []
    try:
        for file in plan.files[scene]:
            path = plan.root / file.path
            if path.is_file():
                data = path.read_bytes()
            else:
                if not file.platform:
                    light = light or plan.scenes.light(scene)
                    data = _rendered(light, file)
                else:
                    data = processed_file(decode_rgb(camera_file), PLATFORMS[file.platform], file.path)
                write_bytes_atomically(path, data)
            camera_file = data if not file.platform else camera_file
            digests.append(hashlib.sha256(data).hexdigest())
            tick()
    except PhotoError as error:
        return [], str(error)
    return digests, ""


def _rendered(light: SceneLight, file: LayoutFile) -> bytes:
    if file.stops:
        light = dataclasses.replace(light, spectrum=light.spectrum * np.float32(2**file.stops))
    return render_shot(light, file.shot, Moment.still() if file.steady else None)


def _word(text: str) -> str:
    """A name without marks that separate the parts of a path or file name."""
    return "".join(c if c.isalnum() or c == "-" else "-" for c in text)


def _card(layout: str, mark: dict[str, object]) -> str:
    networks = (
        "\nThe versions of social networks are stand-ins: their sizes and JPEG qualities are guesses.\n"
        if layout == "fodb"
        else "\nA scene keeps its light, and classes (`n00000001`, ...) are kinds of scenes, not classes of WordNet.\n"
    )
    return f"""# Simulated, in the layout of {layout}

**No camera took these pictures.** They are for trying loaders, tasks and guides of the real set, and are no part of it.
What is measured on them says how this simulation acts, and nothing about the real set or any manufacturer.

- {mark["simulated"]}
- {mark["files"]} files; scenes under {mark["licence_of_scenes"]}; recipe {mark["recipe"]}
{networks}
Read it with `--data {layout}:PATH_OF_THIS_FOLDER`. `{SIMULATED_FILE}` marks it: results and reports say "simulated".
"""
