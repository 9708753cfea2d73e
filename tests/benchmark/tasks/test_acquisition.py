"""Acquisition tasks end to end: masked views, probes with their controls, and retrieval with a codec as distraction."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from benchmark.encoders import load_encoder
from benchmark.options import RunOptions
from benchmark.probe import probe
from benchmark.probe.solver.projected import project
from benchmark.results import Result, read_answers
from benchmark.scoring import score_encoders
from benchmark.scoring.run import Scored
from benchmark.stats import against_chance
from benchmark.tasks import all_tasks, fitting_tasks, select_tasks
from benchmark.tasks.processing_probe import PROCESSING_PROBES
from benchmark.views import MaskedViews, PlainViews
from builders.data_specs import open_photos
from builders.exif import STUDY_ATTRIBUTES, task_spelling
from builders.photos import UNLABELLED, Labels, PhotoSet
from builders.pixels import decode_rgb, open_processed
from builders.pixels.reference import encode_jpeg
from tests.support.images import image_bytes, mean_colour
from tests.support.scoring import score_tasks

pytestmark = [pytest.mark.usefixtures("short_projection"), pytest.mark.slow]

SIZE = 48


def crop(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def noise(seed: int, size: tuple[int, int] = (60, 80)) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)


def test_masked_views__mask_the_centre_of_the_reencoded_crop():
    image = noise(0)
    whole, masked, complement = MaskedViews(0.9).make(image_bytes(image), "id", [crop])[0]
    saved = np.asarray(open_processed(encode_jpeg(Image.fromarray(crop(image)), 95, "4:4:4")))
    np.testing.assert_array_equal(whole, saved)
    hidden = np.zeros((SIZE, SIZE), dtype=bool)
    hidden[1:-1, 1:-1] = True  # side 48 * sqrt(0.9) = 45.5: a frame of 1 pixel
    np.testing.assert_array_equal(masked, np.where(hidden[..., None], 0, saved))
    np.testing.assert_array_equal(complement, np.where(hidden[..., None], saved, 0))


def test_masked_views__ratio_zero_is_one_whole_view():
    recipe = MaskedViews(0.0)
    assert recipe.names == ("whole",)
    assert len(recipe.make(image_bytes(noise(0)), "id", [crop])[0]) == 1


def test_masked_views__mask_the_photo_if_a_preprocessing_returns_no_pixels():
    whole, masked, complement = MaskedViews(0.9).make(image_bytes(noise(0)), "id", [mean_colour])[0]
    assert (masked < 0.3 * whole).all()
    assert (complement > 0.6 * whole).all()
    np.testing.assert_allclose(masked + complement, whole, rtol=1e-5)


def test_plain_views__are_the_photo():
    image = noise(0)
    np.testing.assert_array_equal(PlainViews().make(image_bytes(image), "id", [crop])[0][0], crop(image))


def score(encoder: str, photos: PhotoSet, cache, patterns=(), **changes) -> Result:
    return score_tasks(load_encoder(encoder), photos, patterns, cache, **{"resamples": 500, **changes}).result


@pytest.fixture(scope="module")
def scored_cameras(tmp_path_factory) -> Scored:
    photos, cache = open_photos("simcams?scenes=12&size=64"), tmp_path_factory.mktemp("cache")
    return score_tasks(load_encoder("control:jpeg-statistics"), photos, (), cache, resamples=500)


@pytest.fixture(scope="module")
def on_cameras(scored_cameras) -> Result:
    return scored_cameras.result


def test_acquisition_probes__every_attribute_with_its_controls(on_cameras):
    assert [s.task for s in on_cameras.scores] == [
        f"probe/{task_spelling(attribute)}" for attribute in STUDY_ATTRIBUTES
    ]
    for s in on_cameras.scores:
        assert set(s.details["controls"]) == {"shuffled", "whole", "complement", "metadata"}
        assert s.chance == pytest.approx(1 / s.details["classes"])
        assert s.low <= s.value <= s.high
        assert s.details["mask_ratio"] == 0.9


def test_acquisition_probes__answers_have_the_scores_and_the_learning_curves(scored_cameras):
    answers = read_answers(scored_cameras.answers, all_tasks())
    for s in scored_cameras.result.scores:
        assert answers.values[s.task, s.metric].values.mean() == pytest.approx(s.value, abs=1e-12)
        curve, known = s.details["learning_curve"], answers.facts[s.task, s.metric].details["learning_curve"]
        assert len(curve["share"]) == len(known["accuracy"]) > 1
        for name in ("accuracy", "low", "high"):
            assert known[name] == pytest.approx(curve[name], abs=1e-6), (s.task, name)
        assert known["gain"]["value"] == pytest.approx(curve["gain"]["value"], abs=1e-6)


def test_acquisition_probes__answers_of_a_run_without_true_classes_say_nothing():
    predicted = {"predicted": np.zeros((1, 1, 3), np.uint8), "photos": np.arange(3)}
    read = all_tasks()["probe/make"].read_answers
    assert read(predicted) == {}
    known = read({**predicted, "expected": np.array([0, 1, 0])})
    assert {metric: values.values.tolist() for metric, values in known.items()} == {"accuracy": [1.0, 0.0, 1.0]}


def test_acquisition_probes__read_the_makers_quantisation_tables(on_cameras):
    """All photos of both test scenes are right, which says next to nothing of other scenes."""
    make = on_cameras.score("probe/make", "accuracy")
    whole = make.details["controls"]["whole"]
    assert (whole["accuracy"], make.details["units"]) == (1.0, 2)
    assert whole["low"] < make.chance


def test_acquisition_probes__shuffled_labels_are_at_chance(on_cameras):
    """Chance lies in every range of shuffled probes; two of their eight 95 % mean intervals may miss it (1 in 170)."""
    null = {s.task: s.details["controls"]["shuffled"] for s in on_cameras.scores}
    chance = {s.task: s.chance for s in on_cameras.scores}
    assert all(c["low"] < chance[task] < c["high"] for task, c in null.items())
    missed = [task for task, c in null.items() if not c["mean_low"] <= chance[task] <= c["mean_high"]]
    assert len(missed) <= 2, missed
    assert null["probe/make"]["permutations"] == 100
    assert null["probe/make"]["p_value"] == pytest.approx(1 / 101)


def test_acquisition_probes__resample_scenes(on_cameras):
    """The 27 photos of a scene are one error unit, so scenes are resampled."""
    make = on_cameras.score("probe/make", "accuracy")
    assert (make.details["resampled"], make.n) == ("scene", 27 * make.details["units"])


def test_acquisition_probes__copies_of_train_photos_are_read(tmp_path, monkeypatch):
    """A leak: pictures of noise whose copies are in the test set. Rows are projected once for all fits."""
    made = []
    monkeypatch.setattr(probe, "is_worthwhile", lambda n, dimension, *counts: n < dimension)
    monkeypatch.setattr(probe, "project", lambda splits: made.append(len(splits.train_y)) or project(splits))
    names = ("a", "b", "c", "d")
    rng = np.random.default_rng(0)
    files = {f"{i}": image_bytes(Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))) for i in range(40)}
    twice = {f"{split}{i}": data for split in ("train", "test") for i, data in files.items()}
    labels = rng.permutation(np.arange(40) % 4)
    photos = dataclasses.replace(
        PhotoSet.of_bytes("leak", twice, None, ["train"] * 40 + ["test"] * 40),
        attributes={"make": Labels(names, np.tile(labels, 2).astype(np.int32))},
    )
    leaking = score("control:random-projection", photos, tmp_path, ["probe/make"], mask_ratio=0.0)
    make = leaking.score("probe/make", "accuracy")
    assert make.value > 0.9
    assert make.details["resampled"] == "photo"
    assert make.details["p_chance"] < 1e-6
    assert made == [40]


def test_acquisition_probes__are_tested_against_the_most_frequent_class_by_scene(tmp_path):
    """Noise in scenes, 70 % of one class: more than one over the number of classes is no trace."""
    rng = np.random.default_rng(1)
    files = {f"{i}": image_bytes(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)) for i in range(120)}
    labels = (np.arange(120) % 10 >= 7).astype(np.int32)
    photos = dataclasses.replace(
        PhotoSet.of_bytes("lopsided", files, None, ["train"] * 60 + ["test"] * 60),
        attributes={"flash": Labels(("without", "with"), labels)},
        columns={"scene": np.array([f"s{i // 10}" for i in range(120)])},
    )
    options = RunOptions(cache=tmp_path, workers=0, resamples=300, mask_ratio=0.0)
    tasks = select_tasks(["probe/flash"], all_tasks())
    scored = score_encoders([load_encoder("control:random-projection")], photos, tasks, options)[0]
    flash = scored.result.score("probe/flash", "accuracy")
    right = scored.answers["probe/flash/predicted"][0, 0] == scored.answers["probe/flash/expected"][0]
    assert flash.details["most_frequent_class"] == pytest.approx(0.7)
    assert flash.details["p_chance"] == pytest.approx(against_chance(right, 0.7, clusters=np.arange(60) // 10))
    assert flash.details["p_chance"] != pytest.approx(against_chance(right.astype(float), 0.7))
    assert flash.details["p_chance"] > against_chance(right, 0.5, clusters=np.arange(60) // 10)


def test_acquisition_probes__effort_grows_with_labelled_photos_and_classes():
    photos = dataclasses.replace(
        PhotoSet.of_bytes("toy", {str(i): b"" for i in range(6)}),
        attributes={
            "make": Labels(("a", "b", "c"), np.array([0, 1, 2, UNLABELLED, 0, 1], np.int32)),
            "flash": Labels(("without", "with"), np.array([0, 1, 0, 1, 0, 1], np.int32)),
        },
    )
    efforts = {name: all_tasks()[f"probe/{name}"].effort(photos) for name in ("make", "flash", "iso")}
    assert efforts == {"make": 15, "flash": 12, "iso": 0}


def test_fitting_tasks__processing_tasks_on_acquisition_data_must_be_named():
    photos = open_photos("simcams?scenes=3&size=32")
    tasks = list(all_tasks().values())
    assert not {t.name for t in fitting_tasks(tasks, photos, named=False)} & set(PROCESSING_PROBES)
    assert {"probe/jpeg", "probe/make"} <= {t.name for t in fitting_tasks(tasks, photos, named=True)}


def pairs(quality_of_compact: int, n: int = 40) -> PhotoSet:
    """Pairs of slightly different crops of a real picture; one camera type saves at another quality."""
    sample = open_photos("sample")
    files: dict[str, bytes] = {}
    for i in range(n):
        picture = decode_rgb(sample.read(i * 8))
        for kind, quality in (("phone", 95), ("camera", quality_of_compact)):
            left, top = (int(v) for v in np.random.default_rng([i, len(kind)]).integers(0, 16, 2))
            files[f"{i}/{kind}"] = encode_jpeg(picture.crop((left, top, left + 112, top + 112)), quality, "4:4:4")
    return dataclasses.replace(
        PhotoSet.of_bytes("pairs", files, None, ["test"] * (2 * n)),
        columns={
            "pair_id": np.array([name.split("/")[0] for name in files]),
            "camera_type": np.array([name.split("/")[1] for name in files]),
        },
    )


def test_retrieval__harder_compression_of_one_camera_distracts(tmp_path):
    fair = score("bundled:efficientnet-lite0", pairs(95), tmp_path)
    unfair = score("bundled:efficientnet-lite0", pairs(20), tmp_path)
    assert abs(fair.score("retrieval/pairs", "spd").value) < 0.05
    assert unfair.score("retrieval/pairs", "spd").low > 0.05
    assert unfair.score("retrieval/pairs", "different").value < unfair.score("retrieval/pairs", "same").value
    assert unfair.score("retrieval/pairs", "same").n == 40
    lost = unfair.score("retrieval/pairs", "different").details["lost"]
    assert lost["lost"] == round(80 * (1 - unfair.score("retrieval/pairs", "different").value)) > 12
    assert len(lost["shown"]) == 12
    assert 0 < lost["by_camera"] < lost["lost"]
    by_camera = [example["by_camera"] for example in lost["shown"]]
    assert by_camera == sorted(by_camera, reverse=True)
    assert sum(by_camera) == min(12, lost["by_camera"])
    for one in lost["shown"]:
        (pair, kind), (target, other), (_, measured) = (one[n].split("/") for n in ("query", "target", "distractor"))
        assert (target, measured, one["camera"], one["target_camera"]) == (pair, kind, kind, other)
        assert one["query"] != one["distractor"]
        assert other != kind
        assert one["distractor_similarity"] > one["target_similarity"]


def test_retrieval__a_pair_that_lacks_a_photo_is_left_out(tmp_path):
    photos = pairs(95, n=6)
    files = {photo_id: photos.read(i) for i, photo_id in enumerate(photos.ids)} | {"2/phone": b"broken"}
    broken = dataclasses.replace(PhotoSet.of_bytes("pairs", files, None, ["test"] * 12), columns=photos.columns)
    options = RunOptions(cache=tmp_path, workers=0, resamples=100)
    tasks = fitting_tasks(list(all_tasks().values()), broken, named=False)
    result = score_encoders([load_encoder("control:random-projection")], broken, tasks, options)[0].result
    same = result.score("retrieval/pairs", "same")
    assert (same.n, same.details["pairs_left_out"]) == (5, 1)
    assert [f.name for f in result.failures] == ["2/phone"]
