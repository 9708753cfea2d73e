"""``control:phash``, ``control:dhash``, ``control:whash``: perceptual hashes of the package imagehash as encoders.

Each of 64 bits is +1 or -1, so that the cosine of two photos is 1 - 2 d / 64 for a Hamming distance d: neighbours and
thresholds of a hash are those of its cosine. Deduplicators compare photos by such hashes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from benchmark.encoders.encoder import Encoder, EncoderInfo
from benchmark.encoders.registry import NAMED, EncoderRow, LoadRequest, Named, refuse_placement
from builders.errors import UsageError, missing_package

if TYPE_CHECKING:
    import torch

HASHES = ("phash", "dhash", "whash")
"""Of the discrete cosine transform, of differences of neighbouring pixels, and of Haar wavelets."""

BITS = 64


@dataclass(frozen=True)
class PerceptualHash:
    """RGB picture -> float32 [64], the bits of a hash as +1 and -1."""

    name: str

    def __call__(self, image: Image.Image) -> np.ndarray:
        import imagehash

        bits = getattr(imagehash, self.name)(image).hash
        return np.where(bits.reshape(-1), np.float32(1), np.float32(-1))


def _identity(batch: torch.Tensor) -> torch.Tensor:
    return batch.float()


def _load(request: LoadRequest) -> Encoder:
    refuse_placement(request, "cpu", "float32", "a formula, computed where views are made")
    name = request.spec.partition(":")[2]
    try:
        version = metadata.version("ImageHash")
    except metadata.PackageNotFoundError:
        raise UsageError(missing_package("imagehash", request.spec)) from None
    info = EncoderInfo(
        id=request.spec,
        library="control",
        revision=None,
        weights_sha256=hashlib.sha256(f"imagehash {version} {name} {BITS}".encode()).hexdigest(),
        dimension=BITS,
        preprocessing={"size": "the photo's own", "backend": "imagehash", "transport": "float32"},
        pooling="bits of a perceptual hash as +1 and -1",
        parameters=0,
        group="control",
        training_data="none",
        details={"imagehash": version, "weights_sha256": "of the package's version and the hash's name"},
    )
    return Encoder(info, PerceptualHash(name), _identity, "cpu", "float32")


for _name in HASHES:
    _row = EncoderRow(f"control:{_name}", "control", "control", "none", None, 0)
    NAMED[_row.spec] = Named(_row, _load)
