"""The stages of a shot by compiled kernels, with the arguments and results of the NumPy stages, bit for bit.

Exponentials, powers, sines, matrix products and transforms, whose last bits depend on the library, are called as the
NumPy stages call them. The kernels contain only what IEEE arithmetic determines.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import scipy.fft

from builders.simcams.camera import STEADY, Camera, Framing, Pipeline, Settings
from builders.simcams.kernels import develop as develop_kernels
from builders.simcams.kernels import optics as optics_kernels
from builders.simcams.kernels import random as random_kernels
from builders.simcams.kernels import scene as scene_kernels
from builders.simcams.kernels import sensor as sensor_kernels
from builders.simcams.stages import develop, optics, scene
from builders.simcams.stages.light import SceneLight
from builders.simcams.stages.sensor import Raw, fixed_pattern


def compiled_paint(kind: str, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """``stages.scene.paint``."""
    drawing = scene.draw(kind, height, width, rng)
    shapes, samples = drawing.shapes, (2 * height, 2 * width)
    turn = np.stack([np.cos(shapes.angle), np.sin(shapes.angle), shapes.aspect], axis=1)
    place = np.concatenate([shapes.centre, shapes.radius[:, None], turn], axis=1).astype(np.float32)
    window = shapes.windows(*samples)
    wave = np.where(shapes.stripes != 0, shapes.radius / (2.5 * scene.SUPERSAMPLING), 0).astype(np.float32)
    shade, stripes = shapes.shade.astype(np.float32), shapes.stripes.astype(np.float32)
    owner = scene_kernels.visible_shapes(place, window, shapes.boxes, *samples)
    exponents, phases = scene_kernels.textured_pixels(owner, place, shade, wave, shapes.flat)
    return scene_kernels.composed(
        drawing.background,
        *_gratings(drawing.pattern, owner),
        owner,
        shapes.colour,
        shapes.flat,
        window,
        shapes.offset,
        drawing.grain,
        np.exp(exponents, out=exponents),
        np.sign(np.sin(phases, out=phases), out=phases),
        stripes,
    )


def _gratings(pattern: scene.Weave | None, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sines of the two gratings of the background in row-major order where no shape hides it, and their depths."""
    if pattern is None:
        return np.empty((2, 0)), np.empty(0)
    turn = np.array([math.cos(pattern.angle), math.sin(pattern.angle), pattern.bend], np.float32)
    phases = scene_kernels.grating_phases(owner, turn, pattern.period)
    return np.sin(phases, out=phases), pattern.depth


def compiled_light_on_sensor(
    light: SceneLight, camera: Camera, settings: Settings, moment: optics.Moment, framing: Framing = STEADY
) -> np.ndarray:
    """``stages.optics.light_on_sensor``."""
    body, lens, (height, width) = camera.body, camera.lens, light.padded_shape
    spectra = optics.unblurred(light, camera)
    _filter(spectra, light, camera, settings, moment)
    views = [optics.geometry(light, lens, settings, framing, colour) for colour in range(3)]
    y, x, r2 = optics.frame_grid(light.height, light.width)
    first, last = _rows_seen(light, views)
    columns = scipy.fft.ifft(spectra, axis=1, norm="forward", overwrite_x=True)
    planes = scipy.fft.irfft(columns[:, first:last], n=width, axis=2, norm="forward", overwrite_x=True)
    mosaic = np.empty((light.height, light.width), np.float32)
    inside = optics_kernels.sampled(
        planes,
        np.float32(1 / np.longdouble(height * width)),
        first,
        np.ascontiguousarray(y[:, 0]),
        np.ascontiguousarray(x[0]),
        r2,
        bayer_cell(body.bayer),
        np.array([view[:2] for view in views], np.float32),
        np.array(views[0][2:4], np.float32),
        np.array(views[0][4:], np.float32),
        np.exp2(-optics.falloff_quarter(light.height, light.width, lens, settings)),
        mosaic,
    )
    if not inside:  # distortion exceeds the margin: the edge needs the NumPy stage
        return optics.light_on_sensor(light, camera, settings, moment, framing)
    return mosaic


