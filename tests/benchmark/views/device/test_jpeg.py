"""The round trip compared with files of Pillow, and its DCT with libjpeg's flow graph in Python integers."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.views.device.colour import double, halve
from benchmark.views.device.dct import forward_dct, integer_dct, inverse_dct
from benchmark.views.device.jpeg import quantise, round_trips
from benchmark.views.device.tables import Tables

WANTED = [(quality, subsampling) for quality in (5, 30, 75, 85, 95, 100) for subsampling in ("4:2:0", "4:4:4")]
HERE = Tables(torch.device("cpu"))
SIZES = [(w, h) for w in (1, 2, 7, 16, 33) for h in (1, 8, 9, 17)]


def saved_and_opened(photo, quality, subsampling):
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_round_trips__equal_pillows_files(size, pictures, planes):
    photos = pictures(*size)
    for (quality, subsampling), result in zip(WANTED, round_trips(planes(photos), WANTED), strict=True):
        for photo, made in zip(photos, result, strict=True):
            expected = saved_and_opened(photo, quality, subsampling)
            np.testing.assert_array_equal(made.permute(1, 2, 0), expected, f"q{quality} {subsampling}")


def test_round_trips__other_subsamplings_are_refused():
    with pytest.raises(ValueError, match="4:2:2"):
        round_trips(torch.zeros((1, 3, 8, 8), dtype=torch.uint8), [(75, "4:2:2")])


def test_quantise__rounds_halves_away_from_zero_for_every_divisor():
    values = np.arange(-16383, 16384)
    for divisor in range(1, 256):
        magnitude = (np.abs(values) + 4 * divisor) // (8 * divisor) * divisor
        made = quantise(torch.from_numpy(values).float(), torch.tensor(float(divisor), dtype=torch.float64))
        np.testing.assert_array_equal(made, np.where(values < 0, -magnitude, magnitude))


def test_forward_dct__matrix_by_hand():
    exact = integer_dct()
    assert exact[0].tolist() == [8192] * 8
    assert exact[4].tolist() == [8192, -8192, -8192, 8192, 8192, -8192, -8192, 8192]
    assert exact[2].tolist() == [10703, 4433, -4433, -10703, -10703, -4433, 4433, 10703]
    assert exact[1, :4].tolist() == [11363, 9633, 6437, 2260]
    assert exact[3, :4].tolist() == [9633, -2259, -11362, -6436]  # not quite those of row 1: each constant is rounded
    true = np.sqrt(2) * 8192 * np.cos(np.pi * np.arange(8)[:, None] * (2 * np.arange(8) + 1) / 16)
    assert np.abs(exact[1:] - true[1:]).max() < 2


def test_inverse_dct__equals_the_flow_graph_in_integers():
    coefficients = np.random.default_rng(0).integers(-150, 150, (8, 8, 50))
    coefficients[1:, :, :10] = 0  # the shortcut of a column without AC terms
    columns = (idct_pass(coefficients, axis=0) + (1 << 10)) >> 11
    expected = (idct_pass(columns, axis=1) + (1 << 17)) >> 18
    made = inverse_dct(torch.from_numpy(coefficients).double())
    np.testing.assert_array_equal(made, (expected + 128).clip(0, 255))
    assert 0 < np.mean((expected < -128) | (expected > 127)) < 0.5  # some are clamped


def test_forward_dct__of_a_block_of_full_amplitude_is_eight_times_the_true_dct():
    block = np.where(np.indices((8, 8)).sum(0) % 2, 255, 0)
    basis = np.cos(np.pi * np.arange(8)[:, None] * (2 * np.arange(8) + 1) / 16) / 2
    basis[0] /= np.sqrt(2)
    made = forward_dct(torch.from_numpy(block).double()[..., None])[..., 0]
    np.testing.assert_allclose(made, 8 * basis @ (block - 128) @ basis.T, atol=2)


def test_halve__rounds_a_half_down_in_even_columns_and_up_in_odd_ones():
    plane = torch.tensor([[1, 1, 1, 1, 9], [2, 2, 2, 2, 9], [7, 7, 7, 7, 7]], dtype=torch.uint8)
    made = halve(plane[None, None], [3], [5], HERE)[0, 0]
    assert made.shape == (2, 8)
    assert made[:, :4].tolist() == [[1, 2, 9, 9], [7, 7, 7, 7]]


def test_double__by_hand():
    plane = torch.tensor([[[0, 16, 32]]], dtype=torch.uint8)
    assert double(plane[None], [1], [6], HERE)[0, 0].tolist() == [[0, 4, 12, 20, 28, 32]]
    narrow = torch.tensor([[[10, 200]]], dtype=torch.uint8)
    assert double(narrow[None], [2], [3], HERE)[0, 0].tolist() == [[10, 10, 200]] * 2


def idct_pass(values, axis):
    """One pass of ``jidctint.c`` before its shift, on integers."""
    i = np.moveaxis(values, axis, 0)
    z1 = (i[2] + i[6]) * 4433
    t2, t3 = z1 - i[6] * 15137, z1 + i[2] * 6270
    t0, t1 = (i[0] + i[4]) << 13, (i[0] - i[4]) << 13
    even = [t0 + t3, t1 + t2, t1 - t2, t0 - t3]
    t0, t1, t2, t3 = i[7], i[5], i[3], i[1]
    z1, z2, z3, z4 = t0 + t3, t1 + t2, t0 + t2, t1 + t3
    z5 = (z3 + z4) * 9633
    z1, z2, z3, z4 = -7373 * z1, -20995 * z2, -16069 * z3 + z5, -3196 * z4 + z5
    odd = [12299 * t3 + z1 + z4, 25172 * t2 + z2 + z3, 16819 * t1 + z2 + z4, 2446 * t0 + z1 + z3]
    out = [e + o for e, o in zip(even, odd, strict=True)] + [e - o for e, o in zip(even, odd, strict=True)][::-1]
    return np.moveaxis(np.stack(out), 0, axis)
