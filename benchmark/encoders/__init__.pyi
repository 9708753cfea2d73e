from .callables import is_module
from .catalogue import EncoderRow, InstalledLists, installed_lists, list_encoders
from .embedding import Embedder, rest
from .encoder import COMPLEX, Encoder, EncoderInfo, Runtime, StoredEmbeddings, named_by_weights
from .identity import encoder_hash, named_for_itself, told_apart
from .in_memory import as_encoder
from .layered import Layered, with_outputs
from .loading import PREFIXES, load_encoder
from .modern import MODERN
from .outputs import FINAL, Output, chosen_outputs, grid_cell, pooling_title
from .patch_places import photo_places
from .pixels import Pixels, made_by
from .runtime import LARGEST_ERROR, largest_relative_error, only_reads
from .study import STUDY

__all__ = [
    "COMPLEX",
    "FINAL",
    "LARGEST_ERROR",
    "MODERN",
    "PREFIXES",
    "STUDY",
    "Embedder",
    "Encoder",
    "EncoderInfo",
    "EncoderRow",
    "InstalledLists",
    "Layered",
    "Output",
    "Pixels",
    "Runtime",
    "StoredEmbeddings",
    "as_encoder",
    "chosen_outputs",
    "encoder_hash",
    "grid_cell",
    "installed_lists",
    "is_module",
    "largest_relative_error",
    "list_encoders",
    "load_encoder",
    "made_by",
    "named_by_weights",
    "named_for_itself",
    "only_reads",
    "photo_places",
    "pooling_title",
    "rest",
    "told_apart",
    "with_outputs",
]
