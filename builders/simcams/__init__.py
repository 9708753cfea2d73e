"""Cameras as software: the same scene through many cameras, labels exact, so that trace and scene can be told apart.

``simcams_photos`` and ``simpairs_photos`` are photo sets that render when read; ``python -m builders simcams`` writes
them to disk in the form of FlickrExif and PairCams. Formulas and limits: docs/simcams.md.
"""

from builders.simcams.camera import Body, Camera, Framing, JpegSettings, Lens, Pipeline, Settings
from builders.simcams.catalogue import bundled_catalogue, camera_named, read_catalogue
from builders.simcams.photo_scenes import PhotoScenes
from builders.simcams.photo_sets import simcams_photos, simpairs_photos
from builders.simcams.rendering import Shot, expose, render
from builders.simcams.scene_light import SceneLight
from builders.simcams.scenes import ProceduralScenes

__all__ = [
    "Body",
    "Camera",
    "Framing",
    "JpegSettings",
    "Lens",
    "PhotoScenes",
    "Pipeline",
    "ProceduralScenes",
    "SceneLight",
    "Settings",
    "Shot",
    "bundled_catalogue",
    "camera_named",
    "expose",
    "read_catalogue",
    "render",
    "simcams_photos",
    "simpairs_photos",
]
