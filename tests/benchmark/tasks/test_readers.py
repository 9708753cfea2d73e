"""``--readers`` by the command: files, reports, and unchanged scores of the linear probe."""

import dataclasses

import numpy as np
import pytest

from benchmark.cli.score import main as score
from benchmark.encoders import load_encoder
from benchmark.options import RunOptions
from benchmark.results import read_result
from benchmark.scoring import score_encoders
from benchmark.tasks import all_tasks
from builders.data_specs import open_photos
from builders.errors import UsageError
from builders.photos import Labels

pytestmark = [pytest.mark.usefixtures("short_projection"), pytest.mark.slow]

MODEL = "control:jpeg-statistics"


@pytest.fixture(scope="module")
def runs(photo_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("readers")
    common = [
        "--model",
        MODEL,
        "--data",
        f"folder:{photo_folder}",
        "--workers",
        "0",
        "--cache",
        str(folder / "cache"),
        "-q",
    ]
    common += ["--tasks", "probe/jpeg"]
    for name, more in (("linear", []), ("all", ["--readers", "mlp,knn"])):
        assert score([*common, "--output", str(folder / name), *more]) == 0
    return folder


def test_linear__is_not_changed_by_other_readers(runs):
    (alone,), (linear, *_) = (read_result(runs / name / "result.json").scores for name in ("linear", "all"))
    timed = {"search_s", "fit_s"}
    for one, other in zip((alone, linear), (linear, alone), strict=True):
        assert {k: v for k, v in one.details.items() if k not in timed} == {
            k: v for k, v in other.details.items() if k not in timed
        }
        assert (one.value, one.low, one.high, one.n) == (other.value, other.low, other.high, other.n)


def test_readers__have_scores_with_intervals_and_a_search(runs):
    result = read_result(runs / "all" / "result.json")
    assert [s.metric for s in result.scores] == ["accuracy", "accuracy-knn", "accuracy-mlp"]
    for measured in result.scores:
        assert measured.low <= measured.value <= measured.high
        assert measured.n == result.scores[0].n
        assert measured.chance == result.scores[0].chance
        assert measured.details["search"]
    assert result.environment["options"]["readers"] == "linear,knn,mlp"
    assert "--readers linear,knn,mlp" in result.environment["command"]
    assert "readers" not in read_result(runs / "linear" / "result.json").environment["options"]


def test_answers__give_the_scores(runs):
    result = read_result(runs / "all" / "result.json")
    with np.load(runs / "all" / "answers.npz") as file:
        arrays = {name.rpartition("/")[2].removesuffix(".npy"): file[name] for name in file.files}
    measured = all_tasks()["probe/jpeg"].read_answers(arrays)
    assert {name: values.values.mean() for name, values in measured.items()} == pytest.approx(
        {s.metric: s.value for s in result.scores}
    )


def test_report__has_a_column_per_reader(runs):
    text = (runs / "all" / "report.md").read_text("utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith("| probe/jpeg") and line.count("(") == 3]
    scores = read_result(runs / "all" / "result.json").scores
    assert all(f"{100 * s.value:.1f} (" in line for s in scores)
    assert "kNN" in text
    assert "kNN" not in (runs / "linear" / "report.md").read_text("utf-8")


def test_readers__an_unknown_reader_is_refused_before_photos_are_read(tmp_path):
    with pytest.raises(UsageError, match="unknown reader 'tree'"):
        score(["--model", MODEL, "--data", f"folder:{tmp_path}", "--readers", "tree"])


def test_readers__all_three_on_an_acquisition_attribute(photo_folder, tmp_path):
    photos = open_photos(f"folder:{photo_folder}")
    make = Labels(("bright", "dark"), photos.labels.values.copy())
    photos = dataclasses.replace(photos, attributes={"make": make})
    options = RunOptions(readers="linear,knn,mlp", workers=0, device="cpu", cache=tmp_path, mask_ratio=0.0)
    encoder = load_encoder("control:random-projection")
    (one,) = score_encoders([encoder], photos, [all_tasks()["probe/make"]], options)
    assert [s.metric for s in one.result.scores] == ["accuracy", "accuracy-knn", "accuracy-mlp"]
    assert {s.n for s in one.result.scores} == {len(photos.indices("val"))}
    assert one.result.scores[1].details["chosen"]["k"] >= 1
    assert set(one.answers) >= {"probe/make/predicted", "probe/make/predicted-knn", "probe/make/predicted-mlp"}
