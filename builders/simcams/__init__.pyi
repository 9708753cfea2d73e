from .camera import Body, Camera, Framing, JpegSettings, Lens, Pipeline, Settings
from .catalogue import bundled_catalogue, camera_named, read_catalogue
from .photo_sets import DEFAULT_PAIRS, DEFAULT_SCENES, DEFAULT_SIZE, simcams_photos, simpairs_photos
from .render import Scenes, Shot, expose, render_shot
from .scene_sources import PhotoScenes, ProceduralScenes
from .stages.light import SceneLight

__all__ = [
    "DEFAULT_PAIRS",
    "DEFAULT_SCENES",
    "DEFAULT_SIZE",
    "Body",
    "Camera",
    "Framing",
    "JpegSettings",
    "Lens",
    "PhotoScenes",
    "Pipeline",
    "ProceduralScenes",
    "SceneLight",
    "Scenes",
    "Settings",
    "Shot",
    "bundled_catalogue",
    "camera_named",
    "expose",
    "read_catalogue",
    "render_shot",
    "simcams_photos",
    "simpairs_photos",
]
