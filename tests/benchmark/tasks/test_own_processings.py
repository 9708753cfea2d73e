"""Tasks of a processing file: which run, with equal scores and keys where the file restates the built-in parameters."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from benchmark.api import score
from benchmark.compare.paired import check_pair
from benchmark.options import RunOptions, default_arguments, to_run_options
from benchmark.probe import class_layer, class_scores
from benchmark.results import Run, read_answers
from benchmark.results.proof import contradicted
from benchmark.scoring.reproduce import options_key
from benchmark.tasks import all_tasks, chosen_processings, select_tasks, traces
from builders.errors import DataError, UsageError
from builders.photos import Labels, PhotoSet
from builders.pixels import (
    BUILT_IN,
    codec_canary,
    known_parameters,
    process_by_pillow,
    read_definitions,
    use_processings,
)
from tests.support.detection_photos import DIMENSION, detection_photos
from tests.support.grouped_photos import pixel_rows
from tests.support.images import image_bytes
from tests.support.scoring import as_rows, score_tasks, toy_encoder, values_of

FILE = """schema = 1
[[processing]]
name = "small"
steps = [{step = "resize", width = 16, filter = "box"}, {step = "webp", quality = 10}]
[[processing]]
name = "bright"
steps = [{step = "jpeg", quality = 90}, {step = "gamma", gamma = 3.0}, {step = "jpeg", quality = 90}]
[[parameter]]
name = "pipeline"
title = "My pipeline"
classes = {small = "small", bright = "bright"}
"""


@pytest.fixture(autouse=True)
def built_in():
    yield
    use_processings("")


@pytest.fixture
def chosen(tmp_path) -> str:
    (tmp_path / "mine.toml").write_text(FILE, encoding="utf-8")
    return chosen_processings(str(tmp_path / "mine.toml"))


@pytest.fixture(scope="module")
def photos() -> PhotoSet:
    rng = np.random.default_rng(5)
    files = {f"photo-{i}": image_bytes(rng.integers(0, 256, (24 + i % 3, 33, 3), dtype=np.uint8)) for i in range(24)}
    made = PhotoSet.of_bytes("noise", files, None, ["train"] * 16 + ["val"] * 8)
    return dataclasses.replace(made, labels=Labels(("a", "b"), np.arange(24, dtype=np.int32) % 2), neighbours=3)


def look(image: Image.Image) -> np.ndarray:
    """The mean colours of 16 cells, and a constant, so that brightness is left where embeddings have length 1."""
    cells = np.asarray(image.resize((4, 4), Image.Resampling.BOX)).reshape(-1)
    return np.append(cells, np.uint8(255))


def scored(photos, cache, tasks=(), **options):
    encoder = toy_encoder(as_rows, look, 49, name="look")
    return score_tasks(encoder, photos, tasks, cache, assignment_seeds=2, **options)


def test_study__is_no_file_with_equal_tasks_keys_and_scores(photos, tmp_path):
    args = default_arguments()
    args.processings, args.cache = "study", tmp_path
    options = to_run_options(args)
    assert options.processings == ""
    assert options_key(options, photos) == options_key(RunOptions(cache=tmp_path), photos)
    before = dict(all_tasks())
    use_processings("study")  # even where its tasks are made from the file
    try:
        of_file = dict(all_tasks())
        assert list(of_file) == list(before)
        for name in ("probe/jpeg", "knn/interpolation", "knn/adversary"):
            keys = [tasks[name].recipe(photos, options).view_keys() for tasks in (before, of_file)]
            assert keys[0] == keys[1]
        by_file = values_of(scored(photos, tmp_path / "a", ["probe/jpeg", "knn/resizing", "knn/adversary"]).result)
    finally:
        use_processings("")
    assert by_file == values_of(scored(photos, tmp_path / "b", ["probe/jpeg", "knn/resizing", "knn/adversary"]).result)


def test_all_tasks__a_file_takes_the_place_of_the_built_in_parameters(photos, chosen):
    built_in = list(all_tasks())
    use_processings(chosen)
    listed = [task.name for task in select_tasks([], all_tasks()) if not task.by_name and task.for_group is None]
    assert "probe/pipeline" in listed
    assert "knn/pipeline" in listed
    assert "knn/original" in listed
    assert not {"probe/jpeg", "knn/jpeg"} & set(listed)
    assert [task.name for task in select_tasks(["probe/jpeg"], all_tasks())] == ["probe/jpeg"]  # named all the same
    assert "pipeline" in traces()
    assert "jpeg" in traces()
    use_processings("")
    assert list(all_tasks()) == built_in
    assert all_tasks()["probe/pipeline"].title == "My pipeline"  # results of this process are still shown
    assert all_tasks()["probe/pipeline"].about_group is False


def test_score__of_a_file_equals_a_loop_by_hand(photos, tmp_path, chosen):
    """Every view that the tasks see, and the tasks that run."""
    use_processings(chosen)
    run = scored(photos, tmp_path / "cache", processings=chosen)
    tasks = {score.task for score in run.result.scores}
    assert tasks >= {"probe/pipeline", "knn/pipeline", "knn/adversary", "knn/original"}
    assert not {task for task in tasks if task.partition("/")[2] in BUILT_IN}
    accuracy = values_of(run.result)["probe/pipeline", "accuracy"][0]
    assert accuracy > 0.95  # a gamma of 3 shows in the mean
    environment = run.result.environment
    assert environment["codec_canary"] == codec_canary(["small", "bright"]) != codec_canary()
    assert environment["codec"]["webp"]
    assert environment["options"]["processings"] == chosen
    assert environment["processings_by"]["small"] == "Pillow"
    assert "Pillow" in environment["processings_by"]["bright"]
    views = all_tasks()["knn/adversary"].recipe(photos, RunOptions())
    assert views.names == ("small", "bright", "original")
    for name, processing in read_definitions(chosen).processings.items():
        ((view,),) = views.only([name]).make(photos.read(3), photos.ids[3], [look])
        image = Image.open(io.BytesIO(photos.read(3))).convert("RGB")
        np.testing.assert_array_equal(view, look(process_by_pillow(image, processing, photos.ids[3])))
    flipped = next(s for s in run.result.scores if (s.task, s.metric) == ("knn/adversary", "worst"))
    assert flipped.details["processings"] == 2
    assert all_tasks()["knn/adversary"].metrics[0].title == "worst of 2"


def test_score__in_python_with_a_path(photos, tmp_path, chosen):
    results = score(
        look_of, data=photos, processings=tmp_path / "mine.toml", tasks="probe/*", cache=tmp_path / "cache", workers=0
    )
    assert "probe/pipeline" in results
    assert "probe/jpeg" not in results


def look_of(image: Image.Image) -> np.ndarray:
    return look(image).astype(np.float32)


def test_compare__results_of_different_files_are_refused(photos, tmp_path, chosen):
    use_processings(chosen)
    mine = scored(photos, tmp_path / "cache", ["knn/original"], processings=chosen).result
    other = chosen_processings("web")
    use_processings(other)
    web = scored(photos, tmp_path / "cache", ["knn/original"], processings=other).result
    runs = [Run(tmp_path / name, result, {}, ()) for name, result in (("a", mine), ("b", web))]
    with pytest.raises(DataError, match="--processings"):
        check_pair(*runs, across_codecs=False, across_presets=False)
    check_pair(runs[0], runs[0], across_codecs=False, across_presets=False)


def test_chosen_processings__a_parameter_with_the_name_of_another_task(tmp_path):
    (tmp_path / "mine.toml").write_text(FILE.replace('"pipeline"', '"make"'), encoding="utf-8")
    with pytest.raises(UsageError, match="probe/make"):
        chosen_processings(str(tmp_path / "mine.toml"))


def test_view_keys__of_a_chain_have_seed_steps_and_codec(photos, chosen):
    use_processings("ntire")
    assert set(known_parameters()) >= {"chain-length"}
    recipe = all_tasks()["probe/chain-length"].recipe(photos, RunOptions(seed=3))
    keys = recipe.view_keys()
    assert {key["seed"] for key in keys.values()} == {3}
    assert len({str(key) for key in keys.values()}) == 5
    assert keys["chain-5"]["before"][0]["random"] == (("quality", (50, 95)),)
    assert all(key["codec"].startswith(codec_canary()) for key in keys.values())


def test_crossing__has_the_processings_of_the_file(tmp_path):
    plain_jpeg = '[[processing]]\nname = "saved"\nsteps = [{step = "jpeg", quality = 60}]\n[[parameter]]'
    (tmp_path / "two.toml").write_text(FILE.replace("[[parameter]]", plain_jpeg), encoding="utf-8")
    use_processings(both := chosen_processings(str(tmp_path / "two.toml")))
    pictures = detection_photos(count=24, shared=4.0)
    encoder = toy_encoder(as_rows, pixel_rows, DIMENSION, name="pixels")
    run = score_tasks(encoder, pictures, ["forensics/crossing"], tmp_path / "cache", processings=both)
    scores = {score.metric: score for score in run.result.scores}
    rows = scores["bias"].details["by_processing"]
    assert set(rows) == {"small", "bright", "saved"}
    made = np.array([pictures.labels.names[v] == "fake" for v in pictures.labels.values])
    images = [Image.open(io.BytesIO(pictures.read(i))).convert("RGB") for i in range(len(pictures))]
    train, test = pictures.indices("train"), pictures.indices("val")
    original = np.stack([pixel_rows(image) for image in images]).astype(np.float32)
    layer = class_layer(original[train], made[train], n_classes=2)
    for name, row in rows.items():
        processed = [
            process_by_pillow(images[i], read_definitions(both).processings[name], pictures.ids[i]) for i in test
        ]
        views = [np.stack([pixel_rows(image) for image in processed]).astype(np.float32), original[test]]
        after, before = (view[:, 1] - view[:, 0] for view in class_scores([layer], views)[0])
        assert row["both"] == pytest.approx(roc_auc_score(made[test], after), abs=2e-3)
        assert row["real_only"] == pytest.approx(
            roc_auc_score(made[test], np.where(made[test], before, after)), abs=2e-3
        )
    assert scores["bias-jpeg"].value == pytest.approx(rows["saved"]["bias"], abs=1e-6)
    use_processings("")
    answers = read_answers(run.answers, all_tasks())  # the answers name their processings
    key = ("forensics/crossing", "bias")
    assert contradicted(scores["bias"], answers.values[key], answers.facts[key], run.result) == ""
