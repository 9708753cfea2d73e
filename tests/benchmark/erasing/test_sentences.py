"""Every refusal of erasers in a whole sentence, and the names of their bars."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmark.erasing import (
    Eraser,
    Erasing,
    FitSet,
    Moments,
    Source,
    fit_eraser,
    leaks,
    load_eraser,
    refuse_leaks,
    sides,
)
from builders.errors import DataError
from tests.benchmark.erasing.test_erase import plain_photos

X, Z = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32), np.arange(20) % 2
PLAIN = Eraser("leace", np.zeros(3, np.float32), np.eye(3, dtype=np.float32), 1)
GIVEN = Eraser("standardise", PLAIN.mean, PLAIN.projection, 0, False, np.zeros((4, 3)), np.ones((4, 3)))


def moments(rows: int, read: bool = False) -> Moments:
    made = Moments(3, 2)
    made.update(X[:rows], Z[:rows])
    if read:
        _ = made.mean
    return made


def source(*views: np.ndarray, labels: Any = None, classes: int = 2, **more: Any) -> Source:
    return Source(views, np.zeros((len(views), len(views[0])), int) if labels is None else labels, classes, **more)


CASES: dict[str, tuple[Any, type[Exception], str]] = {
    "dimension": (
        lambda: PLAIN.apply(np.zeros((2, 4))),
        DataError,
        "embeddings of shape (2, 4): this eraser is for 3 dimensions",
    ),
    "one row": (
        lambda: PLAIN.apply(np.zeros(4)),
        DataError,
        "embeddings of shape (4,): this eraser is for 3 dimensions",
    ),
    "NaN": (
        lambda: PLAIN.apply([[0, np.nan, 0]]),
        DataError,
        "an embedding holds a value that is not finite: an eraser cannot map it",
    ),
    "labels": (
        lambda: GIVEN.apply(X),
        DataError,
        "standardise needs the label of every row that it is applied to",
    ),
    "below": (lambda: GIVEN.apply(X, Z - 1), DataError, "label -1: standardise was fitted on 4 groups, 0 to 3"),
    "above": (lambda: GIVEN.apply(X, Z * 5), DataError, "label 5: standardise was fitted on 4 groups, 0 to 3"),
    "cross": (lambda: moments(1).cross, DataError, "1 embeddings: an eraser is fitted on two or more"),
    "none": (lambda: Moments(3, 2).class_means, DataError, "0 embeddings: an eraser is fitted on two or more"),
    "read": (
        lambda: moments(9, read=True).update(X, Z),
        ValueError,
        "these moments were read already: add all rows before the first fit",
    ),
    "views": (
        lambda: source(np.zeros((4, 3)), np.zeros((4, 2))),
        ValueError,
        "views must be [n, d] and alike, not [(4, 2), (4, 3)]",
    ),
    "shape": (
        lambda: source(np.zeros((4, 3)), labels=np.zeros((2, 4))),
        ValueError,
        "labels of shape (2, 4) for 1 views of 4 photos",
    ),
    "class": (
        lambda: source(np.zeros((4, 3)), labels=np.full((1, 4), 2)),
        ValueError,
        "labels hold a class outside 0..1",
    ),
    "preserved": (
        lambda: source(np.zeros((4, 3)), preserved=np.full(4, -1), n_preserved=3),
        ValueError,
        "preserved hold a class outside 0..2",
    ),
    "finite": (
        lambda: list(source(np.full((4, 3), np.inf)).batches()),
        DataError,
        "an embedding holds a value that is not finite: embed the photos again",
    ),
    "shrinkage": (
        lambda: fit_eraser(X, Z, shrinkage=1.5),
        ValueError,
        "shrinkage 1.5: a share in [0, 1] is needed",
    ),
    "one class": (
        lambda: fit_eraser(X, Z * 0),
        DataError,
        "labels name 1 class: there is nothing to erase",
    ),
    "keep": (
        lambda: fit_eraser(X, Z, "splince", keep=Z[:3]),
        DataError,
        "keep of shape (3,) for 20 embeddings: one for each row is needed",
    ),
    "no fit": (
        lambda: refuse_leaks(Erasing("some/place", PLAIN, None), plain_photos(4, 4)),
        DataError,
        "some/place: does not say which photos it was fitted on, so it cannot be measured",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_erasers__refuse_in_a_sentence(case: str) -> None:
    call, kind, sentence = CASES[case]
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == sentence


def test_load_eraser__of_a_folder_without_its_description(tmp_path: Any) -> None:
    PLAIN.save(tmp_path)
    (tmp_path / "eraser.json").write_text("{")
    with pytest.raises(DataError, match=r"^.*: no eraser \(eraser\.json"):
        load_eraser(tmp_path)
    (tmp_path / "eraser.json").unlink()
    with pytest.raises(DataError) as error:
        load_eraser(tmp_path)
    assert str(error.value).startswith(f"{tmp_path}: no eraser (")
    assert "eraser.json" in str(error.value)


def test_hashes_of_pictures__are_looked_for_under_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def hashes(photos: Any, indices: np.ndarray, label: str) -> np.ndarray:
        names.append(f"{len(indices)} photos: {label}")
        return np.zeros(len(indices), np.uint64)

    monkeypatch.setattr(leaks, "stored_hashes", hashes)
    monkeypatch.setattr(sides, "stored_hashes", hashes)
    photos = plain_photos(12, 5)
    refuse_leaks(Erasing("p", PLAIN, FitSet(np.zeros(1, np.uint64), np.zeros(1, np.uint64))), photos)
    sides.plan_fit(photos, "jpeg", seed=0, drop_leaks=False)
    assert names == ["5 photos: looking for photos that the eraser has seen", "17 photos: looking for near-duplicates"]
