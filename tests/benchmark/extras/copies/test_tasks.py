"""``copies/*``: planted copies and strangers, halves that choose and halves that do not, hashes, and the command."""

import dataclasses
import json

import imagehash
import numpy as np
import pytest
from PIL import Image

from benchmark.__main__ import camtrace
from benchmark.encoders import Pixels, load_encoder
from benchmark.encoders.preprocess.pixels import ResizeTo
from benchmark.extras.copies.tasks import RATE, drawn_half
from benchmark.results import read_answers, read_runs
from benchmark.stats import expected_above, threshold_at
from benchmark.tasks import all_tasks, fitting_tasks, select_tasks
from benchmark.views import EDITS, ORIGINAL, EditedViews
from builders.errors import UsageError
from builders.photos import PhotoSet
from builders.pixels import PROCESSINGS, STUDY_PROCESSINGS, decode_rgb, process_all
from tests.support.images import image_bytes
from tests.support.scoring import as_rows, score_tasks, toy_encoder


def picture(seed: int, width: int = 72, height: int = 48) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def photos() -> PhotoSet:
    files = {f"{i:03d}.png": image_bytes(picture(i)) for i in range(60)}
    splits = ["train"] * 30 + ["val"] * 30
    return PhotoSet.of_bytes("pictures", files, ["a", "b"] * 30, splits)


@pytest.fixture(scope="module")
def small():
    pixels = Pixels((ResizeTo(12, 8, int(Image.Resampling.BILINEAR)),))
    return toy_encoder(lambda batch: as_rows(batch) - 128, pixels, 288)


@pytest.fixture(scope="module")
def scored(photos, small, tmp_path_factory):
    return score_tasks(small, photos, ["copies/*"], tmp_path_factory.mktemp("bank"))


def stored_values(scored, task):
    return {
        metric: values
        for (name, metric), values in read_answers(scored.answers, all_tasks()).values.items()
        if name == task
    }


def by_metric(scored, task):
    return {s.metric: s for s in scored.result.scores if s.task == task}


def test_copies__scores_are_those_of_a_plain_loop(scored, photos, small):
    def unit(image):
        vector = small.preprocess(image).astype(np.float64).ravel() - 128
        return vector / np.linalg.norm(vector)

    pictures = [decode_rgb(photos.read(i)) for i in range(60)]
    rows = np.array([unit(image) for image in pictures])
    train, test = rows[:30], rows[30:]
    first = np.zeros((14, 30))
    to_original = np.zeros((14, 30))
    for v, name in enumerate(STUDY_PROCESSINGS):
        for i in range(30):
            [view] = process_all(pictures[30 + i], (PROCESSINGS[name],), photos.ids[30 + i])
            to_original[v, i] = unit(view) @ test[i]
            first[v, i] = to_original[v, i] > (train @ unit(view)).max()
    scores = by_metric(scored, "copies/processed")
    assert scores["recall"].value == pytest.approx(first.mean())
    assert scores["recall"].chance == pytest.approx(1 / 31)
    held = ~drawn_half(np.arange(30), photos.ids[30:], 0)
    without = (test @ train.T).max(axis=1)
    largest = without[~held].max()
    false = scores["false-matches"]
    assert (false.details["threshold"], false.n, held.sum()) == (pytest.approx(largest, abs=1e-6), 15, 15)
    assert false.value == pytest.approx((without[held] >= largest).mean())
    assert false.chance == pytest.approx(1 / 16)  # 15 photos cannot state less
    assert scores["matched"].value == pytest.approx((to_original[:, held] >= largest).mean())
    assert false.details["expected_matches"] == [int(e) for e in expected_above(threshold_at(without[~held], RATE), 15)]
    assert false.details["threshold_low"] <= false.details["threshold"] <= false.details["threshold_high"]


def test_copies__near_copies_are_a_class_of_their_own(scored):
    edited, processed = (by_metric(scored, f"copies/{name}") for name in ("edited", "processed"))
    shares = edited["recall"].details["by_copy"]
    assert list(shares) == list(EDITS)
    assert shares["crop-80"] > shares["mirrored"]
    assert processed["recall"].value > 0.95 > edited["recall"].value
    # both use the same unprocessed photos, so that the threshold is one
    assert edited["false-matches"].details == processed["false-matches"].details | {"copies": len(EDITS)}


def test_copies__stored_answers_give_the_scores(scored):
    for task in ("copies/processed", "copies/edited"):
        values = stored_values(scored, task)
        for metric, score in by_metric(scored, task).items():
            assert values[metric].values.mean() == pytest.approx(score.value)
            assert len(values[metric].photos) == score.n


