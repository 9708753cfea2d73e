from .camera import Body, Camera, Framing, JpegSettings, Lens, Pipeline, Settings
from .catalogue import Catalogue, bundled_catalogue, camera_named, read_catalogue
from .photo_sets import DEFAULT_PAIRS, DEFAULT_SCENES, DEFAULT_SIZE, SIMULATED, simcams_photos, simpairs_photos
from .render import Scenes, Shot, SimulatedShots, expose, render_shot
from .scene_sources import PhotoScenes, ProceduralScenes
from .stages.light import SceneLight
from .stages.optics import Moment

__all__ = [
    "DEFAULT_PAIRS",
    "DEFAULT_SCENES",
    "DEFAULT_SIZE",
    "SIMULATED",
    "Body",
    "Camera",
    "Catalogue",
    "Framing",
    "JpegSettings",
    "Lens",
    "Moment",
    "PhotoScenes",
    "Pipeline",
    "ProceduralScenes",
    "SceneLight",
    "Scenes",
    "Settings",
    "Shot",
    "SimulatedShots",
    "bundled_catalogue",
    "camera_named",
    "expose",
    "read_catalogue",
    "render_shot",
    "simcams_photos",
    "simpairs_photos",
]
