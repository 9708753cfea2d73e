"""The light of one scene, with everything that does not depend on the camera computed once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft

MID_GREY = 0.18
"""Target mean linear level of the automatic exposure: an 18 % grey card."""

HIGHLIGHT_LEVEL = 0.95
"""Highest level of the brightest two per cent after the automatic exposure."""

BLOWN_LEVEL = np.float32(2.0)
"""Level of a highlight that is clipped in the source photo: one stop above white."""


@dataclass(frozen=True)
class SceneLight:
    """Scene-linear light integrated over pixel areas, with a margin around the frame for distortion and re-framing."""

    scene_id: str
    height: int
    """Pixels of the frame."""
    width: int
    margin: int
    """Pixels of scene beyond the frame on every side."""
    spectrum: np.ndarray
    """``rfft2`` of the padded linear sRGB planes, complex64 [3, height + 2 margin, (width + 2 margin) // 2 + 1]."""
    illuminant: tuple[float, float] = (1.0, 1.0)
    """Red and blue white-balance gains relative to the camera's daylight gains."""

    @property
    def padded_shape(self) -> tuple[int, int]:
        """Height and width with the margin."""
        return self.height + 2 * self.margin, self.width + 2 * self.margin

    @classmethod
    def of_linear_rgb(
        cls,
        scene_id: str,
        linear: np.ndarray,
        margin: int,
        *,
        illuminant: tuple[float, float] = (1.0, 1.0),
        clipped: np.ndarray | None = None,
        expose: bool = True,
    ) -> SceneLight:
        """The light of linear sRGB values.

        Args:
            scene_id: identity of the scene; every random number of a shot depends on it.
            linear: float [height + 2 margin, width + 2 margin, 3], each sample the mean over the area of its pixel;
                negative values are set to 0.
            margin: pixels around the frame.
            illuminant: see the field.
            clipped: float [padded height, padded width] in [0, 1], how far each pixel is clipped in its source. A
                clipped highlight contains no data: it is set to white, brighter than any camera here can record, since
                it would become a grey or pink area otherwise.
            expose: scale by ``auto_exposure``; False uses the values as they are.
        """
        planes = np.ascontiguousarray(np.moveaxis(np.maximum(linear, 0), -1, 0), dtype=np.float32)
        if expose:
            planes *= np.float32(auto_exposure(planes[:, margin : -margin or None, margin : -margin or None]))
        if clipped is not None:
            planes += clipped.astype(np.float32) * np.maximum(BLOWN_LEVEL - planes, 0)
        return cls(
            scene_id,
            linear.shape[0] - 2 * margin,
            linear.shape[1] - 2 * margin,
            margin,
            scipy.fft.rfft2(planes, axes=(1, 2)),
            illuminant,
        )


def margin_for(height: int, width: int) -> int:
    """Margin in pixels: an eighth of the longer side, enough for distortion and re-framing, and fast to transform."""
    return max(height, width) // 8


def auto_exposure(planes: np.ndarray) -> float:
    """Exposure factor of an average meter with highlight protection for linear sRGB planes [3, height, width].

    It brings the mean luminance to ``MID_GREY``, but the brightest two per cent not above ``HIGHLIGHT_LEVEL``. It is 1
    for a scene without light.
    """
    luminance = np.tensordot(np.array([0.2126, 0.7152, 0.0722], np.float32), planes, axes=1)
    mean, bright = float(luminance.mean()), float(np.quantile(luminance, 0.98))
    if mean <= 0 or bright <= 0:
        return 1.0
    return min(MID_GREY / mean, HIGHLIGHT_LEVEL / bright)
