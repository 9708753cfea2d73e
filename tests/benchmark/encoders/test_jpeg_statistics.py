from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from benchmark.encoders.loaders import jpeg_statistics as jpeg_module
from benchmark.encoders.loaders.jpeg_statistics import (
    CHROMA_COEFFICIENTS,
    DIMENSION,
    HISTOGRAM_BINS,
    LUMA_COEFFICIENTS,
    MAX_SIDE,
    STEPS,
    VERSION,
    _block_dct,
    jpeg_statistics,
)
from builders.pixels import PARAMETERS, PROCESSINGS
from builders.pixels.process import process


def test_version__stands_for_these_values() -> None:
    """Cached embeddings are found by the version: where these values move, raise it and write the new ones here."""
    parts = jpeg_statistics(_photo(3)).reshape(8, -1).mean(1)
    assert VERSION == 1
    np.testing.assert_allclose(parts, [0.1471, 0.1779, 0.0918, 0.0033, 0.1532, 0.0494, 0.1094, 0.1875], atol=2e-4)


def test_block_dct__equals_scipy_in_zigzag_order() -> None:
    plane = np.random.default_rng(0).normal(0, 50, (24, 16)).astype(np.float32)
    block = dctn(plane[8:16, 8:16], norm="ortho")
    first = [(0, 0), (0, 1), (1, 0), (2, 0), (1, 1), (0, 2), (0, 3), (1, 2), (2, 1), (3, 0)]
    coefficients = _block_dct(plane)
    assert coefficients.shape == (6, 64)
    np.testing.assert_allclose(coefficients[3, :10], [block[p] for p in first], atol=1e-3)
    np.testing.assert_allclose(sorted(coefficients[3]), sorted(block.ravel()), atol=1e-3)


def test_statistics__hand_computed_histogram() -> None:
    """Columns 8 * cos(pi (2 x + 1) / 16) in every block: only the first horizontal coefficient, 32 sqrt(2) = 45.25."""
    x = np.arange(64)
    gray = np.round(128 + 8 * np.cos(np.pi * (2 * (x % 8) + 1) / 16)).astype(np.uint8)
    vector = jpeg_statistics(Image.fromarray(np.repeat(np.tile(gray, (32, 1))[:, :, None], 3, axis=2)))
    histograms = vector[: LUMA_COEFFICIENTS * HISTOGRAM_BINS].reshape(LUMA_COEFFICIENTS, HISTOGRAM_BINS)
    assert histograms[0, -1] == 1  # all of it above 22.5
    assert (histograms[1:5, 0] == 1).all()  # nothing in the next four
    np.testing.assert_allclose((histograms**2).sum(1), 1, atol=1e-6)


def test_statistics__comb_of_a_quantised_photo_is_seen() -> None:
    """At quality 75 the first luma AC coefficient has step 6, so cos(2 pi c / 6) is near 1; at quality 95 it is not."""
    photo = _photo(0)
    start = LUMA_COEFFICIENTS * HISTOGRAM_BINS
    low, high = (
        jpeg_statistics(process(photo, PROCESSINGS[name], "a"))[start : start + LUMA_COEFFICIENTS * len(STEPS)]
        for name in ("jpeg-q75-444", "jpeg-q95-444")
    )
    at = STEPS.index(6)
    assert low[at] > 0.5
    assert high[at] < 0.3


@pytest.mark.parametrize("size", [(2, 2), (7, 300), (15, 16), (17, 33), (MAX_SIDE + 40, 40)])
def test_statistics__any_size(size: tuple[int, int]) -> None:
    vector = jpeg_statistics(_photo(1).resize(size))
    assert vector.shape == (DIMENSION,)
    assert vector.dtype == np.float32
    assert np.isfinite(vector).all()
    assert np.abs(vector).max() <= 1.5


def test_statistics__black_photo_is_finite() -> None:
    vector = jpeg_statistics(Image.new("RGB", (64, 48)))
    assert np.isfinite(vector).all()


