from .answerer import Answerer, AnsweringModel, Prompt
from .catalogue import MODERN, InstalledLists, installed_lists, list_encoders
from .encoder import (
    COMPLEX,
    Encoder,
    EncoderInfo,
    Runtime,
    StatedDetector,
    StoredEmbeddings,
    deduplicated,
    encoder_hash,
    named_by_weights,
    with_unique_id,
)
from .layers.layered import Layered, with_outputs
from .layers.outputs import FINAL, Output, chosen_outputs, grid_cell, pooling_title
from .layers.pooling import photo_places
from .load import PREFIXES, load_encoder
from .loaders.packaged import PACKAGED
from .loaders.python import as_encoder, is_module
from .loaders.transformers.embeddings import has_class_token
from .network import Embedder, move_to_host
from .preprocess.by_library import ANTIALIAS, FILTERS, LIBRARIES, with_library
from .preprocess.modes import with_preprocessing
from .preprocess.pixels import Pixels, pixel_backend
from .provenance import STUDY
from .registry import EncoderRow
from .runtime.cache import NO_FILE, CompiledFile
from .runtime.choose import LARGEST_ERROR, compiled_file, largest_relative_error, leaves_views_unchanged

__all__ = [
    "ANTIALIAS",
    "COMPLEX",
    "FILTERS",
    "FINAL",
    "LARGEST_ERROR",
    "LIBRARIES",
    "MODERN",
    "NO_FILE",
    "PACKAGED",
    "PREFIXES",
    "STUDY",
    "Answerer",
    "AnsweringModel",
    "CompiledFile",
    "Embedder",
    "Encoder",
    "EncoderInfo",
    "EncoderRow",
    "InstalledLists",
    "Layered",
    "Output",
    "Pixels",
    "Prompt",
    "Runtime",
    "StatedDetector",
    "StoredEmbeddings",
    "as_encoder",
    "chosen_outputs",
    "compiled_file",
    "deduplicated",
    "encoder_hash",
    "grid_cell",
    "has_class_token",
    "installed_lists",
    "is_module",
    "largest_relative_error",
    "leaves_views_unchanged",
    "list_encoders",
    "load_encoder",
    "move_to_host",
    "named_by_weights",
    "photo_places",
    "pixel_backend",
    "pooling_title",
    "with_library",
    "with_outputs",
    "with_preprocessing",
    "with_unique_id",
]
