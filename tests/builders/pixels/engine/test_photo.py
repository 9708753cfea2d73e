"""The engine against the installed Pillow: every pixel of odd sizes, hard content, all qualities and preprocessings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.encoders import Pixels
from benchmark.encoders.preprocess.pixels import CenterCrop, CenterSquare, ResizeShort, ResizeTo
from builders.pixels import PROCESSINGS, Processing, process_by_pillow, request

photo = pytest.importorskip("builders.pixels.engine.photo")

BICUBIC, BILINEAR, LANCZOS, BOX, NEAREST = (
    int(Image.Resampling[name]) for name in ("BICUBIC", "BILINEAR", "LANCZOS", "BOX", "NEAREST")
)
QUALITIES = (5, 30, 75, 85, 95, 100)


def picture(width: int, height: int, kind: str = "smooth", seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    if kind == "noise":
        return generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if kind == "saturated":
        return generator.choice(np.array([0, 255], np.uint8), (height, width, 3))
    if kind == "checkerboard":
        board = np.indices((height, width)).sum(0) % 2 * 255
        return np.repeat(board[..., None], 3, axis=2).astype(np.uint8) ^ np.array([0, 255, 0], np.uint8)
    small = generator.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def assert_equal_to_pillow(pixels: np.ndarray, processings, photo_id: str = "a", pixels_of=()) -> int:
    """All processings in one call, as it is used; returns the number of views compared."""
    size = pixels.shape[1::-1]
    requests = [request(p, size, photo_id, 0) for p in processings]
    taken = [i for i, wanted in enumerate(requests) if photo.takes(wanted, size)]
    planners = [lambda *size, p=p: p.plan(*size) or p for p in pixels_of]
    views = photo.preprocessed(pixels, [requests[i] for i in taken], planners) if planners else None
    pictures = photo.pictures(pixels, [requests[i] for i in taken])
    for n, i in enumerate(taken):
        reference = process_by_pillow(Image.fromarray(pixels), processings[i], photo_id, 0)
        np.testing.assert_array_equal(pictures[n], np.asarray(reference), err_msg=f"{size} {processings[i]}")
        for k, preprocess in enumerate(pixels_of):
            expected = preprocess(reference)
            np.testing.assert_array_equal(views[k][n], expected, err_msg=f"{size} {processings[i]} {preprocess}")
    return len(taken)


@pytest.mark.parametrize("size", [(w, h) for w in (1, 2, 8, 17, 33) for h in (1, 4, 7, 31)])
def test_pictures__of_any_small_size(size):
    processings = list(PROCESSINGS.values())
    assert assert_equal_to_pillow(picture(*size, "noise"), processings) >= 8


@pytest.mark.parametrize("kind", ["noise", "saturated", "checkerboard"])
@pytest.mark.parametrize("quality", QUALITIES)
def test_pictures__of_hard_content_at_any_quality(kind, quality):
    for size in ((64, 48), (35, 61)):
        processings = [Processing("jpeg", quality, subsampling) for subsampling in ("4:2:0", "4:4:4")]
        assert assert_equal_to_pillow(picture(*size, kind), processings) == 2


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
def test_pictures__too_narrow_for_the_triangle_filter(width):
    processings = [Processing("jpeg", quality, "4:2:0") for quality in (30, 95)]
    for height in (1, 6, 23, 300):
        assert assert_equal_to_pillow(picture(width, height, "noise"), processings) == 2


@pytest.mark.parametrize("name", ["bilinear", "bicubic", "lanczos", "box"])
def test_pictures__resized_by_any_factor(name):
    for scale in (0.03, 0.31, 0.8, 0.97, 1.2, 3.7):
        processing = Processing("resize", scale=scale, resample=Image.Resampling[name.upper()])
        assert assert_equal_to_pillow(picture(90, 61, "noise"), [processing]) == 1


def test_takes__leaves_to_pillow_what_it_does_otherwise():
    changed = (30, 20)
    assert photo.takes(request(Processing("a", sharpness=-3), changed, "", 0), changed)
    assert not photo.takes(request(Processing("a", sharpness=1.5), changed, "", 0), changed)
    assert not photo.takes(request(Processing("a", sharpness=2, scale=0.5), changed, "", 0), changed)
    assert not photo.takes(
        request(Processing("a", scale=0.5, resample=Image.Resampling.HAMMING), changed, "", 0), changed
    )
    assert not photo.takes(request(Processing("a", scale=2), (33_000, 2), "", 0), (33_000, 2))
    assert not photo.takes(request(Processing("a", subsampling="4:2:2"), changed, "", 0), changed)


@pytest.mark.parametrize("factor", [-3, 0, 2, 4, 64, -64])
def test_pictures__sharpened_by_whole_factors(factor):
    for size in ((3, 3), (2, 9), (50, 133)):
        processings = [Processing("s", 95, subsampling, sharpness=factor) for subsampling in ("4:2:0", "4:4:4")]
        assert assert_equal_to_pillow(picture(*size, "noise"), processings) == 2


PREPROCESSINGS = [
    Pixels((ResizeShort(24, BICUBIC), CenterCrop(24, 24, "round"))),
    Pixels((ResizeShort(29, BILINEAR), CenterCrop(24, 24))),
    Pixels((CenterSquare(0.875), ResizeTo(20, 21, LANCZOS))),
    Pixels((ResizeTo(24, 24, BOX),)),
    Pixels((ResizeShort(24, BICUBIC), CenterCrop(70, 13))),  # wider than some pictures: black beside them
    Pixels((CenterCrop(31, 17),)),
    Pixels((ResizeTo(24, 24, NEAREST),)),  # a filter that the engine does not have
    Pixels((ResizeTo(40, 40, BICUBIC), ResizeTo(24, 24, BICUBIC))),  # more than one resize
]


@pytest.mark.parametrize("size", [(187, 120), (120, 187), (64, 64), (33, 90), (300, 40), (40, 300)])
def test_preprocessed__only_what_the_cut_needs_is_made_and_equals_pillow(size):
    for preprocesses in ([PREPROCESSINGS[0]], PREPROCESSINGS[:4], PREPROCESSINGS):
        processings = list(PROCESSINGS.values())
        assert assert_equal_to_pillow(picture(*size), processings, "x", preprocesses) >= 9


def test_preprocessed__a_cut_far_inside_a_large_photo():
    """Edges of what is made lie far from those of the photo on all sides."""
    pixels = picture(500, 420, "noise")
    processings = [*PROCESSINGS.values(), Processing("s", 60, "4:2:0", sharpness=3)]
    inside = Pixels((CenterCrop(37, 45),))
    assert assert_equal_to_pillow(pixels, processings, "x", [inside]) == 15


@pytest.mark.parametrize("side", [96, 97, 98, 112, 113])
def test_preprocessed__cuts_at_the_edges_of_blocks(side):
    """What is sharpened at the edge of what is made spoils a block, and the triangle filter looks one row further."""
    processings = [Processing("s", 85, subsampling, sharpness=f) for subsampling in ("4:2:0", "4:4:4") for f in (1, 3)]
    for cut in (32, 31, 16, 3):
        assert assert_equal_to_pillow(picture(side, side, "noise"), processings, "x", [Pixels((CenterCrop(cut, cut),))])


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 150),
    st.integers(1, 150),
    st.sampled_from(["noise", "saturated", "checkerboard", "smooth"]),
    st.integers(1, 100),
    st.sampled_from(["4:2:0", "4:4:4"]),
    st.one_of(st.just(1.0), st.floats(0.1, 3)),
    st.sampled_from([BICUBIC, BILINEAR, LANCZOS, BOX]),
    st.integers(0, 5),
    st.integers(0, 2**31),
)
def test_preprocessed__any_processing(width, height, kind, quality, subsampling, scale, resample, preprocess, seed):
    processing = Processing("any", quality, subsampling, scale=scale, resample=Image.Resampling(resample))
    if min(int(width * scale), int(height * scale)) < 1:
        return
    size = (int(width * scale), int(height * scale))
    if preprocess != 3 and max(size) > 20 * min(size):
        preprocess = 3  # the short side would be made longer than memory is worth
    assert_equal_to_pillow(picture(width, height, kind, seed), [processing], "a", [PREPROCESSINGS[preprocess]])