def _filter(spectra: np.ndarray, light: SceneLight, camera: Camera, settings: Settings, moment: optics.Moment) -> None:
    """Apply all blur in place: ``optics.shared_transfer`` and the diffraction of each colour."""
    lens, shape = camera.lens, light.padded_shape
    fy, fx, _ = optics.frequencies(*shape)
    sigmas = [optics.diffraction_sigma_px(settings.f_number, camera.body.pitch_um, w) for w in optics.WAVELENGTH_UM]
    gauss = [optics.gaussian_transfer(shape, sigma) for sigma in (*sigmas, lens.blur_px)]
    disc, indices = _NO_DISC, _NO_INDICES
    disc_px = optics.defocus_diameter_px(settings, lens, moment.depth_ratio, light.width)
    if disc_px > 0:
        disc, indices = optics.disc_transfer(shape, disc_px)
    frequencies, motion_px = (fy[:, 0], fx[0]), optics.motion_vector_px(settings, moment, light.width)
    motion, sines = np.array(motion_px, np.float32), _NO_SINES
    if motion_px != (0.0, 0.0):
        turns = optics_kernels.turns(*frequencies, motion)
        sines = np.sin(turns, out=turns)
    optics_kernels.filter_in_place(
        spectra.view(np.float32).reshape(*spectra.shape, 2),
        optics.spline_prefilter(*shape),
        disc,
        indices,
        sines,
        *frequencies,
        motion,
        np.stack([down[:, 0] for down, _ in gauss]),
        np.stack([across[0] for _, across in gauss]),
    )


_NO_DISC, _NO_INDICES, _NO_SINES = np.empty(0, np.float32), np.empty((0, 0), np.int32), np.empty((0, 0), np.float32)


def _rows_seen(light: SceneLight, views: Sequence[tuple[np.float32, ...]]) -> tuple[int, int]:
    """First row, and row after the last, of the padded scene that the splines of the frame need at most."""
    _, _, cos, sin, centre, _ = (float(number) for number in views[0])
    stretch = max(max(1.0, 1.0 - float(view[0])) * abs(float(view[1])) for view in views)
    reach = stretch * (abs(cos) * light.height + abs(sin) * light.width) / 2 + 3
    height = light.padded_shape[0]
    return max(0, math.floor(centre - reach)), min(height, math.ceil(centre + reach) + 1)


def compiled_read_out(
    exposure: np.ndarray,
    camera: Camera,
    settings: Settings,
    unit: int,
    rng: np.random.Generator,
    white_balance: np.ndarray | None = None,
) -> Raw:
    """``stages.sensor.read_out``."""
    body, (height, width) = camera.body, exposure.shape
    pattern = fixed_pattern(camera, unit, height, width, normal_numbers)
    white_e = body.white_e(settings.iso)
    expected = sensor_kernels.expected_electrons(
        exposure, pattern.sensitivity, pattern.dark_e_per_s, np.float32(white_e), np.float32(settings.exposure_s)
    )
    electrons = photon_counts(expected, float(body.full_well_e), rng)
    read_noise = body.total_read_noise_e(settings.iso)
    noise = normal_numbers(height * width + height, rng)
    dn = sensor_kernels.digital_numbers(
        electrons,
        noise[: height * width].reshape(height, width),
        noise[height * width :],
        np.float32(read_noise),
        np.float32(read_noise * body.row_noise_share),
        np.float32(body.gain_dn_per_e(settings.iso)),
        np.float32(body.black_level),
        np.float32(body.white_level),
    )
    gains = np.array([body.white_balance[0], 1.0, body.white_balance[1]]) if white_balance is None else white_balance
    return Raw(dn, gains, white_e)


