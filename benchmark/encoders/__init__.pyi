from .catalogue import EncoderRow, list_encoders
from .embedding import Embedder
from .encoder import Encoder, EncoderInfo
from .loading import load_encoder
from .pixels import Pixels
from .study import STUDY

__all__ = [
    "STUDY",
    "Embedder",
    "Encoder",
    "EncoderInfo",
    "EncoderRow",
    "Pixels",
    "list_encoders",
    "load_encoder",
]
