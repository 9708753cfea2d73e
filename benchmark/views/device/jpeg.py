"""The effect of a JPEG file on pixels: encode and decode without the entropy coding, which is lossless.

Equal to Pillow's ``save(quality=q, subsampling=s)`` and ``open`` with libjpeg-turbo: accurate integer DCT both ways,
triangle upsampling, no smoothing. The forward DCT is shared by all qualities, luminance by both chroma modes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from benchmark.views.device.colour import double, double_needs, halve, halve_needs, halved, rgb_to_ycc, ycc_to_rgb
from benchmark.views.device.dct import block_needs, forward_dct, from_blocks, inverse_dct, to_blocks
from benchmark.views.device.tables import Need, Tables
from builders.pixels import scaled_tables

FORWARD_SCALE = 8
"""Factor of libjpeg's forward DCT over the true one."""


@dataclass(frozen=True)
class Spectra:
    """DCT coefficients of photos before quantisation, float32 [8, 8, planes, n, rows, columns]."""

    heights: Sequence[int]
    """Per photo, in pixels."""
    widths: Sequence[int]
    """Per photo, in pixels."""
    luminance: Tensor
    chroma: dict[str, Tensor]
    """Per subsampling, Cb and Cr."""


def round_trips(
    rgb: Tensor,
    wanted: Iterable[tuple[int, str]],
    sizes: Sequence[tuple[int, int]] | None = None,
    tables: Tables | None = None,
) -> list[Tensor]:
    """Photos after a JPEG round trip, for each wanted (quality, subsampling); shared steps are computed once.

    Args:
        rgb: uint8 [n, 3, h, w], each photo in the upper left corner.
        wanted: quality 1..100, subsampling ``4:4:4`` or ``4:2:0``.
        sizes: (width, height) of each photo; by default all are w x h.
        tables: of ``round_trip_needs``; by default each is sent when it is read.

    Returns:
        Per wanted pair, uint8 [n, 3, largest height, largest width]; pixels beyond the size of a photo are undefined.

    Raises:
        ValueError: another subsampling.

    >>> grey = torch.full((1, 3, 8, 8), 77, dtype=torch.uint8)
    >>> torch.equal(round_trips(grey, [(95, "4:4:4")])[0], grey)
    True
    """
    pairs = list(wanted)
    widths, heights = zip(*(sizes or [(rgb.shape[3], rgb.shape[2])] * len(rgb)), strict=True)
    tables = tables or Tables(rgb.device)
    spectra = _analyse(rgb, {subsampling for _, subsampling in pairs}, heights, widths, tables)
    made: dict[tuple[int, str], Tensor] = {}
    for quality in dict.fromkeys(quality for quality, _ in pairs):
        light = _restored(spectra.luminance, scaled_tables(quality)[0])[0]
        light = light[:, : max(heights), : max(widths)]
        for subsampling in {s for q, s in pairs if q == quality}:
            cb, cr = _restored_chroma(spectra, quality, subsampling, tables)
            made[quality, subsampling] = ycc_to_rgb(light, cb, cr)
    return [made[pair] for pair in pairs]


def round_trip_needs(subsamplings: Iterable[str], sizes: Sequence[tuple[int, int]]) -> Iterator[Need[Any]]:
    """Tables of ``round_trips``."""
    widths, heights = zip(*sizes, strict=True)
    yield from block_needs(heights, widths)
    if "4:2:0" in subsamplings:
        yield from halve_needs(heights, widths)
        yield from block_needs(*halved(heights, widths))
        yield from double_needs(heights, widths)


def _analyse(
    rgb: Tensor, subsamplings: Iterable[str], heights: Sequence[int], widths: Sequence[int], tables: Tables
) -> Spectra:
    """The coefficients that every quality starts from; arguments and errors as in ``round_trips``."""
    ycc = rgb_to_ycc(rgb)
    chroma = {}
    for subsampling in subsamplings:
        if subsampling == "4:4:4":
            chroma[subsampling] = _coefficients(ycc[1:], heights, widths, tables)
        elif subsampling == "4:2:0":
            half = halve(ycc[1:], heights, widths, tables)
            chroma[subsampling] = _coefficients(half, *halved(heights, widths), tables)
        else:
            raise ValueError(f"subsampling {subsampling!r}: choose 4:4:4 or 4:2:0")
    return Spectra(heights, widths, _coefficients(ycc[:1], heights, widths, tables), chroma)


def quantise(coefficients: Tensor, table: Tensor) -> Tensor:
    """Integers 8 times the DCT -> float64 multiples of the divisors: the nearest, halves away from zero.

    |coefficient| + half a divisor is an integer. With another half added, its quotient by an integer is never close to
    a whole number, so float32 truncates to the right one however it divides (|coefficient| < 2**14).

    Args:
        coefficients: float32 [8, 8, ...].
        table: float64 [8, 8, 1, ...], divisors of the true DCT.
    """
    divisor = FORWARD_SCALE * table
    half = ((divisor / 2 + 0.5) / divisor).float()
    steps = torch.copysign(half, coefficients).addcmul_(coefficients, (1 / divisor).float()).trunc_()
    return steps * table


def _coefficients(planes: Tensor, heights: Sequence[int], widths: Sequence[int], tables: Tables) -> Tensor:
    return forward_dct(to_blocks(planes, heights, widths, tables))


def _restored(coefficients: Tensor, table: tuple[int, ...]) -> Tensor:
    return from_blocks(inverse_dct(quantise(coefficients, _on(table, coefficients.device))))


def _restored_chroma(spectra: Spectra, quality: int, subsampling: str, tables: Tables) -> Tensor:
    planes = _restored(spectra.chroma[subsampling], scaled_tables(quality)[1])
    if subsampling == "4:2:0":
        return double(planes, spectra.heights, spectra.widths, tables)
    return planes[..., : max(spectra.heights), : max(spectra.widths)]


@cache
def _on(table: tuple[int, ...], device: torch.device) -> Tensor:
    """A quantisation table on a device, float64 [8, 8, 1, 1, 1, 1]."""
    return torch.tensor(table, dtype=torch.float64, device=device).view(8, 8, 1, 1, 1, 1)
