"""How like two pictures are: PSNR and SSIM."""

from __future__ import annotations

import math

import numpy as np

SIGMA, REACH = 1.5, 5
"""Of the Gaussian window of SSIM: standard deviation, and pixels on each side of its centre."""


def psnr(picture: np.ndarray, reference: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 pictures of one shape; infinite if they are equal.

    >>> round(psnr(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 16, np.uint8)), 2)
    24.05
    """
    error = float(np.mean((picture.astype(np.float64) - reference) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def ssim(picture: np.ndarray, reference: np.ndarray) -> float | None:
    """Structural similarity of two uint8 pictures [height, width, colours], the mean over colours.

    Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004: Gaussian
    window of 11 x 11 pixels, K1 = 0.01, K2 = 0.03, without the border that the window does not fill.

    Returns:
        At most 1; None for a picture smaller than the window.

    >>> ssim(np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20, 3), np.uint8))
    1.0
    """
    if min(picture.shape[:2]) < 2 * REACH + 1:
        return None
    a, b = (np.moveaxis(p.astype(np.float64), 2, 0) for p in (picture, reference))
    mean_a, mean_b = _blurred(a), _blurred(b)
    variance_a, variance_b = _blurred(a * a) - mean_a**2, _blurred(b * b) - mean_b**2
    covariance = _blurred(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    similarity = structure * (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float(similarity[:, REACH:-REACH, REACH:-REACH].mean())


def _blurred(planes: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    blurred: np.ndarray = gaussian_filter(planes, (0, SIGMA, SIGMA), radius=REACH)
    return blurred
