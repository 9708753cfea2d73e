"""Trials of encoders by hand: which photos and views are tried, what counts as equal, each sentence, and the cache."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmark.options import RunOptions
from benchmark.scoring import trial as module
from benchmark.scoring.trial import (
    Trial,
    constant_embedding,
    too_few_usable,
    trial_failures,
    try_encoders,
)
from benchmark.views import PREPROCESSING_FAILED, PlainViews
from builders.photos import PhotoSet
from tests.support.scoring import as_rows, toy_encoder

RECIPE = PlainViews()


def grey(*shades):
    """Photo i is grey of a shade; None cannot be read."""
    pictures = [b"no picture" if s is None else b"P6 2 2 255\n" + bytes([s] * 12) for s in shades]
    return PhotoSet.of_bytes("grey", {f"{i}": picture for i, picture in enumerate(pictures)})


def pixel(image):
    """Float of the grey, and a one."""
    return np.array([np.asarray(image)[0, 0, 0], 1.0], dtype=np.float32)


def toy(embed=as_rows, preprocess=pixel, name="toy", dimension=2, **more):
    return toy_encoder(embed, preprocess, dimension, name=name, **more)


def tried(*encoders, photos=None, recipe=RECIPE, **options):
    return try_encoders(encoders, photos or grey(10, 20, 30, 40), recipe, RunOptions(**options))


def test_trial__three_readable_photos_of_all_places():
    """Eight places of ten photos, ends first; the first of them cannot be read."""
    batches = []

    def embed(views):
        batches.append(views[:, 0].tolist())
        return as_rows(views)

    photos = grey(*[None] * 1, *range(10, 100, 10))
    [one] = tried(toy(embed), photos=photos)
    assert one == Trial("", 3)
    assert batches == [[90, 40, 20], [90, 40, 20], [90]]
    batches.clear()
    assert tried(toy(embed), photos=grey(7)) == [Trial("", 1)]
    assert batches == [[7], [7], [7]]
    batches.clear()
    tried(toy(embed), batch_size=2)
    assert batches == [[10, 40], [20], [10, 40], [20], [10]]
    assert tried(toy(embed), photos=grey(None, None)) == [Trial("", 0)]


def test_trial__photos_are_read_once_for_all_encoders():
    reads, photos = [], grey(10, 20, 30, 40)
    source = photos.source
    counting = SimpleNamespace(read=lambda row: reads.append(row) or source.read(row))
    tried(toy(name="a"), toy(name="b"), photos=replace(photos, source=counting))
    assert sorted(reads) == [0, 1, 3]


def drifting(*drifts):
    """Embeds rows, each call with the next drift of the first number, as a share of its length."""
    left = list(drifts)

    def embed(views):
        rows = as_rows(views).double()
        return rows + torch.tensor([1.0, 0.0]) * left.pop(0) * rows.norm(dim=1, keepdim=True)

    return embed


TWICE, ALONE = (
    "toy: run twice on the same photos it gives embeddings {} % of their length apart",
    "toy: the embedding of a view depends on the others of its batch, by {} % of their length",
)


@pytest.mark.parametrize(
    ("drifts", "dtype", "sentence", "percent"),
    [
        ((0, 0.99e-4, 0), "float32", "", ""), ((0, 1.01e-4, 0), "float32", TWICE, "0.01"),
        ((0, 0, 0.99e-4), "float32", "", ""), ((0, 0, 1.01e-4), "float32", ALONE, "0.01"),
        ((0, 0.019, 0), "tf32", "", ""), ((0, 0.021, 0), "tf32", TWICE, "2.1"),
        ((0, 0.019, 0), "float16", "", ""), ((0, 0.021, 0), "float16", TWICE, "2.1"),
        ((0, 0.09, 0.09), "bfloat16", "", ""), ((0, 0, 0.11), "bfloat16", ALONE, "11"),
        ((0, 1.01e-4, 0), "other", TWICE, "0.01"), ((0, 0.5, 0.25), "float32", TWICE, "50"),
    ],
)  # fmt: skip
def test_trial__rounding_is_allowed_and_more_is_a_random_draw(drifts, dtype, sentence, percent):
    [one] = tried(toy(drifting(*drifts), dtype=dtype))
    assert (one.random, one.reason, one.photos) == (sentence.format(percent), "", 3)
    assert (one.repeated, one.alone) == (pytest.approx(drifts[1], rel=1e-3), pytest.approx(drifts[2], rel=1e-3))


def raising(error, first=0):
    """Raises from the call of a number on."""
    calls = []

    def embed(views):
        calls.append(1)
        if len(calls) > first:
            raise error
        return as_rows(views)

    return embed


@pytest.mark.parametrize(
    ("encoder", "sentence"),
    [
        (toy(raising(ValueError("odd"))), "toy: it fails on 3 views (ValueError: odd)"),
        (toy(raising(ValueError("odd"), 1)), "toy: it fails on 3 views (ValueError: odd) (at first it did not)"),
        (toy(raising(ValueError("odd"), 2)), "toy: it fails on 1 views (ValueError: odd) (at first it did not)"),
        (toy(lambda views: [1.0]), "toy: it gives list, not a tensor of embeddings"),
        (toy(lambda views: torch.zeros(3, 0), dimension=0), "toy: it gives embeddings of no numbers"),
        (toy(lambda views: torch.zeros(3, 5)), "toy: it gives embeddings of shape (3, 5), expected (3, 2)"),
        (toy(lambda views: torch.zeros(3, 2, dtype=torch.complex64)), f"toy: {module.COMPLEX}"),
        (toy(lambda views: torch.full((3, 2), np.inf), dtype="tf32"),
         "toy: it gives embeddings that are not finite in tf32"),
        (toy(preprocess=lambda image: np.zeros(int(np.asarray(image)[0, 0, 0]))),
         "toy: its preprocessing gives views of different shapes, (10,) and (20,)"),
    ],
)  # fmt: skip
def test_trial__what_is_no_encoder_is_one_sentence(encoder, sentence):
    [one] = tried(encoder)
    assert one.reason == sentence
    assert (one.repeated, one.alone, one.random) == (0.0, 0.0, "")
    assert one.photos == (3 if "at first" in sentence else 0)


def test_trial__preprocessing_that_fails_on_some_photos():
    def picky(image):
        if np.asarray(image)[0, 0, 0] > 15:
            raise ValueError("tired")
        return pixel(image)

    assert tried(toy(preprocess=picky)) == [Trial("", 1)]
    [one] = tried(toy(preprocess=picky), photos=grey(20, None, 30))
    assert f"{PREPROCESSING_FAILED}" in one.reason
    calls = []

    def late(image):
        calls.append(1)
        if len(calls) > 3:
            raise ValueError("tired")
        return pixel(image)

    [one, good] = tried(toy(preprocess=late), toy(name="good"))
    assert f"{PREPROCESSING_FAILED}" in one.reason
    assert good == Trial("", 3)


def test_trial__the_others_are_tried_without_one_that_fails():
    first, second, third = tried(toy(name="a"), toy(raising(ValueError("odd")), name="b"), toy(pixel, name="c"))
    assert (first, second.reason[:2], third.reason[:2]) == (Trial("", 3), "b:", "c:")


def test_trial_failures__more_than_a_twentieth():
    of_encoder = {f"{i}": f"{PREPROCESSING_FAILED} (ValueError: {i})" for i in range(2)}
    other = {"x": "the file is empty", "y": "is no picture"}
    assert trial_failures("a", {**other, **of_encoder}, 40) == ""
    assert trial_failures("a", {**other, **of_encoder}, 39) == (
        f"a: it fails on 2 of 39 photos, which can be read (the first: {PREPROCESSING_FAILED} (ValueError: 0))"
    )
    harm = {"z": f"{PREPROCESSING_FAILED} ({module.HARMS_RUN}: it forked)"}
    assert trial_failures("a", {**of_encoder, **harm}, 1000) == f"a: {harm['z']}"
    assert trial_failures("a", {"z": f"it {module.HARMS_RUN}"}, 1000) == ""
    assert trial_failures("a", {}, 0) == ""


def test_too_few_usable__the_first_split_of_which_too_few_are_there():
    splits = ["train"] * 4 + ["val"] * 2000
    photos = PhotoSet.of_bytes("p", dict.fromkeys(map(str, range(2004)), b""), None, splits)
    usable = np.ones(2004, bool)
    assert too_few_usable(photos, usable, 1.0) == ""
    usable[4:506] = False
    assert too_few_usable(photos, usable, 0.749) == ""
    sentence = "1,498 of 2,000 val photos (74.9 %) can be used, fewer than 75.0 %: no score (--min-usable)"
    assert too_few_usable(photos, usable, 0.75) == sentence
    usable[0] = False
    assert too_few_usable(photos, usable, 0.8) == (
        "3 of 4 train photos (75.0 %) can be used, fewer than 80.0 %: no score (--min-usable)"
    )


class Rows:
    """A bank of two views."""

    names = ("a", "b")

    def __init__(self, **views):
        self.views, self.read = {name: np.array(rows, np.float32) for name, rows in views.items()}, []

    def view(self, name, rows):
        self.read.append(name)
        return self.views[name][rows]


def test_constant_embedding__in_every_view():
    same, rows = [[2.0, 4.0]] * 3, np.array([0, 2])
    sentence = "n: it gives one and the same embedding for all 2 photos, so there is nothing to read"
    assert constant_embedding("n", Rows(a=same, b=same), rows) == sentence
    assert constant_embedding("n", Rows(a=same, b=same), rows[:1]) == ""
    near, far = ([[2.0, 4.0], [9, 9], [2.0 + apart, 4.0]] for apart in (2.4e-7, 4.8e-7))
    assert constant_embedding("n", Rows(a=same, b=near), rows) == sentence  # 4e-7 of the largest number, 4
    assert constant_embedding("n", Rows(a=same, b=far), rows) == ""
    assert constant_embedding("n", Rows(a=[[2.0, 4.0], [1, 1], [2.0, 4.0]], b=same), rows) == sentence
    many = np.tile(np.float32([2.0, 4.0]), (3000, 1))
    many[2900] = 0
    assert constant_embedding("n", Rows(a=many, b=many), np.arange(3000)) == ""
