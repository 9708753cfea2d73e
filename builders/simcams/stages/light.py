"""The light of one scene, with everything about it that does not depend on the camera worked out once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft

MID_GREY = 0.18
"""Mean linear level that an automatic exposure aims at: an 18 % grey card."""

HIGHLIGHT_LEVEL = 0.95
"""Level at which it places the brightest two per cent, if the mean would push that higher."""

BLOWN_LEVEL = np.float32(2.0)
"""Light of a highlight that the source photo had clipped: a stop over white."""


@dataclass(frozen=True)
class SceneLight:
    """Scene-linear light integrated over pixel areas, with a margin around the frame for lenses and hands."""

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
        """From linear sRGB float [height + 2 margin, width + 2 margin, 3], each sample the mean over its pixel's area.

        Args:
            scene_id: identity of the scene; every random number of a shot depends on it.
            linear: the light; negative values are cut to 0.
            margin: pixels around the frame.
            illuminant: see the field.
            clipped: float [padded height, padded width] in [0, 1], how far each pixel is clipped in its source. Such a
                highlight carries no data: it is taken to be white and brighter than any camera here can hold, or else
                it would come out as a grey plate, or pink.
            expose: scale to what an automatic exposure gives (``auto_exposure``); False takes the values as they are.
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
    """An eighth of the longer side: room for distortion and re-framing, and a friendly length to transform."""
    return max(height, width) // 8


def auto_exposure(planes: np.ndarray) -> float:
    """Factor that an average meter with highlight protection gives to linear sRGB planes [3, height, width].

    The mean luminance goes to ``MID_GREY``, unless that puts the brightest two per cent above ``HIGHLIGHT_LEVEL``.
    A scene without light gets 1.
    """
    luminance = np.tensordot(np.array([0.2126, 0.7152, 0.0722], np.float32), planes, axes=1)
    mean, bright = float(luminance.mean()), float(np.quantile(luminance, 0.98))
    if mean <= 0 or bright <= 0:
        return 1.0
    return min(MID_GREY / mean, HIGHLIGHT_LEVEL / bright)
