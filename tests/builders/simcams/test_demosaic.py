"""Demosaicing against plain convolutions with the published kernels, and as the inverse of the mosaic."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from builders.simcams.camera import BAYER_PATTERNS
from builders.simcams.random_numbers import generator
from builders.simcams.stages.develop import demosaic
from builders.simcams.stages.optics import bayer_sites
from builders.simcams.stages.scene import paint

# Malvar, He & Cutler 2004, figure 2, times 8.
GREEN = np.array([[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]])
ALONG = np.array([[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]])
OPPOSITE = np.array([[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]])


def mosaic_of(rgb: np.ndarray, pattern: str) -> np.ndarray:
    mosaic = np.empty(rgb.shape[:2], np.float32)
    for row, column, colour in bayer_sites(pattern):
        mosaic[row::2, column::2] = rgb[row::2, column::2, colour]
    return mosaic


def malvar_by_convolution(mosaic: np.ndarray, pattern: str) -> np.ndarray:
    """Pixel by pixel, from whole-picture convolutions."""
    green, along, across, opposite = (
        scipy.ndimage.convolve(mosaic.astype(float), kernel / 8, mode="mirror")
        for kernel in (GREEN, ALONG, ALONG.T, OPPOSITE)
    )
    colour_at = ["RGB".index(c) for c in pattern]
    result = np.empty((3, *mosaic.shape))
    for y, x in np.ndindex(mosaic.shape):
        changed = colour_at[2 * (y % 2) + x % 2]
        result[changed, y, x] = mosaic[y, x]
        if changed == 1:
            in_row = colour_at[2 * (y % 2) + (x + 1) % 2]
            result[in_row, y, x], result[2 - in_row, y, x] = along[y, x], across[y, x]
        else:
            result[1, y, x], result[2 - changed, y, x] = green[y, x], opposite[y, x]
    return result


@pytest.mark.parametrize("pattern", BAYER_PATTERNS)
def test_malvar__equals_the_published_filters(pattern: str) -> None:
    mosaic = np.random.default_rng(0).random((16, 20)).astype(np.float32)
    np.testing.assert_allclose(demosaic(mosaic, pattern, "malvar"), malvar_by_convolution(mosaic, pattern), atol=1e-6)


@pytest.mark.parametrize("pattern", BAYER_PATTERNS)
def test_bilinear__is_exact_on_planes(pattern: str) -> None:
    y, x = np.mgrid[0:16, 0:12].astype(np.float32)
    rgb = np.stack([0.1 + 0.01 * x, 0.2 + 0.02 * y, 0.5 - 0.01 * x + 0.005 * y], axis=-1)
    planes = demosaic(mosaic_of(rgb, pattern), pattern, "bilinear")
    np.testing.assert_allclose(planes[:, 2:-2, 2:-2], np.moveaxis(rgb, -1, 0)[:, 2:-2, 2:-2], atol=1e-6)


@pytest.mark.parametrize("method", ["bilinear", "malvar"])
@pytest.mark.parametrize("pattern", BAYER_PATTERNS)
def test_demosaic__keeps_the_measured_pixels(pattern: str, method: str) -> None:
    mosaic = np.random.default_rng(1).random((8, 10)).astype(np.float32)
    planes = demosaic(mosaic, pattern, method)
    for row, column, colour in bayer_sites(pattern):
        np.testing.assert_array_equal(planes[colour, row::2, column::2], mosaic[row::2, column::2])


def test_demosaic__undoes_the_mosaic_of_a_natural_scene_and_malvar_does_it_better() -> None:
    """Dead leaves with correlated colours, as sharp as pixels allow."""
    scene = paint("leaves", 256, 256, generator("demosaic"))
    blurred = scipy.ndimage.gaussian_filter(scene / np.quantile(scene, 0.99), (0.6, 0.6, 0))
    psnr = {}
    for method in ("bilinear", "malvar"):
        planes = demosaic(mosaic_of(blurred, "RGGB"), "RGGB", method)
        error = (np.moveaxis(planes, 0, -1) - blurred)[4:-4, 4:-4]
        psnr[method] = -10 * np.log10((error**2).mean())
    assert psnr["bilinear"] > 30
    assert psnr["malvar"] > psnr["bilinear"] + 2


def test_demosaic__odd_sides_are_refused() -> None:
    with pytest.raises(ValueError, match="even sides"):
        demosaic(np.zeros((5, 6), np.float32), "RGGB", "malvar")
