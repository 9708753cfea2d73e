"""Rows of the two data sets: FlickrExif's and PairCams's columns, then what only a simulation knows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Features, Value

from builders.flickrexif import photo_features
from builders.paircams import PAIR_FEATURES
from builders.pixels import read_jpeg_header
from builders.simcams.rendering import Shot
from builders.simcams.shots import SimulatedShots

ATTRIBUTION = "rendered by camtrace simcams"

_SHOT_FEATURES = {
    "scene": Value("string"),
    "scene_kind": Value("string"),
    "shrink_factor": Value("float32"),
    "camera_make": Value("string"),
    "camera_model": Value("string"),
    "camera_type": Value("string"),
    "unit": Value("int32"),
    "exposure_s": Value("string"),
    "f_number": Value("string"),
    "iso_speed": Value("int64"),
    "focal_length_mm": Value("string"),
    "focal_length_35mm": Value("float32"),
    "scene_luminance_cd_m2": Value("float32"),
}

SIMPAIRS_FEATURES = Features(
    {
        **PAIR_FEATURES,
        "licence": Value("string"),
        "attribution": Value("string"),
        **{name: feature for name, feature in _SHOT_FEATURES.items() if name != "camera_type"},
    }
)


def simcams_features(classes: Mapping[str, Sequence[str]]) -> Features:
    """Columns of every attribute config: FlickrExif's, then what only a simulation knows.

    Args:
        classes: class names of each attribute.
    """
    return Features({**photo_features(classes, pixels=True), **_SHOT_FEATURES})


@dataclass(frozen=True)
class SimulatedRows:
    """Rows of some shots. Picklable."""

    source: SimulatedShots
    ids: tuple[str, ...]
    kinds: tuple[str, ...]
    """Kind of scene of each photo."""
    photos: np.ndarray
    """int64 [items], rows of ``source``."""
    labels: np.ndarray | None = None
    """int64 [items, configs]; None for pairs."""
    configs: tuple[str, ...] = ()

    def __call__(self, item: int) -> list[dict[str, Any]]:
        at = int(self.photos[item])
        data = self.source.read(at)
        shot, scenes, scene = self.source.shots[at], self.source.scenes, self.source.scene_of[at]
        row = {
            "image": {"bytes": data, "path": f"{self.ids[at].replace('/', '-')}.jpg"},
            "photo_id": self.ids[at],
            "sha256": hashlib.sha256(data).hexdigest(),
            "width": scenes.width,
            "height": scenes.height,
            "licence": scenes.licence,
            "attribution": ATTRIBUTION,
            "scene": scenes.ids[scene],
            "scene_kind": self.kinds[at],
            "shrink_factor": scenes.shrink_factor(scene),
            **shot_columns(shot),
        }
        if self.labels is None:
            header = read_jpeg_header(data)
            codec = {
                "source_quality": header.quality if header else None,
                "source_subsampling": header.subsampling if header else None,
            }
            return [{**row, **codec, "pair_id": scenes.ids[scene], "camera": shot.camera.name}]
        unknown = dict.fromkeys(("licence_url", "licence_checked", "page", "url"), "")
        labels = dict(zip(self.configs, self.labels[item].tolist(), strict=True))
        return [{**row, **unknown, **labels, "owner": scenes.ids[scene], "size": "original"}]


def shot_columns(shot: Shot) -> dict[str, Any]:
    """The settings of a shot as FlickrExif's metadata spells them."""
    camera, settings = shot.camera, shot.settings
    return {
        "camera_make": camera.make,
        "camera_model": camera.model,
        "camera_type": camera.camera_type,
        "unit": shot.unit,
        "exposure_s": str(settings.exposure_s),
        "f_number": f"{settings.f_number:.1f}",
        "iso_speed": settings.iso,
        "focal_length_mm": f"{settings.focal_length_mm(camera.lens):.2f}",
        "focal_length_35mm": settings.focal_length_35mm,
        "scene_luminance_cd_m2": settings.scene_luminance_cd_m2,
    }
