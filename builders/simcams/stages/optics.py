"""From the light of a scene to the light on each pixel: blur, geometry, colour filters, falloff.

All blur is one transfer function in the frequency plane, so that it is exact and its cost does not depend on its size.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.special

from builders.simcams.camera import BAYER_PATTERNS, STEADY, Body, Camera, Framing, Lens, Settings
from builders.simcams.stages.light import SceneLight

WAVELENGTH_UM = (0.61, 0.54, 0.47)
"""Middle of the pass band of a red, green and blue filter."""

HAND_SHAKE_RAD_PER_S = 0.03
"""Angular speed of hand shake by the rule of thumb t = 1/f: a blur of 0.03 mm (the circle of confusion of the 36 x 24
frame) after 1/f seconds, for every f."""

SUBJECT_SPEED_PER_S = 0.35
"""Median speed of subjects, in frame widths a second: a walker (1.4 m/s) in a frame 4 m wide."""

DEPTH_RATIO = 0.3
"""Median relative depth between the plane in focus and the rest: a metre, for a subject at 3 m (50 mm equivalent)."""


@dataclass(frozen=True)
class Moment:
    """Motion and depth during the exposure: a property of the shot, not of the camera."""

    subject_speed: tuple[float, float]
    """Frame widths a second, x and y."""
    shake_rad_per_s: tuple[float, float]
    """Of the hand, x and y."""
    depth_ratio: float
    """Relative distance of the scene from the plane in focus."""

    @classmethod
    def still(cls) -> Moment:
        """No motion, everything in focus: for tests."""
        return cls((0.0, 0.0), (0.0, 0.0), 0.0)

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Moment:
        """Draw speeds and depth from log-normal distributions (a factor of 1.4 either way).

        Subjects move along the ground, left or right within about 15 degrees, so their blur has a common direction;
        hands shake in any direction.
        """
        spread = np.exp(0.35 * rng.standard_normal(3))
        angles = np.radians(15) * rng.standard_normal() + np.pi * rng.integers(2), rng.uniform(0, 2 * np.pi)
        speed, shake = SUBJECT_SPEED_PER_S * spread[0], HAND_SHAKE_RAD_PER_S * spread[1]
        return cls(
            (speed * math.cos(angles[0]), speed * math.sin(angles[0])),
            (shake * math.cos(angles[1]), shake * math.sin(angles[1])),
            DEPTH_RATIO * spread[2],
        )


def light_on_sensor(
    light: SceneLight, camera: Camera, settings: Settings, moment: Moment, framing: Framing = STEADY
) -> np.ndarray:
    """Relative exposure of every pixel behind its colour filter: float32 [height, width], 1 is white.

    Geometric distortion, lateral chromatic aberration, blur, framing and falloff, in one resampling. Blur is applied
    before the geometry, which changes its scale by less than the distortion (3 %).

    Args:
        light: of the scene.
        camera: body and lens.
        settings: of the shot.
        moment: motion and depth.
        framing: position relative to the scene.
    """
    body, height, width = camera.body, light.height, light.width
    planes = _blurred_planes(light, camera, settings, moment)
    mosaic = np.empty((height, width), np.float32)
    for row, column, colour in bayer_sites(body.bayer):
        at = sampling_positions(light, camera.lens, settings, framing, colour)[:, row::2, column::2]
        mosaic[row::2, column::2] = scipy.ndimage.map_coordinates(
            planes[colour], at, output=np.float32, order=3, mode="nearest", prefilter=False
        )
    mosaic *= np.exp2(-falloff_stops(height, width, camera.lens, settings))
    return np.maximum(mosaic, 0, out=mosaic)


def bayer_sites(pattern: str) -> tuple[tuple[int, int, int], ...]:
    """(row, column, colour index) of the four pixels of a Bayer cell.

    >>> bayer_sites("GRBG")
    ((0, 0, 1), (0, 1, 0), (1, 0, 2), (1, 1, 1))
    """
    if pattern not in BAYER_PATTERNS:
        raise ValueError(f"no Bayer pattern {pattern!r}")
    return tuple((i // 2, i % 2, "RGB".index(colour)) for i, colour in enumerate(pattern))


def sensor_matrix(body: Body, illuminant: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Linear sRGB to raw camera RGB: the inverse of the colour matrix, then of the white balance. float64 [3, 3]."""
    return np.linalg.inv(np.array(body.colour_matrix)) / white_balance_gains(body, illuminant)[:, None]


