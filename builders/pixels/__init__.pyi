from .by_pillow import decode_jpeg, encode, process_by_pillow, request
from .codec import codec_canary, codec_versions
from .decode import MAX_PIXELS, decode_rgb
from .engine.compiled import SUMS_IN_ANY_ORDER, entry_point, jit
from .engine.selection import chosen_engine
from .image_header import ImageHeader, read_image_header
from .jpeg_header import read_jpeg_header, scaled_tables
from .masking import CenterMask
from .parameters import PARAMETERS, PROCESSINGS, Parameter, Processing, assigned_class, random_scale
from .process import Planner, preprocess_all, process_all, reencode
from .resize_crop import Rectangle, ResizeCrop, vertical_first

__all__ = [
    "MAX_PIXELS",
    "PARAMETERS",
    "PROCESSINGS",
    "SUMS_IN_ANY_ORDER",
    "CenterMask",
    "ImageHeader",
    "Parameter",
    "Planner",
    "Processing",
    "Rectangle",
    "ResizeCrop",
    "assigned_class",
    "chosen_engine",
    "codec_canary",
    "codec_versions",
    "decode_jpeg",
    "decode_rgb",
    "encode",
    "entry_point",
    "jit",
    "preprocess_all",
    "process_all",
    "process_by_pillow",
    "random_scale",
    "read_image_header",
    "read_jpeg_header",
    "reencode",
    "request",
    "scaled_tables",
    "vertical_first",
]
