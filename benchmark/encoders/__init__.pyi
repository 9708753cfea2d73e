from .callables import is_module
from .catalogue import EncoderRow, list_encoders
from .embedding import Embedder, rest
from .encoder import Encoder, EncoderInfo
from .in_memory import as_encoder
from .loading import PREFIXES, load_encoder
from .pixels import Pixels
from .study import STUDY

__all__ = [
    "PREFIXES",
    "STUDY",
    "Embedder",
    "Encoder",
    "EncoderInfo",
    "EncoderRow",
    "Pixels",
    "as_encoder",
    "is_module",
    "list_encoders",
    "load_encoder",
    "rest",
]
