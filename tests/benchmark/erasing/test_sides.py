"""Which photos an eraser is fitted and measured on, and which erasers are refused, with small photos by hand."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.erasing import Eraser, Erasing, FitSet, check_eraser, plan_fit, refuse_leaks
from builders.errors import DataError, EncoderError
from builders.photos import UNLABELLED, Labels
from tests.benchmark.erasing.test_erase import plain_photos

N = 32
"""20 train photos and 12 of validation."""


def planned(photos, trace="jpeg", **how):
    return plan_fit(photos, trace, **{"seed": 0, "drop_leaks": False, **how})


def test_plan_fit__what_the_fit_has_not_seen():
    photos = plain_photos()
    plan = planned(photos)
    assert plan.unseen == {"photos": 12, "readers_learn_apart": True, "near_duplicates_left_out": 0}
    assert planned(photos, apart=False).unseen["readers_learn_apart"] is False
    chosen = [photos.ids[i] for i in plan.rows]
    assert plan.fit_set.ids.tolist() == FitSet.id_hashes("plain", chosen).tolist()
    assert plan.fit.tolist() == list(range(10))
    assert set(plan.held_out) < set(plan.fit)
    other = planned(photos, seed=1)
    assert set(other.fitted.ids) != set(plan.fitted.ids)
    columns = {name: np.array([f"{name}{i // 4}" for i in range(N)]) for name in ("owner", "scene")}
    columns["owner"][28:] = ""
    plan = planned(plain_photos(columns=columns))
    assert (plan.unseen["owner"], plan.unseen["scene"]) == (2, 3)


def test_plan_fit__one_owner_of_all_is_no_leak_and_names_three():
    alone = plain_photos(columns={"owner": np.full(N, "me")})
    assert planned(alone, apart=False).unseen["owner"] == 1
    names = np.array([f"o{i % 5}" for i in range(N)])
    with pytest.raises(DataError, match=r"5 scenes.*o0, o1, o2"):
        planned(plain_photos(columns={"scene": names}))


def test_plan_fit__too_few_photos():
    for train, val, reason in (
        (0, 5, "plain: 0 photos"),
        (5, 0, "plain: 5 photos"),
        (3, 5, "plain: 2 photos"),
    ):
        with pytest.raises(DataError, match=reason):
            planned(plain_photos(train, val))
    with pytest.raises(DataError, match="3 photos"):
        planned(plain_photos(3, 5), apart=False)
    assert len(planned(plain_photos(4, 5), apart=False).fit) == 4
    with pytest.raises(DataError, match="8 photos"):  # nothing is left to the readers
        planned(plain_photos(8, 5), share=1.0)


def with_cameras(values, **attributes):
    names = tuple("abcdefgh"[: max(values) + 1])
    model = Labels(names, np.array(values, np.int32))
    return plain_photos(attributes={"model": model, **attributes})


def test_plan_fit__half_of_the_cameras_are_measured_on():
    four = with_cameras([i % 4 for i in range(N)])
    plan = planned(four)
    assert (plan.unseen["cameras"], plan.unseen["cameras_of_fit"]) == (2, 2)
    assert plan.unseen["photos"] == 6
    assert len(planned(four, cameras=False).photos) == 22
    assert "cameras" not in planned(with_cameras([i % 3 for i in range(N)])).unseen  # too few to divide
    five = planned(with_cameras([i % 5 for i in range(N)])).unseen
    assert (five["cameras"], five["cameras_of_fit"]) == (2, 3)
    unlabelled = [i % 4 if i % 8 else UNLABELLED for i in range(N)]
    some = planned(with_cameras(unlabelled), apart=False)
    assert UNLABELLED not in some.fitted.attributes["model"].values
    assert [with_cameras(unlabelled).ids[i] for i in some.rows] == list(some.fitted.ids)
    # an attribute of which the cameras of the fit have one class keeps all cameras
    of_one = Labels(("low", "high"), np.where(np.arange(N) < 20, 0, 1).astype(np.int32))
    assert "cameras" not in planned(with_cameras([i % 4 for i in range(N)], iso=of_one), "iso").unseen
    both = Labels(("low", "high"), (np.arange(N) // 4 % 2).astype(np.int32))
    assert planned(with_cameras([i % 4 for i in range(N)], iso=both), "iso").unseen["cameras"] == 2


def eraser(**encoder):
    plain = Eraser("leace", np.zeros(3, np.float32), np.eye(3, dtype=np.float32), 1)
    return dataclasses.replace(plain, provenance={"encoder": encoder} if encoder else {})


def encoder(dimension=3, weights="w"):
    return SimpleNamespace(info=SimpleNamespace(id="mine", dimension=dimension, weights_sha256=weights))


def test_check_eraser__by_dimension_name_and_weights():
    for made in (eraser(), eraser(id="mine"), eraser(id="mine", weights_sha256="w"), eraser(weights_sha256=None)):
        check_eraser(made, encoder())
    for made, named in ((eraser(id="other"), "other"), (eraser(weights_sha256="x"), "None")):
        with pytest.raises(EncoderError, match=f"^mine: .*{named}"):
            check_eraser(made, encoder())
    with pytest.raises(EncoderError, match=r"^mine: .*4 dimensions"):
        check_eraser(eraser(id="mine"), encoder(4))


@pytest.mark.parametrize(
    ("count", "names"), [(1, "val/0"), (3, "val/0, val/1, val/2"), (4, "val/0, val/1, val/2, ...")]
)
def test_refuse_leaks__names_three_photos(count, names):
    photos = plain_photos(6, 5)
    seen = [f"val/{i}" for i in range(count)]
    fit = FitSet(FitSet.id_hashes("plain", ["train/1", *seen]), np.zeros(1 + count, np.uint64))
    with pytest.raises(DataError, match=f"{count} of its 5 .*{names}"):
        refuse_leaks(Erasing("place", eraser(), fit), photos)
    train = FitSet(FitSet.id_hashes("plain", photos.ids[:6]), np.zeros(6, np.uint64))
    refuse_leaks(Erasing("place", eraser(), train), photos)
    refuse_leaks(Erasing("place", eraser(), dataclasses.replace(fit, ids=FitSet.id_hashes("else", seen))), photos)
    with pytest.raises(DataError, match=r"^place: "):
        refuse_leaks(Erasing("place", eraser(), None), photos)


@pytest.mark.parametrize("seed", range(6))
def test_plan_fit__train_photos_that_show_one_picture_are_on_one_side(seed: int) -> None:
    """Three copies of a train photo: all are fitted on, or none; and options are chosen on all or none of them."""
    photos = plain_photos()
    rows = photos.rows.copy()
    copies = [3, 8, 14]
    rows[copies] = rows[3]
    plan = plan_fit(type(photos)(**{**vars(photos), "rows": rows}), "jpeg", seed=seed, drop_leaks=False)
    for some in (plan.fitted.ids, [plan.fitted.ids[i] for i in plan.held_out]):
        assert len({f"train/{i}" for i in copies} & set(some)) in (0, 3)
    assert plan.fit_set.ids.tolist() == FitSet.id_hashes("plain", list(plan.fitted.ids)).tolist()
