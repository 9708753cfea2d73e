"""Parameters of a simulated camera and of a shot, as frozen values. The catalogue reads them, the stages render them.

docs/reference/simulated-cameras.md lists typical ranges of each number with their sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

CameraKind = Literal["phone", "compact", "dslr"]

BAYER_PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
"""Colour of the pixels (0,0), (0,1), (1,0), (1,1) of a mosaic, by name."""


@dataclass(frozen=True)
class Body:
    """The sensor and its read-out. Electron counts are per pixel."""

    pitch_um: float
    """Pixel pitch."""
    full_well_e: float
    """Electrons at which a pixel saturates; white at ``base_iso``."""
    base_iso: int
    """Sensitivity at which white fills the well."""
    read_noise_e: float
    """Part of the read noise that gain does not reduce, input-referred, standard deviation."""
    downstream_noise_e: float
    """Part added after the gain (ADC), input-referred at ``base_iso``; falls as 1/gain."""
    row_noise_share: float
    """Standard deviation of the offset of a row, as a share of the read noise."""
    prnu: float
    """Photo-response non-uniformity: relative standard deviation of the pixels' sensitivity, fixed per unit."""
    dark_e_per_s: float
    """Mean dark signal; each pixel's own rate is fixed per unit (DSNU, exponential)."""
    adc_bits: int
    black_level: int
    """Pedestal in DN, so that noise around black is not clipped."""
    bayer: str
    """One of ``BAYER_PATTERNS``."""
    colour_matrix: tuple[tuple[float, float, float], ...]
    """White-balanced camera RGB to linear sRGB, 3 x 3, rows sum to 1."""
    white_balance: tuple[float, float]
    """Gains of red and blue relative to green that make daylight grey."""

    @property
    def white_level(self) -> int:
        """Largest DN."""
        return (1 << self.adc_bits) - 1

    def gain_dn_per_e(self, iso: float) -> float:
        """System gain K: (white - black) / full well at base ISO, in proportion to ISO above it (SIMCAMS formula)."""
        return (self.white_level - self.black_level) / self.full_well_e * iso / self.base_iso

    def white_e(self, iso: float) -> float:
        """Electrons at the picture's white."""
        return self.full_well_e * self.base_iso / iso

    def total_read_noise_e(self, iso: float) -> float:
        """Input-referred read noise at ``iso``: the two parts add in variance, the second falls with gain."""
        return math.hypot(self.read_noise_e, self.downstream_noise_e * self.base_iso / iso)


@dataclass(frozen=True)
class Lens:
    """The optics, as they act on the frame."""

    crop_factor: float
    """43.27 mm over the diagonal of the sensor that the camera is like; equivalent = real focal length times this."""
    blur_px: float
    """Gaussian standard deviation of the lens blur (aberrations, optical low-pass), without diffraction."""
    vignetting_stops: float
    """Optical falloff at the corner wide open, in stops, in addition to the natural cos^4 law."""
    shading_correction: float
    """Share (in stops) of the whole falloff that the camera corrects, 0 to 1."""
    distortion_wide: float
    """Radial displacement at the corner, relative, at 24 mm equivalent: negative is barrel."""
    distortion_tele: float
    """The same at 200 mm equivalent; between them linear in the logarithm of the focal length."""
    lateral_ca: tuple[float, float]
    """Magnification of red and of blue relative to green, minus 1."""


@dataclass(frozen=True)
class Pipeline:
    """Parameters of the processing between raw and JPEG."""

    demosaic: str
    """``bilinear`` or ``malvar``."""
    luma_threshold: float
    """Soft threshold on luma wavelet coefficients, in standard deviations of their noise; 0 is none."""
    chroma_levels: int
    """Octaves of chroma that are smoothed away, 0 to 3."""
    saturation: float
    """1 is faithful colour."""
    hue_twist: float
    """Antisymmetric part added to the colour matrix: rotates hues, leaves greys unchanged. About -0.1 to 0.1."""
    contrast: float
    """Strength of the S-curve, 0 (plain sRGB) to 1 (smoothstep)."""
    local_contrast: float
    """Amount of large-radius unsharp masking."""
    sharpen_radius_px: float
    """Standard deviation of the Gaussian of the unsharp mask."""
    sharpen_amount: float
    """Weight of (luma - blurred luma)."""


@dataclass(frozen=True)
class JpegSettings:
    """Parameters of the JPEG files of a camera."""

    table: str
    """Name of a pair of tables in ``jpeg_tables.yaml``."""
    subsampling: str
    """``4:4:4``, ``4:2:2`` or ``4:2:0``."""
    scales: tuple[int, ...] = (100,)
    """Scale of the table in per cent. Several values simulate rate control: each shot draws one."""


@dataclass(frozen=True)
class Camera:
    """One model of one make."""

    make: str
    model: str
    kind: CameraKind
    body: Body
    lens: Lens
    pipeline: Pipeline
    jpeg: JpegSettings

    @property
    def name(self) -> str:
        """Make and model."""
        return f"{self.make} {self.model}"

    @property
    def camera_type(self) -> str:
        """``phone`` or ``camera``, as in PairCams."""
        return "phone" if self.kind == "phone" else "camera"


@dataclass(frozen=True)
class Settings:
    """Camera settings of one shot."""

    exposure_s: Fraction
    f_number: float
    iso: int
    focal_length_35mm: float
    """35 mm equivalent focal length, in mm: determines the field of view for any size of the sensor."""

    def focal_length_mm(self, lens: Lens) -> float:
        """Real focal length, in mm, that gives this field of view on the sensor of the camera."""
        return self.focal_length_35mm / lens.crop_factor

    @property
    def scene_luminance_cd_m2(self) -> float:
        """Luminance of white at which these settings are the correct exposure.

        H = 0.65 L t / N^2 in the focal plane and saturation at H = 78 / ISO lx s (ISO 12232), hence
        L = 78 N^2 / (0.65 t ISO). Every scene is assumed to have the luminance that its settings expose correctly, so
        that the brightness of a picture contains no information about the settings.
        """
        return 78 * self.f_number**2 / (0.65 * float(self.exposure_s) * self.iso)


@dataclass(frozen=True)
class Framing:
    """Position of a hand-held shot relative to the scene. Shifts are shares of the longer side of the frame."""

    shift_x: float = 0.0
    shift_y: float = 0.0
    scale: float = 1.0
    """Above 1 is closer."""
    rotation_deg: float = 0.0


STEADY = Framing()
"""The shot that shows the scene as it is."""
