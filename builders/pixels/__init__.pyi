from .codecs import register_format
from .decode import MAX_PIXELS, check_work, decode_rgb
from .definitions.read import PRESETS, Definitions, read_definitions
from .definitions.use import (
    chosen_processings,
    known_parameters,
    processings_in_use,
    queried_processings,
    remember_parameters,
    use_processings,
)
from .engine.selection import begin_compiling_engine, chosen_engine, engine_being_compiled
from .headers.fields import ImageHeader
from .headers.formats import read_image_header
from .headers.jpeg import read_jpeg_header
from .headers.jpeg_quality import scaled_tables
from .likeness import psnr, ssim
from .masking import CenterMask
from .parameters import (
    ALL_PARAMETERS,
    ALL_PROCESSINGS,
    BUILT_IN,
    BUILT_IN_PROCESSINGS,
    PARAMETERS,
    PROCESSINGS,
    STUDY_PARAMETERS,
    STUDY_PROCESSINGS,
    Parameter,
    assigned_class,
    assigned_classes,
    hash_order,
    in_share,
)
from .process import engine_of, preprocess_all, process_all, reencode_jpeg
from .processing import EditStep, Processing, random_scale
from .reference import codec_canary, codec_versions, open_processed, process_by_pillow, processed_file, request
from .requests import Planner, Rectangle, ResizeCrop, vertical_first
from .strict import strict_pillow

__all__ = [
    "ALL_PARAMETERS",
    "ALL_PROCESSINGS",
    "BUILT_IN",
    "BUILT_IN_PROCESSINGS",
    "MAX_PIXELS",
    "PARAMETERS",
    "PRESETS",
    "PROCESSINGS",
    "STUDY_PARAMETERS",
    "STUDY_PROCESSINGS",
    "CenterMask",
    "Definitions",
    "EditStep",
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
    "chosen_processings",
    "codec_canary",
    "codec_versions",
    "decode_rgb",
    "engine_being_compiled",
    "engine_of",
    "hash_order",
    "in_share",
    "known_parameters",
    "open_processed",
    "preprocess_all",
    "process_all",
    "process_by_pillow",
    "processed_file",
    "processings_in_use",
    "psnr",
    "queried_processings",
    "random_scale",
    "read_definitions",
    "read_image_header",
    "read_jpeg_header",
    "reencode_jpeg",
    "register_format",
    "remember_parameters",
    "request",
    "scaled_tables",
    "ssim",
    "strict_pillow",
    "use_processings",
    "vertical_first",
]
