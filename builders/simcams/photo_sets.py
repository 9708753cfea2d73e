"""Simulated data as ``PhotoSet``s that render a photo when it is read: no build, any order, any worker."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from types import MappingProxyType

import numpy as np

from builders.errors import PhotoError, UsageError
from builders.exif import NO_SMARTPHONE, SMARTPHONE, task_spelling
from builders.files import MAX_PHOTO_BYTES
from builders.photos import SPLITS, UNLABELLED, Labels, PhotoSet, photo_digest
from builders.simcams.camera import Camera, Framing, Settings
from builders.simcams.catalogue import Catalogue, bundled_catalogue
from builders.simcams.random_numbers import generator
from builders.simcams.render import Scenes, Shot, SimulatedShots
from builders.simcams.scene_sources import PhotoScenes, ProceduralScenes
from builders.simcams.settings import (
    CLASS_LISTS,
    STOPS,
    ClassLists,
    balanced,
    setting_labels,
    settings_for_scene,
    split_scenes,
    unit_for,
)
from builders.splits import NO_HASH, VARIANTS, photo_groups, photo_variants
from builders.untrusted import UntrustedInputError, read_untrusted

SIMULATED = "simulated: rendered by camtrace's camera models from {}; exact labels, no camera took these pictures"
"""Evidence of every set of this module."""

DEFAULT_SCENES = 44
"""With 27 cameras 1,188 photos: 28 train, 6 val, 10 test scenes; 84 train photos a make, 126 an exposure class."""

DEFAULT_PAIRS = 100

DEFAULT_SIZE = 256
"""Pixels a side. Encoders of 224 px crop it without resampling, so that traces are unchanged."""


def simcams_photos(
    n_scenes: int = DEFAULT_SCENES,
    size: int = DEFAULT_SIZE,
    seed: int = 0,
    *,
    scenes: Scenes | None = None,
    cameras: Catalogue | None = None,
    classes: ClassLists = STOPS,
) -> PhotoSet:
    """A photo of every scene by every camera; settings are independent of scene, camera and each other.

    Args:
        n_scenes: number of procedural scenes, at least 3. Not used if ``scenes`` is given.
        size: pixels a side, even. Not used if ``scenes`` is given.
        seed: of scenes, splits, settings and every random number of a shot.
        scenes: other scenes, such as ``PhotoScenes.of_folder``.
        cameras: other cameras than the bundled 27.
        classes: of the settings.

    Returns:
        Labels of the eight attributes (class-balanced in each split, surplus ``UNLABELLED``), splits disjoint in scenes
        and in camera units; columns ``scene``, ``camera``, ``camera_type``, ``unit``, ``licence``, ``shrink_factor``.

    Raises:
        UsageError: fewer than 3 scenes, or a size that is odd or below 32.

    >>> photos = simcams_photos(n_scenes=3, size=32)
    >>> len(photos), photos.attributes["make"].names[0], photos.read(0)[:2]
    (81, 'Alderin', b'\\xff\\xd8')
    """
    scenes = _procedural(n_scenes, size, seed) if scenes is None else scenes
    cameras = bundled_catalogue() if cameras is None else cameras
    copies = {}
    if isinstance(scenes, PhotoScenes):
        count, scenes = scenes.count, _without_copies(scenes)
        copies = {"copies": f"{count - scenes.count} photos that nearly equal another are no scenes"}
    if scenes.count < 3:
        raise UsageError(f"{scenes.count} scenes cannot be train, val and test: at least 3 are needed")
    ids, n = scenes.ids, len(cameras)
    scene_splits = split_scenes(ids, seed)
    shots = tuple(
        Shot(camera, settings, unit_for(SPLITS[scene_splits[i]], scene_id, camera.name, seed), Framing(), seed)
        for i, scene_id in enumerate(ids)
        for camera, settings in zip(cameras, settings_for_scene(scene_id, n, classes, seed), strict=True)
    )
    splits = scene_splits.repeat(n)
    labels = {
        **camera_labels([shot.camera for shot in shots]),
        **setting_labels([shot.settings for shot in shots], classes),
    }
    scene_of = tuple(i for i in range(scenes.count) for _ in range(n))
    return _photo_set(
        "simcams",
        scenes,
        scene_of,
        shots,
        splits,
        # random numbers are named by the spelling of tasks, so that they do not depend on the names of attributes
        attributes={name: balanced(column, splits, task_spelling(name), seed) for name, column in labels.items()},
        evidence={
            "splits": "by scene (seeded), camera units disjoint too",
            "settings": "dealt evenly within each scene, independent of camera and of one another",
            "cameras": f"{n} models",
            **copies,
        },
    )


def simpairs_photos(
    n_scenes: int = DEFAULT_PAIRS,
    size: int = DEFAULT_SIZE,
    seed: int = 0,
    *,
    scenes: Scenes | None = None,
    cameras: Catalogue | None = None,
) -> PhotoSet:
    """Two photos of each scene: by a phone and by an older compact camera, framed like two hand-held shots.

    Arguments as in ``simcams_photos``. All photos are in ``test``. Columns also ``pair_id`` and ``camera_type``
    (``phone`` or ``camera``).

    Raises:
        UsageError: no scene, a size that is odd or below 32, or no phone or no compact among the cameras.
    """
    scenes = _procedural(n_scenes, size, seed) if scenes is None else scenes
    cameras = bundled_catalogue() if cameras is None else cameras
    phones = [camera for camera in cameras if camera.kind == "phone"]
    compacts = [camera for camera in cameras if camera.kind == "compact"]
    if not phones or not compacts:
        raise UsageError("pairs need a phone and a compact camera at least")
    if scenes.count < 1:
        raise UsageError("pairs need a scene at least")
    shots: list[Shot] = []
    for scene_id in scenes.ids:
        rng = generator("pair", scene_id, seed)
        for kind in (phones, compacts):
            camera = kind[int(rng.integers(len(kind)))]
            shots.append(Shot(camera, _usual_settings(camera, rng), int(rng.integers(1, 4)), _hand_held(rng), seed))
    return _photo_set(
        "simpairs",
        scenes,
        tuple(i for i in range(scenes.count) for _ in range(2)),
        tuple(shots),
        np.full(len(shots), SPLITS.index("test"), dtype=np.int8),
        attributes={},
        evidence={"pairs": "shifted by about 1.5 %, scaled by 1.5 %, turned by 0.7 degrees against each other"},
    )


def _without_copies(scenes: PhotoScenes) -> PhotoScenes:
    """The scenes without photos that are equal or nearly equal to an earlier one: both would show one scene.

    Args:
        scenes: photos of a folder; each is read once. A photo that cannot be decoded stays, and is reported when it is
            rendered.
    """
    digests = [""] * scenes.count
    hashes = np.full((scenes.count, VARIANTS), NO_HASH, dtype=np.uint64)
    for i, path in enumerate(scenes.paths):
        try:
            data = read_untrusted(scenes.root / path, limit=MAX_PHOTO_BYTES)
            digests[i] = photo_digest(data).hex()
            hashes[i] = photo_variants(data)
        except (PhotoError, UntrustedInputError):
            continue
    first = np.unique(photo_groups(scenes.count, hashes=hashes, digests=digests), return_index=True)[1]
    return dataclasses.replace(scenes, paths=tuple(scenes.paths[i] for i in np.sort(first).tolist()))


def camera_labels(cameras: Sequence[Camera]) -> dict[str, Labels]:
    """Labels of the four attributes of the camera, by attribute. ``smartphone_model`` is known for phones only."""
    makes = tuple(sorted({c.make for c in cameras}))
    models = tuple(sorted({c.name for c in cameras}))
    phones = tuple(sorted({c.name for c in cameras if c.kind == "phone"}))
    columns: dict[str, tuple[tuple[str, ...], list[str]]] = {
        "make": (makes, [c.make for c in cameras]),
        "model": (models, [c.name for c in cameras]),
        "smartphone_model": (phones, [c.name if c.kind == "phone" else "" for c in cameras]),
        "is_smartphone": (
            (NO_SMARTPHONE, SMARTPHONE),
            [SMARTPHONE if c.kind == "phone" else NO_SMARTPHONE for c in cameras],
        ),
    }
    return {
        name: Labels(names, np.array([names.index(v) if v in names else UNLABELLED for v in values], dtype=np.int32))
        for name, (names, values) in columns.items()
    }


def _photo_set(
    name: str,
    scenes: Scenes,
    scene_of: tuple[int, ...],
    shots: tuple[Shot, ...],
    splits: np.ndarray,
    attributes: dict[str, Labels],
    evidence: dict[str, str],
) -> PhotoSet:
    ids = scenes.ids
    kinds = [scenes.kind(i) for i in range(scenes.count)]
    names = tuple(sorted(set(kinds)))
    kind_of = np.array([names.index(kinds[i]) for i in scene_of], dtype=np.int32)
    order = np.array(scene_of)
    return PhotoSet(
        name=f"{name}:{scenes.source}",
        ids=tuple(f"{ids[i]}/{s.camera.name.replace(' ', '-')}" for i, s in zip(scene_of, shots, strict=True)),
        splits=splits,
        labels=Labels(names, kind_of),
        source=SimulatedShots(scenes, scene_of, shots),
        rows=np.arange(len(shots), dtype=np.int64),
        attributes=MappingProxyType(attributes),
        columns=MappingProxyType(
            {
                "scene": np.array(ids)[order],
                "pair_id": np.array(ids)[order],
                "camera": np.array([s.camera.name for s in shots]),
                "camera_type": np.array([s.camera.camera_type for s in shots]),
                "unit": np.array([s.unit for s in shots], dtype=np.int32),
            }
        ),
        evidence=MappingProxyType({"simulated": SIMULATED.format(f"{scenes.source} scenes"), **evidence}),
    )


def _usual_settings(camera: Camera, rng: np.random.Generator) -> Settings:
    """Settings that the automatic exposure of such a camera chooses outdoors or in a bright room."""
    exposure = Fraction(1, int(rng.choice([60, 125, 250])))
    iso = int(rng.choice([100, 200, 400]))
    if camera.kind == "phone":
        return Settings(exposure, float(rng.choice([1.8, 2.2, 2.4])), iso, float(rng.choice([26, 28])))
    return Settings(exposure, float(rng.choice([2.8, 3.5, 4.5])), iso, float(rng.choice([28, 35])))


def _hand_held(rng: np.random.Generator) -> Framing:
    """Framing of one shot of a pair: half of the difference between the two."""
    shift_x, shift_y, scale, turn = rng.standard_normal(4) * [0.011, 0.011, 0.011, 0.5]
    return Framing(
        float(np.clip(shift_x, -0.03, 0.03)),
        float(np.clip(shift_y, -0.03, 0.03)),
        float(np.exp(np.clip(scale, -0.03, 0.03))),
        float(np.clip(turn, -1.5, 1.5)),
    )


def _procedural(n_scenes: int, size: int, seed: int) -> ProceduralScenes:
    if size < 32 or size % 2:
        raise UsageError(f"size {size}: pixels a side are an even number of at least 32")
    return ProceduralScenes(n_scenes, size, size, seed)


__all__ = ["CLASS_LISTS", "camera_labels", "simcams_photos", "simpairs_photos"]