def white_balance_gains(body: Body, illuminant: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Gains of red, green and blue, float64 [3], in light that differs from daylight by ``illuminant`` (red, blue)."""
    return np.array([body.white_balance[0] * illuminant[0], 1.0, body.white_balance[1] * illuminant[1]])


def diffraction_sigma_px(f_number: float, pitch_um: float, wavelength_um: float = 0.55) -> float:
    """Standard deviation, in pixels, of the Gaussian nearest to the Airy pattern: 0.44 lambda N.

    >>> round(diffraction_sigma_px(2.0, 1.4), 3)
    0.346
    """
    return 0.44 * wavelength_um * f_number / pitch_um


def defocus_diameter_px(settings: Settings, lens: Lens, depth_ratio: float, width: int) -> float:
    """Diameter of the blur disc, in pixels.

    Thin lens: c = (f / N) * f * |1/s - 1/s'|. For a subject of constant size in the frame (s = 3 m at 50 mm equivalent,
    growing with focal length), c / frame width = (50 / 36) * (f / N) * depth ratio / 3000 mm, where f is the *real*
    focal length: small sensors have deep focus.
    """
    return width * 50 / 36 * settings.focal_length_mm(lens) / settings.f_number * depth_ratio / 3000


def motion_vector_px(settings: Settings, moment: Moment, width: int) -> tuple[float, float]:
    """Motion of the picture during the exposure, in pixels, x and y.

    It is the motion of the subject plus hand shake, which grows with focal length (frame width = 36 mm equivalent).
    """
    seconds = float(settings.exposure_s)
    per_frame = settings.focal_length_35mm / 36
    x, y = (s + h * per_frame for s, h in zip(moment.subject_speed, moment.shake_rad_per_s, strict=True))
    return x * seconds * width, y * seconds * width


def falloff_stops(height: int, width: int, lens: Lens, settings: Settings) -> np.ndarray:
    """Loss of light over the frame in stops, float32 [height, width], before any correction.

    Natural: cos^4 of the field angle. Optical: ``vignetting_stops`` at the corner wide open (f/1.8), quadratic in the
    radius, decreasing linearly in stops of aperture to a quarter at f/5.6 and beyond, like the medians of the Lensfun
    database (1.1 wide open, 0.3 from f/5.6).
    """
    return _falloff(*_falloff_parts(height, width, settings.focal_length_35mm), lens, settings)


def falloff_quarter(height: int, width: int, lens: Lens, settings: Settings) -> np.ndarray:
    """The lower right quarter of ``falloff_stops`` for even sides; the frame is symmetric in both directions."""
    natural, optical = _falloff_parts(height, width, settings.focal_length_35mm)
    return _falloff(natural[height // 2 :, width // 2 :], optical[height // 2 :, width // 2 :], lens, settings)


def _falloff(natural: np.ndarray, optical: np.ndarray, lens: Lens, settings: Settings) -> np.ndarray:
    closed = min(max(math.log2(settings.f_number / 1.8) / math.log2(5.6 / 1.8), 0), 1)
    return natural + np.float32(lens.vignetting_stops * (1 - 0.75 * closed)) * optical


def distortion(lens: Lens, focal_length_35mm: float) -> float:
    """Relative displacement at the corner, linear in log focal length between 24 and 200 mm."""
    t = min(max(math.log(focal_length_35mm / 24) / math.log(200 / 24), 0), 1)
    return lens.distortion_wide + t * (lens.distortion_tele - lens.distortion_wide)


def sampling_positions(light: SceneLight, lens: Lens, settings: Settings, framing: Framing, colour: int) -> np.ndarray:
    """Position of each pixel in the padded scene, float32 [2 (y, x), height, width].

    Third-order radial model r_scene = r (1 - k r^2), r = 1 at the corner; the colours differ by one scale each.
    """
    y, x, r2 = frame_grid(light.height, light.width)
    k, scale, cos, sin, centre_y, centre_x = geometry(light, lens, settings, framing, colour)
    stretch = (1 - k * r2) * scale
    return np.stack([stretch * (cos * y + sin * x) + centre_y, stretch * (cos * x - sin * y) + centre_x])


def geometry(
    light: SceneLight, lens: Lens, settings: Settings, framing: Framing, colour: int
) -> tuple[np.float32, np.float32, np.float32, np.float32, np.float32, np.float32]:
    """Parameters of ``sampling_positions``: distortion, scale, cosine and sine of the rotation, centre (y, x)."""
    magnification = (1 + lens.lateral_ca[0], 1.0, 1 + lens.lateral_ca[1])[colour]
    turn, side = math.radians(framing.rotation_deg), max(light.height, light.width)
    return (
        np.float32(distortion(lens, settings.focal_length_35mm)),
        np.float32(1 / (magnification * framing.scale)),
        np.float32(math.cos(turn)),
        np.float32(math.sin(turn)),
        np.float32(light.margin + (light.height - 1) / 2 + framing.shift_y * side),
        np.float32(light.margin + (light.width - 1) / 2 + framing.shift_x * side),
    )


def transfer_function(
    shape: tuple[int, int], sigma_px: float, disc_px: float = 0.0, motion_px: tuple[float, float] = (0.0, 0.0)
) -> np.ndarray:
    """Optical transfer function on the half plane of ``scipy.fft.rfft2``, float32 [h, w // 2 + 1].

    Gaussian exp(-2 pi^2 sigma^2 f^2), disc 2 J1(pi d f) / (pi d f), uniform motion sinc(f . v).
    """
    fy, fx, _ = frequencies(*shape)
    down, across = gaussian_transfer(shape, sigma_px)
    transfer = down * across
    if disc_px > 0:
        disc, indices = disc_transfer(shape, disc_px)
        transfer *= disc[indices]
    if motion_px != (0.0, 0.0):
        transfer *= np.sinc(fx * np.float32(motion_px[0]) + fy * np.float32(motion_px[1]))
    return transfer


def disc_transfer(shape: tuple[int, int], disc_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Factor of ``transfer_function`` for a disc with ``disc_px`` above 0.

    Returns:
        Values float32 [k], and the index of the value at each frequency, int32 [h, w // 2 + 1].
    """
    radii, indices = _radii(*shape)
    argument = np.float32(math.pi * disc_px) * radii
    argument[0] = 1
    disc = 2 * scipy.special.j1(argument) / argument
    disc[0] = 1
    return disc, indices


def gaussian_transfer(shape: tuple[int, int], sigma_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Two factors of ``transfer_function`` for a Gaussian: float32 [h, 1] and [1, w // 2 + 1]."""
    fy, fx, _ = frequencies(*shape)
    scale = np.float32(-2 * math.pi**2 * sigma_px**2)
    return np.exp(scale * fy**2), np.exp(scale * fx**2)


def unblurred(light: SceneLight, camera: Camera) -> np.ndarray:
    """Spectrum of the raw camera RGB before all blur, complex64 [3, h, w // 2 + 1]."""
    matrix = sensor_matrix(camera.body, light.illuminant).astype(np.float32)
    parts = np.ascontiguousarray(light.spectrum).view(np.float32)  # a real matrix: real and imaginary parts apart
    return np.tensordot(matrix, parts, axes=1).view(np.complex64)


def shared_transfer(light: SceneLight, camera: Camera, settings: Settings, moment: Moment) -> np.ndarray:
    """Transfer function of the blur that all colours share, times the spline prefilter: float32 [h, w // 2 + 1]."""
    return spline_prefilter(*light.padded_shape) * transfer_function(
        light.padded_shape,
        camera.lens.blur_px,
        defocus_diameter_px(settings, camera.lens, moment.depth_ratio, light.width),
        motion_vector_px(settings, moment, light.width),
    )


def _blurred_planes(light: SceneLight, camera: Camera, settings: Settings, moment: Moment) -> list[np.ndarray]:
    """Raw camera RGB after all blur, as cubic B-spline coefficients of the padded scene."""
    body, shape = camera.body, light.padded_shape
    raw, shared = unblurred(light, camera), shared_transfer(light, camera, settings, moment)
    planes = []
    for colour, wavelength in enumerate(WAVELENGTH_UM):
        sigma = diffraction_sigma_px(settings.f_number, body.pitch_um, wavelength)
        blurred = raw[colour] * (shared * transfer_function(shape, sigma))
        planes.append(scipy.fft.irfft2(blurred, s=shape, overwrite_x=True))
    return planes


@functools.lru_cache(maxsize=8)
def frequencies(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frequencies in cycles per pixel: fy [height, 1], fx [1, width // 2 + 1], and their radius."""
    fy = np.fft.fftfreq(height).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(width).astype(np.float32)[None, :]
    return fy, fx, np.hypot(fy, fx)


@functools.lru_cache(maxsize=8)
def _radii(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct radii of ``frequencies`` in ascending order, float32 [k], and the index of the radius of each frequency,
    int32 [height, width // 2 + 1]. An eighth of the radii of a square grid are distinct."""
    radius = frequencies(height, width)[2]
    radii, indices = np.unique(radius, return_inverse=True)
    return radii, indices.reshape(radius.shape).astype(np.int32)


@functools.lru_cache(maxsize=8)
def spline_prefilter(height: int, width: int) -> np.ndarray:
    """Filter that converts samples to cubic B-spline coefficients: 1 / ((2 + cos w) / 3) per axis (Unser 1999)."""
    fy, fx, _ = frequencies(height, width)
    return 9 / ((2 + np.cos(2 * np.pi * fy)) * (2 + np.cos(2 * np.pi * fx)))


@functools.lru_cache(maxsize=8)
def frame_grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y, x in pixels from the centre and the squared radius in half diagonals, float32 [height, width]."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y -= np.float32((height - 1) / 2)
    x -= np.float32((width - 1) / 2)
    return y, x, (y**2 + x**2) / np.float32((height**2 + width**2) / 4)


@functools.lru_cache(maxsize=32)
def _falloff_parts(height: int, width: int, focal_length_35mm: float) -> tuple[np.ndarray, np.ndarray]:
    """cos^4 falloff in stops, and r^2. The half diagonal of the 36 x 24 mm frame is 21.63 mm."""
    r2 = frame_grid(height, width)[2]
    tan2 = np.float32((21.63 / focal_length_35mm) ** 2) * r2
    return 2 * np.log2(1 + tan2), r2
