"""PSNR and SSIM against scikit-image."""

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from builders.pixels import psnr, ssim


@pytest.mark.parametrize("size", [(11, 11), (40, 57), (83, 12)])
def test_likeness__equals_scikit_image(size):
    rng = np.random.default_rng(sum(size))
    for noise in (2, 30, 200):
        a = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        b = np.clip(a + rng.normal(0, noise, a.shape), 0, 255).astype(np.uint8)
        assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(b, a), rel=1e-12)
        how = {"channel_axis": 2, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        assert ssim(a, b) == pytest.approx(structural_similarity(b, a, data_range=255, **how), abs=1e-9)


def test_likeness__of_equal_and_of_small_pictures():
    a = np.full((10, 40, 3), 7, np.uint8)
    assert psnr(a, a) == math.inf
    assert ssim(a, a) is None