def test_statistics__large_photo_is_cut_on_the_grid() -> None:
    photo = _photo(2).resize((MAX_SIDE + 64, 64))
    middle = photo.crop((32, 0, 32 + MAX_SIDE, 64))
    assert np.array_equal(jpeg_statistics(photo), jpeg_statistics(middle))


@pytest.mark.parametrize(("more", "start"), [(15, 0), (31, 0), (32, 16), (48, 16), (63, 16), (80, 32)])
def test_statistics__of_a_large_photo_the_part_that_begins_on_the_grid_of_16_pixels(more: int, start: int) -> None:
    photo = _photo(2).resize((MAX_SIDE + more, 32))
    middle = photo.crop((start, 0, start + MAX_SIDE, 32))
    assert np.array_equal(jpeg_statistics(photo), jpeg_statistics(middle))
    upright, middle = (picture.transpose(Image.Transpose.TRANSPOSE) for picture in (photo, middle))
    assert np.array_equal(jpeg_statistics(upright), jpeg_statistics(middle))


def test_combs__a_plain_loop_over_coefficients() -> None:
    """Histograms of rounded coefficients, and the mean cosine of those from 0.875 to 64, rounded to quarters."""
    steps = np.r_[0, 0.5, 0.6, 0.7, 0.75, 0.8, 0.87, 0.88, 1.0, 2.4, 22.4, 22.5, 63.8, 63.9, 70.0, 900.0]
    coefficients = np.stack([np.full(16, 9.0), steps, -steps[::-1], 0.1 * steps], axis=1).astype(np.float32)
    made = jpeg_module._combs(coefficients, 3)
    histograms, strengths = made[: 3 * HISTOGRAM_BINS].reshape(3, -1), made[3 * HISTOGRAM_BINS :].reshape(3, -1)
    for at in range(3):
        quarters = [int(abs(float(c)) * 4 + 0.5) for c in coefficients[:, at + 1]]
        bins = np.bincount([min(int(q / 4 + 0.5), HISTOGRAM_BINS - 1) for q in quarters], minlength=HISTOGRAM_BINS)
        np.testing.assert_allclose(histograms[at], np.sqrt(bins / 16), rtol=1e-6)
        away = [q / 4 for q in quarters if 3 < q < 256]
        cosines = [np.mean([np.cos(2 * np.pi * c / step) for c in away]) for step in STEPS]
        np.testing.assert_allclose(strengths[at], cosines, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("parameter", ["jpeg"])
def test_linear_probe__reads_the_processing_of_unseen_photos(parameter: str) -> None:
    names = PARAMETERS[parameter].processings
    views = [[jpeg_statistics(process(_photo(i), PROCESSINGS[n], str(i))) for n in names] for i in range(24)]
    labels = list(range(len(names)))
    train, test = normalize(np.concatenate(views[:16])), normalize(np.concatenate(views[16:]))
    probe = LogisticRegression(C=100, max_iter=500).fit(train, labels * 16)
    assert probe.score(test, labels * 8) >= 0.9
    assert CHROMA_COEFFICIENTS < LUMA_COEFFICIENTS


def _photo(seed: int) -> Image.Image:
    """A picture with structure at every scale: sums of enlarged noise."""
    generator = np.random.default_rng(seed)
    total = np.zeros((160, 200, 3))
    for side in (4, 12, 40, 120):
        noise = Image.fromarray(generator.integers(0, 256, (side, side, 3), dtype=np.uint8))
        total += np.asarray(noise.resize((200, 160), Image.Resampling.BICUBIC), dtype=float) - 128
    return Image.fromarray(np.clip(128 + total / 2, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((MAX_SIDE + 40, 41), (16, 0, MAX_SIDE + 16, 32)),
        ((47, MAX_SIDE + 31), (0, 0, 32, MAX_SIDE)),
        ((31, MAX_SIDE + 32), (0, 16, 16, MAX_SIDE + 16)),
        ((17, 63), (0, 0, 16, 48)),
    ],
)
def test_statistics__what_is_read_begins_on_the_grid(size: tuple[int, int], box: tuple[int, int, int, int]) -> None:
    photo = _photo(2).resize(size)
    assert np.array_equal(jpeg_statistics(photo), jpeg_statistics(photo.crop(box)))


@pytest.mark.parametrize("size", [(7, 16), (32, 15), (9, 3)])
def test_statistics__a_small_photo_is_mirrored(size: tuple[int, int]) -> None:
    pixels = np.asarray(_photo(1).resize(size))
    height, width = (max(16, side // 16 * 16) for side in pixels.shape[:2])
    rows, columns = ([min(i % (2 * n), 2 * n - 1 - i % (2 * n)) for i in range(m)] for m, n in (
        (height, size[1]), (width, size[0])))  # fmt: skip
    mirrored = Image.fromarray(pixels[rows][:, columns])
    assert np.array_equal(jpeg_statistics(Image.fromarray(pixels)), jpeg_statistics(mirrored))


def _by_hand(photo: Image.Image) -> np.ndarray:
    """The vector by loops over blocks, coefficients and steps."""
    red, green, blue = np.moveaxis(np.asarray(photo, float), 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = [luma, (blue - luma) / 1.772, (red - luma) / 1.402]
    zigzag = [(0, 0)]
    while len(zigzag) < 64:
        u, v = zigzag[-1]
        up = (u + v) % 2 == 0
        if up:
            step = (u, v + 1) if u == 0 and v < 7 else (u + 1, v) if v == 7 else (u - 1, v + 1)
        else:
            step = (u + 1, v) if v == 0 and u < 7 else (u, v + 1) if u == 7 else (u + 1, v - 1)
        zigzag.append(step)

    def coefficients(plane: np.ndarray) -> np.ndarray:
        blocks = [
            dctn(plane[y : y + 8, x : x + 8], norm="ortho")
            for y in range(0, plane.shape[0], 8)
            for x in range(0, plane.shape[1], 8)
        ]
        return np.abs([[block[place] for place in zigzag] for block in blocks])

    def combs(values: np.ndarray, count: int) -> list[float]:
        quarters = np.floor(4 * values[:, 1 : count + 1].T + 0.5)
        bins = np.minimum((quarters + 2) // 4, HISTOGRAM_BINS - 1)
        shares = [(row == k).mean() ** 0.5 for row in bins for k in range(HISTOGRAM_BINS)]
        waves = [
            np.cos(np.pi / 2 * away / step).mean() if len(away) else 0
            for row in quarters
            for away in [row[(row > 3) & (row < 256)]]
            for step in STEPS
        ]
        return [*shares, *waves]

    halves = [plane.reshape(plane.shape[0] // 2, 2, -1, 2).mean((1, 3)) for plane in planes[1:]]
    first, chroma = coefficients(luma), np.concatenate([coefficients(plane) for plane in planes[1:]])
    half = np.concatenate([coefficients(plane) for plane in halves])
    energies = [np.log(values.mean(0) + 0.05) / 8 for values in (first, chroma)]
    blocking: list[float] = []
    for plane in (luma, luma.T):
        steps = np.abs(plane[:, 1:] - plane[:, :-1]).mean(0)
        places = np.array([np.mean([steps[i] for i in range(len(steps)) if i % 8 == place]) for place in range(8)])
        blocking += list(np.clip(places / places.mean() - 1, -1, 1))
    parts = (combs(first, LUMA_COEFFICIENTS), combs(chroma, CHROMA_COEFFICIENTS), combs(half, CHROMA_COEFFICIENTS))
    return np.concatenate([*parts, *energies, blocking])


@pytest.mark.parametrize("quality", [None, 60])
def test_statistics__equal_plain_loops(quality: int | None) -> None:
    photo = _photo(4).crop((0, 0, 192, 160))
    if quality:
        stream = io.BytesIO()
        photo.save(stream, "JPEG", quality=quality)
        photo = Image.open(stream).convert("RGB")
    expected, vector = _by_hand(photo), jpeg_statistics(photo)
    assert expected.shape == vector.shape
    close = np.isclose(vector, expected, atol=1e-3)  # a value may stand at the edge of two bins
    assert close.mean() > 0.99
    assert close[-144:].all()
    assert np.abs(expected[-16:]).max() > 0.05
