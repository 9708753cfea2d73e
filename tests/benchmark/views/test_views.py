"""Views of photos: equal arrays for every engine, with and without workers."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.encoders import Pixels
from benchmark.encoders.preprocess.pixels import CenterCrop, ResizeShort
from benchmark.views import ORIGINAL, PlainViews, ProcessingViews, iterate_views
from builders.kernels import VARIABLE
from builders.photos import Labels, PhotoSet
from builders.pixels import PROCESSINGS, process_by_pillow
from tests.support.images import image_bytes, mean_colour

PIXELS = Pixels((ResizeShort(24, int(Image.Resampling.BICUBIC)), CenterCrop(24, 24, "round")))
SIZES = ((90, 61), (50, 131), (3, 2))


class Files:
    """Noise as PNG files; the last one is broken."""

    def read(self, row: int) -> bytes:
        if row == len(SIZES):
            return b"no picture"
        width, height = SIZES[row]
        noise = np.random.default_rng(row).integers(0, 256, (height, width, 3), dtype=np.uint8)
        return image_bytes(noise, "PNG")


def photo_set() -> PhotoSet:
    count = len(SIZES) + 1
    return PhotoSet(
        name="noise",
        ids=tuple(f"photo-{i}" for i in range(count)),
        splits=np.zeros(count, np.int8),
        labels=Labels(("one",), np.zeros(count, np.int32)),
        source=Files(),
        rows=np.arange(count),
    )


@pytest.mark.parametrize("forced", ["", "pillow"])
@pytest.mark.parametrize("size", SIZES)
def test_make__equals_each_processing_by_pillow(size, forced, monkeypatch):
    monkeypatch.setenv(VARIABLE, forced)
    row = SIZES.index(size)
    data = Files().read(row)
    stacked, means = ProcessingViews(tuple(PROCESSINGS), 3).make(data, "a", [PIXELS, mean_colour])
    photo = Image.open(io.BytesIO(data))
    views = [process_by_pillow(photo, processing, "a", 3) for processing in PROCESSINGS.values()]
    np.testing.assert_array_equal(np.stack(stacked), np.stack([PIXELS(view) for view in views]))
    np.testing.assert_array_equal(np.stack(means), np.stack([mean_colour(view) for view in views]))


def test_make__the_unprocessed_photo_among_its_processings():
    data = Files().read(0)
    recipe = ProcessingViews(("jpeg-q75-420",)).merged(ProcessingViews((ORIGINAL, "resizing-x2")))
    assert recipe.names == ("jpeg-q75-420", "resizing-x2", ORIGINAL)
    assert recipe.view_keys()[ORIGINAL] == PlainViews().view_keys()[ORIGINAL]
    stored = ProcessingViews((ORIGINAL,), upright=False).view_keys()
    assert stored == PlainViews(upright=False).view_keys() != PlainViews().view_keys()
    without = ProcessingViews(recipe.names[:2]).make(data, "a", [PIXELS, mean_colour])
    plain = PlainViews().make(data, "a", [PIXELS, mean_colour])
    for views, processed, original in zip(recipe.make(data, "a", [PIXELS, mean_colour]), without, plain, strict=True):
        np.testing.assert_array_equal(np.stack(views), np.stack([*processed, *original]))


@pytest.mark.parametrize("workers", [0, 2])
def test_iterate_views__equal_arrays_for_any_number_of_workers(workers):
    recipe = ProcessingViews(("jpeg-q75-420", "resizing-x2"))
    made = list(iterate_views(photo_set(), [2, 0, 1, 3], recipe, [PIXELS, mean_colour], workers=workers))
    assert [views.index for views in made] == [2, 0, 1, 3]
    for views in made[:3]:
        bytes_of, means = views.arrays
        assert (bytes_of.shape, bytes_of.dtype) == ((2, 24, 24, 3), torch.uint8)
        assert means.shape == (2, 3)
        photo = Image.open(io.BytesIO(Files().read(views.index)))
        view = process_by_pillow(photo, PROCESSINGS["resizing-x2"], f"photo-{views.index}")
        np.testing.assert_array_equal(bytes_of[1].numpy(), PIXELS(view))
    assert (made[3].failure, made[3].arrays) == ("not an image in a format that can be read", ())


def test_iterate_views__arrays_with_another_shape_than_planned_are_sent() -> None:
    """A preprocessing that refuses the grey picture of the plan, and one whose shape depends on the photo."""

    def picky(image: Image.Image) -> np.ndarray:
        if image.getpixel((0, 0)) == (128, 128, 128):
            raise ValueError("too grey")
        return np.asarray(image)[:1, :1].copy()

    def by_size(image: Image.Image) -> np.ndarray:
        return np.asarray(image).copy()

    recipe = ProcessingViews(("jpeg-q75-420", "jpeg-q95-444"))
    ways = [list(iterate_views(photo_set(), [0, 3, 1], recipe, [picky, by_size], workers=w)) for w in (0, 2)]
    for expected, by_workers in zip(*ways, strict=True):
        assert (by_workers.index, by_workers.failure) == (expected.index, expected.failure)
        assert [a.tolist() for a in by_workers.arrays] == [a.tolist() for a in expected.arrays]
    assert [len(views.arrays) for views in ways[1]] == [2, 0, 2]


def refusing(text: str, *sizes: tuple[int, int]):
    """A preprocessing that fails on pictures of these sizes, or on all."""

    def preprocess(image: Image.Image) -> np.ndarray:
        if not sizes or image.size in sizes:
            raise ValueError(text)
        return np.zeros(2, np.float32)

    return preprocess


@pytest.mark.parametrize(
    ("preprocesses", "failure", "lengths", "failures"),
    [
        ([refusing("a"), refusing("a")], "a", [], []),
        ([refusing("a"), refusing("b")], "", [0, 0], ["aa", "bb"]),
        ([refusing("a"), mean_colour], "", [0, 2], ["aa", ""]),
        ([mean_colour, refusing("a")], "", [2, 0], ["", "aa"]),
        ([refusing("a", (180, 122)), mean_colour], "", [2, 2], [" a", ""]),
        ([refusing("a", (90, 61)), refusing("a", (180, 122))], "", [2, 2], ["a ", " a"]),
        ([refusing("a", (90, 61))], "", [2], ["a "]),
        ([refusing("a")], "a", [], []),
    ],
)
def test_iterate_views__what_fails_is_lost_alone(preprocesses, failure, lengths, failures) -> None:
    """Of a photo of 90 x 61 and its enlargement to 180 x 122; ``failures`` has the reason of each view."""
    recipe = ProcessingViews(("jpeg-q75-420", "resizing-x2"))
    [made] = iterate_views(photo_set(), [0], recipe, preprocesses)
    words = {"a": "preprocessing failed (ValueError: a)", "b": "preprocessing failed (ValueError: b)", "": ""}
    assert made.failure == words[failure]
    assert [len(array) for array in made.arrays] == lengths
    expected = [
        {name: words[reason] for name, reason in zip(recipe.names, of, strict=True) if reason != " "} if of else {}
        for of in failures
    ]
    assert [dict(of) for of in made.view_failures] == expected


@pytest.mark.parametrize("others", [[], [mean_colour], [refusing("b")]])
@pytest.mark.parametrize("refused", [(), (45, 30)])
def test_iterate_views__of_several_shapes_are_no_views_of_any_name(others, refused) -> None:
    """An encoder takes views of one shape; a photo whose views differ has none, and no other encoder loses its own."""

    def as_large(image: Image.Image) -> np.ndarray:
        if image.size == refused:
            raise ValueError("a")
        return np.asarray(image)

    recipe = ProcessingViews(("jpeg-q75-420", "resizing-x2", "resizing-x0.5"))
    [made] = iterate_views(photo_set(), [0], recipe, [as_large, *others])
    if not others:
        assert (made.arrays, made.view_failures) == ((), ())
        reason = made.failure
    else:
        assert made.failure == ""
        assert [len(array) for array in made.arrays] == [0, 3 if others == [mean_colour] else 0]
        assert set(made.view_failures[0]) == set(recipe.names)
        [reason] = set(made.view_failures[0].values())
        assert set(made.view_failures[1].values()) == (
            set() if others == [mean_colour] else {"preprocessing failed (ValueError: b)"}
        )
    assert "RuntimeError" in reason