def test_copies__a_copy_among_the_train_photos_is_a_false_match_and_a_tie_is_lost(photos, small, tmp_path):
    files = {name: photos.read(i) for i, name in enumerate(photos.ids)}
    files["000.png"] = photos.read(30)
    again = PhotoSet.of_bytes("copied", files, ["a", "b"] * 30, ["train"] * 30 + ["val"] * 30)
    values = stored_values(score_tasks(small, again, ["copies/processed"], tmp_path), "copies/processed")
    recall, false = values["recall"], values["false-matches"]
    assert recall.values[list(recall.photos).index(30)] == 0
    assert false.values[list(false.photos).index(30)] == 1 if 30 in false.photos else not false.values.any()


def test_halves__units_stay_together_and_the_seed_draws_them():
    units = np.repeat(np.arange(11), 3)
    ids = [f"{i}" for i in range(33)]
    halves = [drawn_half(units, ids, seed) for seed in range(20)]
    for half in halves:
        assert len(np.unique(units[half])) == 5
        assert not set(units[half]) & set(units[~half])
    assert len({half.tobytes() for half in halves}) > 15


def test_tasks__are_run_only_where_their_family_is_named(photos):
    everything = all_tasks()
    assert [t.name for t in select_tasks(["copies/*"], everything)] == ["copies/processed", "copies/edited"]
    assert [t.name for t in select_tasks(["copies/edited"], everything)] == ["copies/edited"]
    assert not [t for t in select_tasks(["*", "*/*"], everything) if t.family.name == "copies"]
    assert not [
        t for t in fitting_tasks(select_tasks([], everything), photos, named=False) if t.family.name == "copies"
    ]


def test_edited_views__are_the_edits_of_pillow(photos):
    recipe = EditedViews()
    image = decode_rgb(photos.read(3))
    [views] = recipe.make(photos.read(3), "a", [np.asarray])
    made = dict(zip(recipe.names, views, strict=True))
    assert np.array_equal(made[ORIGINAL], image)
    assert made["crop-80"].shape == (38, 58, 3)
    assert made["turned"].shape == (72, 48, 3)
    mirrored = np.asarray(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), int)
    assert np.abs(made["mirrored"].astype(int) - mirrored).mean() < 3
    assert np.ptp(made["greyscale"], axis=2).max() == 0
    keys = recipe.view_keys()
    assert len({json.dumps(key, sort_keys=True) for key in keys.values()}) == len(keys)
    assert recipe.only(("turned",)).merged(recipe.only(("mirrored",))).names == ("mirrored", "turned")
    assert dataclasses.replace(recipe, upright=False).view_keys()["turned"]["orientation"] == "stored"


@pytest.mark.parametrize("name", ["phash", "dhash", "whash"])
def test_hashes__cosine_is_hamming_distance(name):
    encoder = load_encoder(f"control:{name}")
    images = [picture(seed) for seed in range(6)]
    rows = np.array([encoder.preprocess(image) for image in images])
    hashes = [getattr(imagehash, name)(image) for image in images]
    distances = np.array([[a - b for b in hashes] for a in hashes])
    assert np.array_equal(rows @ rows.T / 64, 1 - 2 * distances / 64)
    assert encoder.cacheable


def test_hashes__a_missing_package_is_one_sentence(monkeypatch):
    from importlib import metadata

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("benchmark.encoders.loaders.hashes.metadata.version", missing)
    with pytest.raises(UsageError, match=r"'camtrace\[hashes\]'"):
        load_encoder("control:phash")


@pytest.mark.slow
def test_command__rows_of_a_hash_and_of_the_default_encoder(photos, tmp_path, monkeypatch, capsys):
    for i, name in enumerate(photos.ids[24:44]):
        split = "train" if i < 10 else "val"
        folder = tmp_path / "photos" / split / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(photos.read(24 + i))
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    words = ["score", "-m", "bundled:efficientnet-lite0", "-m", "control:phash", "-d", f"folder:{tmp_path / 'photos'}"]
    assert camtrace([*words, "-t", "copies/edited", "-o", str(tmp_path / "out"), "--workers", "0", "-q"]) == 0
    text = (tmp_path / "out" / "report.md").read_text()
    summary = text[: text.index("## bundled")]
    assert "bundled:efficientnet-lite0" in summary
    assert "control:phash" in summary
    assert text.count("### Thresholds for copies") == 2
    assert "chosen on 5 photos, states 16.7 % of false matches. Of 5 photos that did not choose it" in text
    assert "| mirrored" in text
    assert len(read_runs(tmp_path / "out", all_tasks()).runs) == 2  # the files are ones that compare and verify accept
    capsys.readouterr()
