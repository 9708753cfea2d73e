"""Encoders on one footing: whatever library the weights come from, a spec goes in and an ``Encoder`` comes out.

Importing this package imports neither torch nor any model library; ``load_encoder`` imports what its spec needs.
"""

from benchmark.encoders.catalogue import EncoderRow, list_encoders
from benchmark.encoders.encoder import Encoder, EncoderInfo
from benchmark.encoders.loading import load_encoder

__all__ = ["Encoder", "EncoderInfo", "EncoderRow", "list_encoders", "load_encoder"]
