from .by_pillow import open_processed, process_by_pillow, processed_file, request
from .codec import codec_canary, codec_versions
from .decode import MAX_PIXELS, check_work, decode_rgb
from .engine.beside import CompiledBeside, compiling_s
from .engine.compiled import SUMS_IN_ANY_ORDER, entry_point, jit
from .engine.forced import forced_engine
from .engine.request import Planner
from .engine.selection import begin_compiling_engine, chosen_engine, engine_being_compiled
from .image_facts import ImageHeader
from .image_header import read_image_header
from .jpeg_header import read_jpeg_header
from .jpeg_quality import scaled_tables
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
from .reserving import memory_budget
from .resize_crop import Rectangle, ResizeCrop, vertical_first

__all__ = [
    "ALL_PARAMETERS",
    "ALL_PROCESSINGS",
    "MAX_PIXELS",
    "PARAMETERS",
    "PROCESSINGS",
    "STUDY_PARAMETERS",
    "STUDY_PROCESSINGS",
    "SUMS_IN_ANY_ORDER",
    "CenterMask",
    "CompiledBeside",
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
    "compiling_s",
    "decode_rgb",
    "engine_being_compiled",
    "entry_point",
    "forced_engine",
    "hash_order",
    "in_share",
    "jit",
    "memory_budget",
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
