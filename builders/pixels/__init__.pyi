from .decode import MAX_PIXELS, check_work, decode_rgb
from .engine.selection import begin_compiling_engine, chosen_engine, engine_being_compiled
from .headers.fields import ImageHeader
from .headers.formats import read_image_header
from .headers.jpeg import read_jpeg_header
from .headers.jpeg_quality import scaled_tables
from .masking import CenterMask
from .parameters import (
    ALL_PARAMETERS,
    ALL_PROCESSINGS,
    PARAMETERS,
    PROCESSINGS,
    STUDY_PARAMETERS,
    STUDY_PROCESSINGS,
    Parameter,
    Processing,
    assigned_class,
    assigned_classes,
    hash_order,
    in_share,
    random_scale,
)
from .process import preprocess_all, process_all, reencode_jpeg
from .reference import codec_canary, codec_versions, open_processed, process_by_pillow, processed_file, request
from .requests import Planner, Rectangle, ResizeCrop, vertical_first

__all__ = [
    "ALL_PARAMETERS",
    "ALL_PROCESSINGS",
    "MAX_PIXELS",
    "PARAMETERS",
    "PROCESSINGS",
    "STUDY_PARAMETERS",
    "STUDY_PROCESSINGS",
    "CenterMask",
    "ImageHeader",
    "Parameter",
    "Planner",
    "Processing",
    "Rectangle",
    "ResizeCrop",
    "assigned_class",
    "assigned_classes",
    "begin_compiling_engine",
    "check_work",
    "chosen_engine",
    "codec_canary",
    "codec_versions",
    "decode_rgb",
    "engine_being_compiled",
    "hash_order",
    "in_share",
    "open_processed",
    "preprocess_all",
    "process_all",
    "process_by_pillow",
    "processed_file",
    "random_scale",
    "read_image_header",
    "read_jpeg_header",
    "reencode_jpeg",
    "request",
    "scaled_tables",
    "vertical_first",
]
