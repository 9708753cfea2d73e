from .callables import is_module
from .catalogue import EncoderRow, list_encoders
from .embedding import Embedder, rest
from .encoder import Encoder, EncoderInfo, Runtime
from .in_memory import as_encoder
from .loading import PREFIXES, load_encoder
from .pixels import Pixels, made_by
from .runtime import LARGEST_ERROR, largest_relative_error
from .study import STUDY

__all__ = [
    "LARGEST_ERROR",
    "PREFIXES",
    "STUDY",
    "Embedder",
    "Encoder",
    "EncoderInfo",
    "EncoderRow",
    "Pixels",
    "Runtime",
    "as_encoder",
    "is_module",
    "largest_relative_error",
    "list_encoders",
    "load_encoder",
    "made_by",
    "rest",
]
