"""The stages of a shot by compiled kernels: arguments and results of the NumPy stages that define them, bit for bit.

What libraries compute to their own last bit (exponentials, powers, sines, products of matrices, transforms) is called
as the NumPy stages call it; the kernels do what IEEE arithmetic alone decides.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.fft

from builders.simcams import kernels_optics, kernels_pipeline, kernels_scene, kernels_sensor, optics, pipeline, scenes
from builders.simcams.camera import STEADY, Camera, Framing, Pipeline, Settings
from builders.simcams.scene_light import SceneLight
from builders.simcams.sensor import Raw, fixed_pattern


def compiled_paint(kind: str, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """``scenes.paint``."""
    drawing = scenes.draw(kind, height, width, rng)
    shapes, both = drawing.shapes, (2 * height, 2 * width)
    turn = np.stack([np.cos(shapes.angle), np.sin(shapes.angle), shapes.aspect], axis=1)
    place = np.concatenate([shapes.centre, shapes.radius[:, None], turn], axis=1).astype(np.float32)
    window = shapes.windows(*both)
    wave = np.where(shapes.stripes != 0, shapes.radius / (2.5 * scenes.SUPERSAMPLING), 0).astype(np.float32)
    shade, stripes = shapes.shade.astype(np.float32), shapes.stripes.astype(np.float32)
    owner = kernels_scene.visible_shapes(place, window, shapes.boxes, *both)
    exponents, phases = kernels_scene.textured_pixels(owner, place, shade, wave, shapes.flat)
    return kernels_scene.composed(
        drawing.background,
        np.ones(both) if drawing.pattern is None else drawing.pattern,
        owner,
        shapes.colour,
        shapes.flat,
        window,
        shapes.offset,
        drawing.grain,
        np.exp(exponents),
        np.sign(np.sin(phases)),
        stripes,
    )


def compiled_light_on_sensor(
    light: SceneLight, camera: Camera, settings: Settings, moment: optics.Moment, framing: Framing = STEADY
) -> np.ndarray:
    """``optics.light_on_sensor``."""
    body, lens, shape = camera.body, camera.lens, light.padded_shape
    raw, shared = optics.unblurred(light, camera), optics.shared_transfer(light, camera, settings, moment)
    sigmas = [optics.diffraction_sigma_px(settings.f_number, body.pitch_um, w) for w in optics.WAVELENGTH_UM]
    gauss = [optics.gaussian_transfer(shape, sigma) for sigma in sigmas]
    down, across = np.stack([one[0][:, 0] for one in gauss]), np.stack([one[1][0] for one in gauss])
    spectra = kernels_optics.filtered(raw, shared, down, across)
    planes = np.stack([scipy.fft.irfft2(one, s=shape, overwrite_x=True) for one in spectra])
    views = [optics.geometry(light, lens, settings, framing, colour) for colour in range(3)]
    y, x, r2 = optics.frame_grid(light.height, light.width)
    mosaic = np.empty((light.height, light.width), np.float32)
    inside = kernels_optics.sampled(
        planes,
        np.ascontiguousarray(y[:, 0]),
        np.ascontiguousarray(x[0]),
        r2,
        bayer_cell(body.bayer),
        np.array([view[:2] for view in views], np.float32),
        np.array(views[0][2:4], np.float32),
        np.array(views[0][4:], np.float32),
        mosaic,
    )
    if not inside:  # a lens bent further than the margin: the edge has rules of its own
        return optics.light_on_sensor(light, camera, settings, moment, framing)
    mosaic *= np.exp2(-optics.falloff_stops(light.height, light.width, lens, settings))
    return np.maximum(mosaic, 0, out=mosaic)


def compiled_read_out(
    exposure: np.ndarray,
    camera: Camera,
    settings: Settings,
    unit: int,
    rng: np.random.Generator,
    white_balance: np.ndarray | None = None,
) -> Raw:
    """``sensor.read_out``."""
    body, (height, width) = camera.body, exposure.shape
    pattern = fixed_pattern(camera, unit, height, width)
    white_e = body.white_e(settings.iso)
    expected, draws = kernels_sensor.expected_electrons(
        exposure, pattern.sensitivity, pattern.dark_e_per_s, np.float32(white_e), np.float32(settings.exposure_s)
    )
    electrons = photon_counts(expected, float(body.full_well_e), draws, rng)
    read_noise = body.total_read_noise_e(settings.iso)
    dn = kernels_sensor.digital_numbers(
        electrons,
        rng.standard_normal((height, width), dtype=np.float32),
        rng.standard_normal(height, dtype=np.float32),
        np.float32(read_noise),
        np.float32(read_noise * body.row_noise_share),
        np.float32(body.gain_dn_per_e(settings.iso)),
        np.float32(body.black_level),
        np.float32(body.white_level),
    )
    gains = np.array([body.white_balance[0], 1.0, body.white_balance[1]]) if white_balance is None else white_balance
    return Raw(dn, gains, white_e)


def photon_counts(expected: np.ndarray, most: float, draws: float, rng: np.random.Generator) -> np.ndarray:
    """``minimum(rng.poisson(expected), most)`` as float32, ``rng`` left as that leaves it.

    ``draws`` is a guess of how many uniform numbers it takes."""
    bits = rng.bit_generator
    if not isinstance(bits, np.random.Philox) or bits.state["buffer_pos"] != 4:
        return np.minimum(rng.poisson(expected), most).astype(np.float32)
    before, electrons, count = bits.state, np.empty_like(expected), math.ceil(1.02 * draws) + 200
    used = -1
    while used < 0:
        bits.state = before
        used = kernels_sensor.poisson_numbers(expected, rng.random(count), most, electrons)
        count *= 2
    bits.state = before
    bits.advance(used // 4)  # a step of Philox makes four numbers
    rng.random(used % 4)
    return electrons


def compiled_develop(raw: Raw, camera: Camera, settings: Settings) -> np.ndarray:
    """``pipeline.develop``."""
    body, chain, (height, width) = camera.body, camera.pipeline, raw.dn.shape
    cell = bayer_cell(body.bayer)
    shading = camera.lens.shading_correction
    if shading > 0:
        correction = np.exp2(np.float32(shading) * optics.falloff_stops(height, width, camera.lens, settings))
    else:
        correction = np.ones((height, width), np.float32)
    padded = kernels_pipeline.balanced_padded(
        raw.dn,
        np.float32(body.black_level),
        np.float32(body.white_level - body.black_level),
        correction,
        np.asarray(raw.white_balance, np.float32)[cell],
    )
    planes = kernels_pipeline.demosaiced(padded, cell, chain.demosaic == "malvar")
    planes = _denoise(planes, raw.white_e, body.total_read_noise_e(settings.iso), chain)
    linear = np.tensordot(pipeline.colour_correction(body, chain).astype(np.float32), planes, axes=1)
    if chain.local_contrast > 0:
        linear = pipeline.local_contrast(linear, chain.local_contrast)
    encoded = kernels_pipeline.toned(linear, pipeline.tone_table(chain.contrast))
    luma, taps = encoded[0], np.empty(0)
    if chain.sharpen_amount != 0:
        luma = np.tensordot(pipeline.REC601, encoded, axes=1)
        taps = np.array(pipeline.gaussian_taps(chain.sharpen_radius_px), np.float32).astype(np.float64)
    return kernels_pipeline.sharpened_bytes(encoded, luma, taps, float(np.float32(chain.sharpen_amount)))


def _denoise(planes: np.ndarray, white_e: float, read_noise_e: float, chain: Pipeline) -> np.ndarray:
    if chain.luma_threshold == 0 and chain.chroma_levels == 0:
        return planes
    offset, white = np.float32(0.375 + read_noise_e**2), np.float32(white_e)
    stable = kernels_pipeline.stabilised(planes, white, offset)
    luma = np.tensordot(pipeline.LUMA, stable, axes=1)
    cuts = [0.6 * chain.luma_threshold * noise for noise in pipeline.WAVELET_NOISE[: pipeline.WAVELET_LEVELS]]
    cuts = cuts if chain.luma_threshold else []
    taps = np.array(pipeline.B3_SPLINE, np.float32)
    return kernels_pipeline.denoised(stable, luma, np.array(cuts, np.float32), chain.chroma_levels, taps, white, offset)


def bayer_cell(pattern: str) -> np.ndarray:
    """Colours of the four pixels of a Bayer cell, int64 [2, 2]."""
    return np.array([colour for _, _, colour in optics.bayer_sites(pattern)], np.int64).reshape(2, 2)
