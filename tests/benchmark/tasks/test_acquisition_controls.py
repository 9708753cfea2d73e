"""Acquisition probes on pictures whose labels are visible in known parts, so that every control has a known result.

A picture is a frame of one grey around a square of another. ``make`` and ``model`` are the grey of the frame,
``aperture`` and ``focal-length`` that of the square; ``iso`` is not visible. The three are crossed, so that none of
them predicts another.
"""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats as reference

from benchmark.encoders import Encoder
from benchmark.options import RunOptions
from benchmark.results import Result, Score
from benchmark.scoring import score_encoders
from benchmark.scoring.run import Scored
from benchmark.tasks import all_tasks, fitting_tasks, select_tasks
from builders.photos import Labels, PhotoSet
from tests.support.images import image_bytes
from tests.support.scoring import toy_encoder

CELLS = tuple(itertools.product((0, 1), repeat=3))
"""(make, aperture, iso)."""
COPIES = {"train": 2, "val": 1, "test": 2}


def picture(make: int, aperture: int) -> bytes:
    pixels = np.full((32, 32, 3), (60, 200)[make], np.uint8)
    pixels[8:-8, 8:-8] = (60, 200)[aperture]
    return image_bytes(pixels, "PNG")


def pixels_of(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


def frame_and_middle(batch: torch.Tensor) -> torch.Tensor:
    """The grey of the outermost corner and of the middle, and a constant that keeps the length of a row about equal."""
    grey = batch[..., 0].float()
    return torch.stack([grey[:, 0, 0], grey[:, 16, 16], torch.full_like(grey[:, 0, 0], 100)], dim=1)


def ring(batch: torch.Tensor) -> torch.Tensor:
    """The grey 4 pixels from the corner: masked at a ratio of 0.9, visible at 0.25."""
    grey = batch[..., 0].float()
    return torch.stack([grey[:, 4, 4], torch.full_like(grey[:, 4, 4], 100)], dim=1)


def encoder(embed, name: str) -> Encoder:
    dimension = embed(torch.zeros(1, 32, 32, 3)).shape[1]
    return toy_encoder(embed, pixels_of, dimension, name=name, preprocessing={"size": 32})


def crossed(val_is_wrong: bool = False) -> PhotoSet:
    """2 train, 1 val and 2 test photos of each cell; if ``val_is_wrong``, val photos have the other make."""
    rows = [(split, cell, i) for split, n in COPIES.items() for cell in CELLS for i in range(n)]
    files = {f"{split}-{''.join(map(str, cell))}-{i}": picture(cell[0], cell[1]) for split, cell, i in rows}
    make, aperture, iso = np.array([cell for _, cell, _ in rows], dtype=np.int32).T
    if val_is_wrong:
        make = np.where([split == "val" for split, _, _ in rows], 1 - make, make)
    columns = {
        "make": Labels(("Canon", "NIKON"), make),
        "model": Labels(("EOS", "D90"), make),
        "aperture": Labels(("2.8", "5.6"), aperture),
        "focal_length": Labels(("35", "50"), aperture),
        "iso": Labels(("100", "400"), iso),
    }
    photos = PhotoSet.of_bytes("crossed", files, None, [split for split, _, _ in rows])
    return dataclasses.replace(photos, attributes=columns)


def score(photos: PhotoSet, cache, patterns=("probe/*",), **changes) -> Result:
    return score_answers(photos, cache, patterns, **changes).result


def score_answers(
    photos: PhotoSet, cache, patterns=("probe/*",), *, embed=frame_and_middle, ratio=0.9, failing=False
) -> Scored:
    acquisition = {name: task for name, task in all_tasks().items() if task.about_acquisition}
    tasks = fitting_tasks(select_tasks(patterns, acquisition), photos, named=True)
    options = RunOptions(cache=cache, workers=0, resamples=300, mask_ratio=ratio)
    (scored,) = score_encoders([encoder(embed, embed.__name__)], photos, tasks, options)
    assert bool(scored.result.failures) is failing
    return scored


def of(result: Result, attribute: str) -> Score:
    return result.score(f"probe/{attribute}", "accuracy")


@pytest.fixture(scope="module")
def by_owner(tmp_path_factory) -> Result:
    """The crossed photos; each make has one owner."""
    photos = crossed()
    owners = np.array(["ann", "ben"])[photos.attributes["make"].values]
    owned = dataclasses.replace(photos, columns={"owner": owners})
    return score(owned, tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize(
    ("attribute", "masked", "whole", "complement", "metadata"),
    [
        ("make", 1.0, 1.0, 0.5, 0.5),
        ("model", 1.0, 1.0, 0.5, 0.5),  # make names the same camera, so it is not part of the metadata
        ("aperture", 0.5, 1.0, 1.0, 1.0),  # focal-length reveals it
        ("focal-length", 0.5, 1.0, 1.0, 1.0),
        ("iso", 0.5, 0.5, 0.5, 0.5),
    ],
)
def test_probe__value_and_controls_by_hand(by_owner, attribute, masked, whole, complement, metadata):
    measured = of(by_owner, attribute)
    controls = measured.details["controls"]
    assert measured.value == masked
    assert [controls[name]["accuracy"] for name in ("whole", "complement", "metadata")] == [whole, complement, metadata]


@pytest.mark.parametrize("control", ["whole", "complement", "metadata"])
def test_probe__a_control_that_is_always_right_has_the_interval_of_two_owners(by_owner, control):
    """Two owners of whom both are right say next to nothing of other owners."""
    measured = of(by_owner, "aperture").details["controls"][control]
    assert measured["low"] < 0.025 ** (1 / 2)
    assert measured["high"] == 1


def test_probe__a_control_that_is_right_for_one_of_two_owners_has_a_wide_interval(by_owner):
    """Variance between two owners, one all right and one all wrong: 0.25, the squared standard error of one coin."""
    effective = 0.25 / 0.25 * (1.959964 / 12.706205) ** 2
    half = effective / 2
    measured = of(by_owner, "make").details["controls"]["complement"]
    assert [measured["low"], measured["high"]] == pytest.approx(
        reference.beta.ppf([0.025, 0.975], [half, half + 1], [half + 1, half]), abs=1e-6
    )


def test_probe__probes_of_shuffled_labels_use_the_masked_view(by_owner):
    """Only the frame is visible, which is crossed with aperture: half of the predictions are right."""
    null = of(by_owner, "aperture").details["controls"]["shuffled"]
    assert (null["accuracy"], null["spread"], null["permutations"], null["p_value"]) == (0.5, 0.0, 100, 1.0)
    seen = of(by_owner, "make").details["controls"]["shuffled"]
    assert seen["spread"] > 0
    assert seen["p_value"] < 1


def test_probe__details_contain_resampling_and_visible_share(by_owner):
    """Of the 512 pixels of a side of the encoder's input, a ratio of 0.9 masks 486."""
    make = of(by_owner, "make")
    assert (make.details["resampled"], make.details["units"], make.n) == ("owner", 2, 16)
    assert make.details["visible_share"] == pytest.approx(1 - 486**2 / 512**2)
    assert make.details["class_names"] == ["Canon", "NIKON"]


def test_probe__scenes_come_before_owners(tmp_path):
    photos = crossed()
    names = np.array(photos.ids)
    columns = {
        "owner": np.array(["ann", "ben"])[photos.attributes["make"].values],
        "scene": np.char.rpartition(names, "-")[:, 0],
    }
    scored = score_answers(dataclasses.replace(photos, columns=columns), tmp_path, ["probe/make"])
    measured = of(scored.result, "make")
    assert (measured.details["resampled"], measured.details["units"]) == ("scene", 8)
    clusters = scored.answers["probe/make/clusters"]
    assert [len(set(clusters)), len(clusters)] == [8, 16]
    assert (clusters[::2] == clusters[1::2]).all()


def test_probe__photos_without_an_owner_are_separate_units(tmp_path):
    """Of 16 test photos, 8 by ann and 8 without an owner: nine units, not two."""
    photos = crossed()
    owners = np.array(["ann", ""])[photos.attributes["make"].values]
    measured = of(score(dataclasses.replace(photos, columns={"owner": owners}), tmp_path, ["probe/make"]), "make")
    assert (measured.details["resampled"], measured.details["units"]) == ("owner", 9)


def test_probe__without_test_photos_val_is_the_test(tmp_path):
    """Then no photos are left for validation, and the search uses a fifth of the training photos."""
    photos = crossed()
    without_test = photos.select(np.flatnonzero(photos.splits != 2))
    measured = of(score(without_test, tmp_path, ["probe/make"]), "make")
    assert (measured.value, measured.n, measured.details["n_train"]) == (1.0, 8, 16)


def test_probe__classes_are_those_of_training_photos(tmp_path):
    """Unlabelled photos and a class that training lacks are left out, also from the chance level."""
    photos = crossed()
    make = photos.attributes["make"].values.copy()
    test = np.flatnonzero(photos.splits == 2)
    make[test[:3]], make[test[3]] = 2, -1
    make[np.flatnonzero(photos.splits == 0)[0]] = -1
    attributes = {"make": Labels(("Canon", "NIKON", "SONY", "Apple"), make)}
    measured = of(score(dataclasses.replace(photos, attributes=attributes), tmp_path), "make")
    assert (measured.chance, measured.details["classes"], measured.details["class_names"]) == (
        0.5,
        2,
        ["Canon", "NIKON"],
    )
    assert (measured.value, measured.n, measured.details["n_train"]) == (1.0, 12, 15 + 8)


def test_probe__one_class_in_training_is_a_failure(tmp_path):
    photos = crossed()
    make = np.where(photos.splits == 0, 0, photos.attributes["make"].values).astype(np.int32)
    one = dataclasses.replace(photos, attributes={"make": Labels(("Canon", "NIKON"), make)})
    (failure,) = score_answers(one, tmp_path, ["probe/make"], failing=True).result.failures
    assert failure.name == "probe/make"
    assert "classes" in failure.reason


def test_unfit__a_column_of_one_class():
    photos = crossed()
    one = dataclasses.replace(photos, attributes={"make": Labels(("Canon",), np.zeros(len(photos), np.int32))})
    assert "no labels for make" in all_tasks()["probe/make"].unfit(one)


def test_probe__the_search_uses_validation_photos(tmp_path):
    """With any penalty, a probe of train is wrong for val photos that are labelled with the other make."""
    details = of(score(crossed(val_is_wrong=True), tmp_path, ["probe/make"]), "make").details
    assert (details["n_train"], details["n_validation"]) == (16 + 8, 8)
    assert {candidate["validation_accuracy"] for candidate in details["search"]} == {0.0}


def test_probe__most_frequent_class_is_that_of_the_test_photos(tmp_path):
    """Of 10 train photos 2, 5 and 3; of 10 test photos 3, 2 and 5: always the third class is right for 5 of 10."""
    counts = {"train": (2, 5, 3), "test": (3, 2, 5)}
    rows = [(split, c, i) for split, of_class in counts.items() for c, n in enumerate(of_class) for i in range(n)]
    files = {f"{split}-{c}-{i}": picture(c % 2, i % 2) for split, c, i in rows}
    iso = Labels(("100", "200", "400"), np.array([c for _, c, _ in rows], dtype=np.int32))
    photos = PhotoSet.of_bytes("few", files, None, [split for split, _, _ in rows])
    result = score(dataclasses.replace(photos, attributes={"iso": iso}), tmp_path)
    assert of(result, "iso").details["most_frequent_class"] == pytest.approx(0.5)


@pytest.mark.parametrize("ratios", [(0.9, 0.25), (0.25, 0.9)])
def test_probe__embeddings_of_two_mask_ratios_share_a_cache(tmp_path, ratios):
    values = {
        ratio: of(score(crossed(), tmp_path, ["probe/make"], embed=ring, ratio=ratio), "make") for ratio in ratios
    }
    assert {ratio: measured.value for ratio, measured in values.items()} == {0.9: 0.5, 0.25: 1.0}
    complements = {ratio: measured.details["controls"]["complement"]["accuracy"] for ratio, measured in values.items()}
    assert complements == {0.9: 1.0, 0.25: 0.5}


def test_probe__without_a_mask_the_score_is_of_the_whole_picture(tmp_path):
    measured = of(score(crossed(), tmp_path, ["probe/aperture"], ratio=0.0), "aperture")
    assert measured.value == 1.0
    assert set(measured.details["controls"]) == {"shuffled", "metadata"}
