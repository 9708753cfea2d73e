"""Choices of photos by hash written a second time, hashes of pictures, and folders refused in whole sentences."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmark.erasing import ERASER_FILES, Eraser, Erasing, FitSet, fit_eraser, folder, leaks, load_eraser, plan_fit
from benchmark.erasing.leaks import picture_hashes, stored_hashes
from benchmark.erasing.sides import _separate_cameras, part_of
from builders.errors import DataError, PhotoError, RemoteError
from builders.photos import UNLABELLED, Labels
from builders.splits import NO_HASH
from tests.benchmark.erasing.test_erase import plain_photos

N = 32


def rank(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


@pytest.mark.parametrize(("share", "count"), [(0.5, 10), (0.2, 4), (0.01, 1), (0.22, 4), (0.23, 5)])
def test_part_of__the_first_by_hash_of_seed_and_id(share: float, count: int) -> None:
    photos = plain_photos()
    fit = np.arange(20)
    order = sorted(fit, key=lambda i: rank(f"some seed\0{photos.ids[i]}"))
    assert part_of(photos, fit, share, "some seed").tolist() == sorted(order[:count])


def test_part_of__units_by_their_names_and_photos_without_one_by_the_id_of_their_first() -> None:
    """Owners of five photos each, and four photos of nobody, of which two show one picture."""
    owners = np.array([f"o{i // 5}" if i < 15 else "" for i in range(N)])
    pictures = np.array(["same" if i in (16, 18) else "" for i in range(N)])
    photos = plain_photos(columns={"owner": owners, "near_duplicates": pictures})
    fit = np.arange(19)
    names = [owners[i] or ("train/16" if i == 18 else photos.ids[i]) for i in fit]
    known = sorted(set(names), key=lambda name: rank(f"s\0{name}"))
    assert len(known) == 6
    for share, count in ((0.5, 3), (0.1, 1), (0.75, 4), (0.9, 5)):
        chosen = part_of(photos, fit, share, "s")
        assert chosen.tolist() == [i for i in fit if names[i] in known[:count]]


@pytest.mark.parametrize("apart", [True, False])
def test_plan_fit__which_photos_it_fits_on_and_chooses_options_on(apart: bool) -> None:
    photos = plain_photos()
    plan = plan_fit(photos, "jpeg", seed=5, drop_leaks=False, apart=apart)
    fit = part_of(photos, np.arange(20), 0.5, "fit\0005") if apart else np.arange(20)
    held = part_of(photos, fit, 0.2, "held out\0005")
    assert len(held) == (2 if apart else 4)
    assert [plan.fitted.ids[i] for i in plan.fit] == [photos.ids[i] for i in fit]
    assert [plan.fitted.ids[i] for i in plan.held_out] == [photos.ids[i] for i in held]
    assert plan.rows.tolist() == (fit.tolist() if apart else list(range(N)))
    assert plan.fit_set.ids.tolist() == FitSet.id_hashes("plain", [photos.ids[i] for i in fit]).tolist()
    assert plan.fit_set.pictures.tolist() == picture_hashes(photos, fit, "x").tolist()
    assert dict(plan.unseen) == {"photos": 12, "readers_learn_apart": apart, "near_duplicates_left_out": 0}


@pytest.mark.parametrize("cameras", [4, 5, 7])
def test_separate_cameras__half_of_them_by_hash_of_their_names(cameras: int) -> None:
    names = tuple(f"camera {i}" for i in range(cameras + 1))  # one that no photo has
    values = np.array([i % cameras if i % 9 else UNLABELLED for i in range(N)], np.int32)
    photos = plain_photos(attributes={"model": Labels(names, values)})
    used, unseen = _separate_cameras(photos, "jpeg")
    order = sorted(range(cameras), key=lambda i: rank(f"camera\0{names[i]}"))
    measured = set(order[: cameras // 2])
    assert unseen == {"cameras": cameras // 2, "cameras_of_fit": cameras - cameras // 2}
    expected = [v != UNLABELLED and ((v in measured) != (i < 20)) for i, v in enumerate(values)]
    assert used.tolist() == expected
    for trace in ("model", "make"):  # which name the camera
        every, none = _separate_cameras(photos, trace)
        assert (every.all(), none) == (True, {})


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


def test_plan_fit__what_is_left_after_near_duplicates_are_left_out() -> None:
    photos = plain_photos()
    rows = photos.rows.copy()
    rows[25], rows[26], rows[27], rows[28] = rows[3], rows[5], rows[7], rows[9]
    copied = type(photos)(**{**vars(photos), "rows": rows})
    with pytest.raises(DataError) as error:
        plan_fit(copied, "jpeg", seed=0, drop_leaks=False)
    assert str(error.value) == (
        "plain: 4 train photos are near-duplicates of photos that it would be measured on (train/3, train/5, train/7): "
        "--drop-leaks leaves them out of the fit"
    )
    plan = plan_fit(copied, "jpeg", seed=0, drop_leaks=True, apart=False)
    assert plan.unseen["near_duplicates_left_out"] == 4
    assert [i for i in range(20) if i not in plan.fit] == [3, 5, 7, 9]


@pytest.mark.parametrize("count", [0, 1, 20])
def test_picture_hashes__of_each_photo_and_none_where_it_cannot_be_decoded(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = plain_photos()
    seen: list[dict[str, Any]] = []
    bar = leaks.step_bar
    monkeypatch.setattr(leaks, "step_bar", lambda **given: seen.append(given) or bar(**given))

    def hashed(data: bytes) -> int:
        if data == photos.read(2):
            raise PhotoError("broken")
        return rank(data.hex()) | 1

    monkeypatch.setattr(leaks, "photo_hash", hashed)
    indices = np.arange(N)[::-1][:count] if count != 20 else np.arange(20)
    made = picture_hashes(photos, indices, "looking")
    assert made.dtype == np.uint64
    expected = [NO_HASH if i == 2 else rank(photos.read(int(i)).hex()) | 1 for i in indices]
    assert made.tolist() == expected
    assert seen == [{"total": count, "desc": "looking", "unit": "photo"}]
    stored = SimpleNamespace(stored_views=True)
    assert stored_hashes(stored, indices, "x").tolist() == [0] * count  # type: ignore[arg-type]
    assert stored_hashes(photos, indices, "x").tolist() == expected


@pytest.fixture
def saved(tmp_path: Any) -> Any:
    rng = np.random.default_rng(0)
    made = fit_eraser(rng.normal(size=(30, 4)).astype(np.float32), np.arange(30) % 2)
    return made.save(tmp_path / "eraser")


def changed(path: Any, **fields: Any) -> None:
    about = json.loads((path / "eraser.json").read_text("utf-8"))
    (path / "eraser.json").write_text(json.dumps({**about, **fields}), "utf-8")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"method": "magic"}, "not the form of an eraser (ValueError: unknown method 'magic')"),
        (
            {"dimension": 3},
            "not the form of an eraser (ValueError: mean is not a finite float32 array of shape (3,))",
        ),
        (
            {"files_sha256": {"eraser.safetensors": "0"}},
            "eraser.safetensors is not the file that eraser.json names: the folder is not whole",
        ),
        (
            {"dimension": 4, "rank": None},
            "not the form of an eraser (TypeError: int() argument must be a string, a "
            "bytes-like object or a real number, not 'NoneType')",
        ),
        ({"files_sha256": {}}, "not the form of an eraser (KeyError: 'eraser.safetensors')"),
    ],
)
def test_load_eraser__refuses_in_a_sentence(fields: dict[str, Any], sentence: str, saved: Any) -> None:
    changed(saved, **fields)
    with pytest.raises(DataError) as error:
        load_eraser(saved)
    assert str(error.value) == f"{saved}: {sentence}"


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ({"ids": np.uint64, "other": np.uint64}, "fit_photos.safetensors does not hold ids and pictures"),
        ({"ids": np.uint64, "pictures": np.int64}, "fit_photos.safetensors does not hold ids and pictures"),
    ],
)
def test_fit_set__of_another_form_is_refused(names: dict[str, Any], sentence: str) -> None:
    from safetensors.numpy import save

    with pytest.raises(ValueError, match=rf"^{sentence}$"):
        folder._fit_set(save({name: np.zeros(2, kind) for name, kind in names.items()}))
    with pytest.raises(ValueError, match=rf"^{sentence.partition('x')[0][:9]}"):
        folder._fit_set(save({"ids": np.zeros((2, 1), np.uint64), "pictures": np.zeros(2, np.uint64)}))
    assert folder._fit_set(None) is None


@pytest.mark.parametrize("place", ["nothing", "a/b/c", "/a/b", "a b/c", ".a/b", "a/b@", "a/.b"])
def test_load_eraser__what_is_neither_a_folder_nor_a_name_on_the_hub(
    place: str, tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folder, "_download", lambda place: pytest.fail("it is looked for on the Hub"))
    with pytest.raises(DataError) as error:
        load_eraser(place)
    assert str(error.value) == f"{place}: no such folder, and no name of a repository on the Hub (OWNER/NAME)"


@pytest.mark.parametrize(
    ("place", "repo", "revision"),
    [("me/e", "me/e", None), ("-m.e/e-1.2", "-m.e/e-1.2", None), ("me/e@v1.0/x-y", "me/e", "v1.0/x-y")],
)
def test_load_eraser__from_the_hub_only_its_files(
    place: str, repo: str, revision: str | None, saved: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    monkeypatch.chdir(tmp_path)
    calls: list[Any] = []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda *given, **more: calls.append((given, more)) or saved
    )
    loaded = load_eraser(place)
    assert calls == [((repo,), {"revision": revision, "allow_patterns": list(ERASER_FILES)})]
    assert loaded.sha256 == load_eraser(saved).sha256

    def fails(*given: Any, **more: Any) -> Any:
        raise ValueError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fails)
    with pytest.raises(RemoteError) as error:
        load_eraser(place)
    assert str(error.value).startswith(f"{place}: no folder here, and the Hub does not give it (")
    assert "no network" in str(error.value)


def test_load_eraser__every_field_of_what_was_saved(tmp_path: Any) -> None:
    ones = np.ones((2, 3), np.float32)
    mean, turn = np.arange(3, dtype=np.float32), np.arange(9, dtype=np.float32).reshape(3, 3)
    about = {"attribute": "jpeg", "n_rows": 9, "options": {"a": 1}}
    fit = FitSet(np.array([3, 9], np.uint64), np.array([0, 4], np.uint64))
    for groups in ({}, {"group_means": ones, "group_scales": 2 * ones}):
        made = Eraser("standardise", mean, turn, 2, True, provenance=about, fit=fit, **groups)
        loaded = load_eraser(made.save(tmp_path / f"with {len(groups)}"))
        assert (loaded.method, loaded.rank, loaded.unit_rows) == ("standardise", 2, True)
        assert dict(loaded.provenance) == about
        for name in ("mean", "projection", "group_means", "group_scales"):
            np.testing.assert_array_equal(getattr(loaded, name), getattr(made, name))
        assert loaded.fit is not None
        assert (loaded.fit.ids.tolist(), loaded.fit.pictures.tolist()) == ([3, 9], [0, 4])
        erasing = Erasing.load(str(tmp_path / f"with {len(groups)}"))
        assert (erasing.place, erasing.eraser.sha256) == (str(tmp_path / f"with {len(groups)}"), made.sha256)
        assert erasing.fit is erasing.eraser.fit