def photon_counts(expected: np.ndarray, most: float, rng: np.random.Generator) -> np.ndarray:
    """``minimum(rng.poisson(expected), most)`` as float32, with the same state of ``rng`` afterwards."""
    bits = rng.bit_generator
    if not isinstance(bits, np.random.Philox) or (before := bits.state)["buffer_pos"] != 4:
        return np.minimum(rng.poisson(expected), most).astype(np.float32)
    electrons, state = np.empty_like(expected), before["state"]
    used = sensor_kernels.poisson_numbers(expected, state["counter"].copy(), state["key"], most, electrons)
    bits.advance(used // 4)  # a step of Philox makes four numbers
    rng.random(used % 4)
    return electrons


def compiled_develop(raw: Raw, camera: Camera, settings: Settings) -> np.ndarray:
    """``stages.develop.develop``."""
    body, pipeline, (height, width) = camera.body, camera.pipeline, raw.dn.shape
    cell = bayer_cell(body.bayer)
    shading = camera.lens.shading_correction
    if shading > 0:
        correction = np.exp2(np.float32(shading) * optics.falloff_stops(height, width, camera.lens, settings))
    else:
        correction = np.ones((height, width), np.float32)
    padded = develop_kernels.balanced_padded(
        raw.dn,
        np.float32(body.black_level),
        np.float32(body.white_level - body.black_level),
        correction,
        np.asarray(raw.white_balance, np.float32)[cell],
    )
    planes = develop_kernels.demosaiced(padded, cell, pipeline.demosaic == "malvar")
    planes = _denoise(planes, raw.white_e, body.total_read_noise_e(settings.iso), pipeline)
    linear = np.tensordot(develop.colour_correction(body, pipeline).astype(np.float32), planes, axes=1)
    if pipeline.local_contrast > 0:
        light, size = develop.contrast_luma(linear)
        light /= develop_kernels.surroundings(light, size)
        linear *= light ** np.float32(pipeline.local_contrast)
    encoded = develop_kernels.toned(linear, develop.tone_table(pipeline.contrast))
    luma, taps = encoded[0], np.empty(0)
    if pipeline.sharpen_amount != 0:
        luma = np.tensordot(develop.REC601, encoded, axes=1)
        taps = np.array(develop.gaussian_taps(pipeline.sharpen_radius_px), np.float32).astype(np.float64)
    return develop_kernels.sharpened_bytes(encoded, luma, taps, float(np.float32(pipeline.sharpen_amount)))


def _denoise(planes: np.ndarray, white_e: float, read_noise_e: float, pipeline: Pipeline) -> np.ndarray:
    if pipeline.luma_threshold == 0 and pipeline.chroma_levels == 0:
        return planes
    offset, white = np.float32(0.375 + read_noise_e**2), np.float32(white_e)
    stable = develop_kernels.stabilised(planes, white, offset)
    luma = np.tensordot(develop.LUMA, stable, axes=1)
    cuts = [0.6 * pipeline.luma_threshold * noise for noise in develop.WAVELET_NOISE[: develop.WAVELET_LEVELS]]
    cuts = cuts if pipeline.luma_threshold else []
    taps = np.array(develop.B3_SPLINE, np.float32)
    return develop_kernels.denoised(
        stable, luma, np.array(cuts, np.float32), pipeline.chroma_levels, taps, white, offset
    )


def normal_numbers(count: int, rng: np.random.Generator) -> np.ndarray:
    """``rng.standard_normal(count, dtype=float32)``, with the same state of ``rng`` afterwards."""
    bits, numbers = rng.bit_generator, np.empty(count, np.float32)
    if not isinstance(bits, np.random.Philox):
        return rng.standard_normal(count, dtype=np.float32)
    before = bits.state
    counter, skip = before["state"]["counter"].copy(), before["buffer_pos"] % 4
    if before["has_uint32"] or (skip and not counter[0]):
        return rng.standard_normal(count, dtype=np.float32)
    if skip:  # numbers of the current step are left
        counter[0] -= np.uint64(1)
    used = random_kernels.put_normals(counter, before["state"]["key"], 2 * skip, numbers)
    if used < 0:
        return rng.standard_normal(count, dtype=np.float32)
    wholes = used // 2 - skip  # numbers of 64 bits
    in_this_step = min(wholes, 4 - skip) if skip else 0
    rng.random(in_this_step)
    bits_on, rest = divmod(wholes - in_this_step, 4)
    if bits_on:
        bits.advance(bits_on)
    rng.random(rest)
    if used % 2:
        rng.integers(1 << 32, dtype=np.uint32)  # uses half of a 64-bit number
    return numbers


@functools.lru_cache(maxsize=4)
def bayer_cell(pattern: str) -> np.ndarray:
    """Colour indices of the four pixels of a Bayer cell, int64 [2, 2]."""
    return np.array([colour for _, _, colour in optics.bayer_sites(pattern)], np.int64).reshape(2, 2)
