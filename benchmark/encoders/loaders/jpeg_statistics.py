"""``control:jpeg-statistics``: a forensic feature of the processed photo, computed before any encoder resizes it.

Quantisation leaves combs in the histograms of block DCT coefficients: a coefficient that was quantised with step q is
near a multiple of q after decoding. That shows the quality of the last compression (Fan and de Queiroz, "Identification
of bitmap compression history", IEEE TIP 2003; Farid, "Exposing digital forgeries from JPEG ghosts", IEEE TIFS 2009) and
of an earlier one on the same grid (Popescu and Farid, "Statistical tools for digital forensics", 2004; Bianchi and
Piva, "Image forgery localization via block-grained analysis of JPEG artifacts", IEEE TIFS 2012). Chroma subsampling
removes the upper half of the chroma bandwidth; resizing and sharpening change the whole spectrum.

The feature needs the photo's pixels and grid as they are. So ``preprocess`` takes the photo at full size and returns
the vector; ``embed`` only passes it on. No parameter is trained.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from benchmark.encoders.encoder import Encoder, EncoderInfo
from benchmark.encoders.registry import NAMED, EncoderRow, LoadRequest, Named, refuse_placement

if TYPE_CHECKING:
    import torch

VERSION = 1
"""Raise it with every change of the code that changes a value of the vector: cached embeddings are read by it."""

MAX_SIDE = 1024
"""Longest side in pixels; of a larger photo the central part is read, cut on the 16-pixel grid of 4:2:0."""

LUMA_COEFFICIENTS, CHROMA_COEFFICIENTS = 20, 9
"""Number of AC coefficients, in zigzag order, with a histogram."""

HISTOGRAM_BINS = 24
"""Unit bins of |coefficient|, centred on 0, 1, ..., 22, then everything above."""

STEPS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20)
"""Quantisation steps whose combs are measured, in units of a coefficient (orthonormal DCT of pixels in 0..255)."""

_FINE = 4
"""Fine bins per unit; combs are read from them."""
_FINE_BINS = 64 * _FINE
"""Number of fine bins; coefficients of 64 and more add no information."""

_TO_YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]], np.float32
)
"""RGB to Y, Cb, Cr as JPEG has it (ITU-T T.871), without the offset of 128 that only moves the mean."""


def jpeg_statistics(image: Image.Image) -> np.ndarray:
    """Statistics of an RGB photo's 8x8 blocks: float32 [``DIMENSION``], each value about in [-1, 1].

    For luma, chroma, and chroma at half resolution: square roots of the histogram of |coefficient| (bins of 1), then
    the comb strength of each step q in ``STEPS``, which is the mean of cos(2 pi c / q) over the coefficients c that are
    not near 0. Then the log energies of all 64 luma and 64 chroma coefficients. Then the differences of neighbouring
    pixels by their column and row in the block.

    A photo under 16 pixels is padded with its mirror image; one over ``MAX_SIDE`` is cut to its centre.

    Args:
        image: RGB, of any size.

    >>> jpeg_statistics(Image.new("RGB", (40, 30))).shape == (DIMENSION,)
    True
    """
    planes = _planes(image)
    luma = _block_dct(planes[0])
    chroma = np.concatenate([_block_dct(plane) for plane in planes[1:]])
    half = np.concatenate([_block_dct(_halved(plane)) for plane in planes[1:]])
    parts = [
        _combs(luma, LUMA_COEFFICIENTS),
        _combs(chroma, CHROMA_COEFFICIENTS),
        _combs(half, CHROMA_COEFFICIENTS),
        _log_energies(luma),
        _log_energies(chroma),
        _blocking(planes[0]),
    ]
    return np.concatenate(parts).astype(np.float32)


def _planes(image: Image.Image) -> np.ndarray:
    """float32 [3, height, width]: Y, Cb, Cr of the central part; sides are multiples of 16."""
    pixels = np.asarray(image)
    for axis in (0, 1):
        side = pixels.shape[axis]
        if side < 16:
            padding = [(0, 0), (0, 0), (0, 0)]
            padding[axis] = (0, 16 - side)
            pixels = np.pad(pixels, padding, mode="symmetric")
            side = 16
        length = min(side // 16 * 16, MAX_SIDE)
        start = (side - length) // 2 // 16 * 16
        pixels = pixels.take(range(start, start + length), axis) if length != side else pixels
    return (_TO_YCBCR @ pixels.reshape(-1, 3).astype(np.float32).T).reshape(3, *pixels.shape[:2])


def _halved(plane: np.ndarray) -> np.ndarray:
    """Means of 2x2 pixels: about the plane that 4:2:0 stores."""
    half = (plane[0::2] + plane[1::2]) * 0.5
    return (half[:, 0::2] + half[:, 1::2]) * 0.5


def _dct_matrix() -> np.ndarray:
    """float32 [64, 64]: orthonormal 8x8 DCT-II of a flattened block, rows in zigzag order."""
    n = np.arange(8)
    basis = np.cos((2 * n[None, :] + 1) * n[:, None] * np.pi / 16) * np.where(n[:, None] == 0, 8**-0.5, 0.5)
    order = sorted(((u, v) for u in range(8) for v in range(8)), key=lambda p: (sum(p), p[0] if sum(p) % 2 else p[1]))
    return np.stack([np.outer(basis[u], basis[v]).ravel() for u, v in order]).astype(np.float32)


_DCT = _dct_matrix()


def _block_dct(plane: np.ndarray) -> np.ndarray:
    """float32 [blocks, 64], coefficients in zigzag order."""
    height, width = plane.shape
    blocks = plane.reshape(height // 8, 8, width // 8, 8).transpose(0, 2, 1, 3).reshape(-1, 64)
    return blocks @ _DCT.T


_FINE_CENTRES = np.arange(_FINE_BINS) / _FINE
_COSINES = np.cos(2 * np.pi * _FINE_CENTRES[:, None] / np.array(STEPS)).astype(np.float32)
"""[fine bins, steps]"""


def _combs(coefficients: np.ndarray, count: int) -> np.ndarray:
    """Histograms and comb strengths of the first ``count`` AC coefficients."""
    fine = np.minimum(np.abs(coefficients[:, 1 : count + 1]) * _FINE + 0.5, _FINE_BINS).astype(np.int32)
    fine += np.arange(count, dtype=np.int32) * (_FINE_BINS + 1)
    counts = np.bincount(fine.ravel(), minlength=count * (_FINE_BINS + 1)).reshape(count, -1).astype(np.float32)
    unit = np.add.reduceat(counts, _UNIT_EDGES, axis=1) / len(coefficients)
    away = counts[:, :_FINE_BINS] * (_FINE_CENTRES > 0.75)
    strength = away @ _COSINES / np.maximum(away.sum(1, keepdims=True), 1)
    return np.concatenate([np.sqrt(unit).ravel(), strength.ravel()])


_UNIT_EDGES = np.r_[0, np.arange(HISTOGRAM_BINS - 1) * _FINE + _FINE // 2]
"""First fine bin of each unit bin: [0, 0.5), [0.5, 1.5), ..., [22.5, infinity)."""


def _log_energies(coefficients: np.ndarray) -> np.ndarray:
    """[64]: log of the mean |coefficient|, in eighths of a nat."""
    return np.log(np.abs(coefficients).mean(0) + 0.05) / 8


def _blocking(plane: np.ndarray) -> np.ndarray:
    """[16]: mean |step| between neighbouring columns (then rows) by position in the block, over their mean, less 1."""
    values = []
    for lines in (plane, plane.T):
        steps = np.abs(np.diff(lines, axis=1)).mean(0)
        by_position = np.array([steps[position::8].mean() for position in range(8)])
        values.append(by_position / max(by_position.mean(), 1e-6) - 1 if by_position.mean() > 0 else by_position)
    return np.clip(np.concatenate(values), -1, 1)


DIMENSION = (LUMA_COEFFICIENTS + 2 * CHROMA_COEFFICIENTS) * (HISTOGRAM_BINS + len(STEPS)) + 64 + 64 + 16
"""Length of the vector."""


def _load(request: LoadRequest) -> Encoder:
    refuse_placement(request, "cpu", "float32", "a formula, computed where views are made")
    info = EncoderInfo(
        id=request.spec,
        library="control",
        revision=None,
        weights_sha256=_definition_sha256(),
        dimension=DIMENSION,
        preprocessing={"size": "the photo's own", "backend": "numpy", "transport": "float32", "largest_side": MAX_SIDE},
        pooling="statistics of 8x8 block DCT coefficients over the photo",
        parameters=0,
        group="control",
        training_data="none",
        details={"weights_sha256": "of the version and the constants that define the feature"},
    )
    return Encoder(info, jpeg_statistics, _identity, "cpu", "float32")


def _definition_sha256() -> str:
    """Identity of the feature for caches. It depends on no comment, import or name in this file."""
    definition = {
        "feature": "jpeg-statistics",
        "version": VERSION,
        "max_side": MAX_SIDE,
        "coefficients": [LUMA_COEFFICIENTS, CHROMA_COEFFICIENTS],
        "histogram_bins": HISTOGRAM_BINS,
        "steps": STEPS,
        "fine_bins": [_FINE, _FINE_BINS],
        "to_ycbcr": _TO_YCBCR.tolist(),
    }
    return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()


def _identity(batch: torch.Tensor) -> torch.Tensor:
    return batch.float()


_ROW = EncoderRow("control:jpeg-statistics", "control", "control", "none", None, 0)
NAMED[_ROW.spec] = Named(_ROW, _load)
