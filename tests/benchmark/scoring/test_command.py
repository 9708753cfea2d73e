"""The real command line end to end, in a temporary folder, with a small encoder of the user's own."""

import json
import os
import re
import subprocess

import numpy as np
import pytest
from PIL import Image

from benchmark.__main__ import camtrace
from benchmark.cli.score import main
from benchmark.results import read_result
from builders.data_specs import open_photos
from tests.conftest import photo_bytes
from tests.support.records import check_keys
from tests.support.user_project import BAD, run

RECORDED_BY_NAME = (
    *("data.source_jpeg", "cost.seconds", "environment.options", "environment.versions", "environment.codec"),
    "cost.peak_memory_bytes",
    "scores[].details.by_processing",
)


@pytest.fixture(scope="module")
def scored(project) -> subprocess.CompletedProcess[str]:
    return run(project, "score", "-m", "mine:encode", "-d", "folder:photos", "-o", "out", "--workers", "2")


@pytest.mark.slow
def test_score__writes_a_complete_result(project, scored):
    result = read_result(project / "out" / "result.json")
    assert result.encoder["id"] == "mine:encode"
    assert result.encoder["dimension"] == 51
    assert result.data["name"] == "folder:photos"
    assert result.data["photos"] == {"train": 74, "val": 28, "test": 0}
    photos = open_photos(f"folder:{project / 'photos'}")
    assert (result.schema_version, result.data["question_hash"]) == (2, photos.question_hash())
    assert sum(result.data["source_jpeg"].values()) == 102
    by = {(s.task, s.metric): s for s in result.scores}
    parameters = ("jpeg", "sharpening", "resizing", "interpolation")
    for parameter in parameters:
        probe = by[f"probe/{parameter}", "accuracy"]
        assert probe.n == 27
        assert probe.low <= probe.value <= probe.high
        assert len(probe.details["accuracy_by_seed"]) == 10
        for metric in ("all-same", "all-diff", "pos-same", "neg-same", "uniform", "uniform-test", "worst", "spd"):
            score = by[f"knn/{parameter}", metric]
            assert score.low <= score.value <= score.high
        spd = by[f"knn/{parameter}", "pos-same"].value - by[f"knn/{parameter}", "neg-same"].value
        assert by[f"knn/{parameter}", "spd"].value == pytest.approx(spd)
    assert len([s for s in result.scores if s.task.partition("/")[2] in parameters]) == 4 + 4 * 8
    assert by["probe/jpeg", "accuracy"].chance == pytest.approx(1 / 6)
    assert by["knn/jpeg", "all-same"].chance == pytest.approx(1 / 3)
    # noise makes sharpening and size plain to see in local detail; colour makes the classes plain to see
    assert by["probe/sharpening", "accuracy"].low > 0.8
    assert by["probe/resizing", "accuracy"].low > 0.8
    assert by["knn/interpolation", "all-same"].value == 1.0
    record = json.loads((project / "out" / "result.json").read_text("utf-8"))
    check_keys("result.json", record, any_key=RECORDED_BY_NAME)


def test_score__bad_files_are_named_and_the_run_completes(project, scored):
    result = read_result(project / "out" / "result.json")
    failed = {f.name: f.reason for f in result.failures}
    assert set(failed) == set(BAD) - {"val/green/notes.txt"}
    assert "val/green/notes.txt" in result.data["evidence"]["left out"]  # no photo, which no table says it is
    assert "empty" in failed["train/red/empty.jpg"]
    assert "pixels" in failed["val/blue/bomb.png"]
    assert "folder:photos" in scored.stderr


def test_score__tells_people(project, scored):
    text = (project / "out" / "report.md").read_text()
    assert scored.stdout.startswith("mine:encode\n")
    assert len(scored.stdout.splitlines()) <= 25
    assert "| probe/jpeg " in text
    assert "val/green/notes.txt" in text
    with Image.open(project / "out" / "report.png") as picture_:
        assert picture_.width > 800
    assert not list((project / "out").glob(".*"))


def test_score__keeps_per_photo_answers_that_give_the_scores(project, scored):
    result = read_result(project / "out" / "result.json")
    with np.load(project / "out" / "answers.npz", allow_pickle=False) as answers:
        predicted = answers["probe/jpeg/predicted"]
        correct, combinations = answers["knn/jpeg/correct"], answers["knn/jpeg/combinations"]
    assert predicted.shape == (10, 6, 27)
    accuracy = (predicted == np.arange(6)[None, :, None]).mean()
    assert result.score("probe/jpeg", "accuracy").value == pytest.approx(accuracy)
    assert result.score("knn/jpeg", "all-diff").value == pytest.approx((correct[1] / combinations[1]).mean())


@pytest.mark.slow
def test_score__second_run_reuses_the_bank_and_gives_the_same_scores(project, scored):
    before = read_result(project / "out" / "result.json")
    run(project, "score", "--model", "mine:encode", "--data", "folder:photos", "--output", "again")
    after = read_result(project / "again" / "result.json")
    assert after.cost["views"] == 0
    assert [(s.task, s.metric, s.value, s.low) for s in after.scores] == [
        (s.task, s.metric, s.value, s.low) for s in before.scores
    ]
    assert after.failures == before.failures


@pytest.mark.slow
def test_score__several_encoders_and_sets_and_a_broken_one(project):
    done = run(
        project, "score", "--model", "mine:encode", "--model", "mine:broken", "--model", "control:jpeg-statistics",
        "--data", "folder:photos", "--data", "folder:photos/train?name=half", "--tasks", "probe/sharpening",
        "--limit", "40", "--output", "several", "--json", expect=1,
    )  # fmt: skip
    assert "encoder" in done.stderr
    results = sorted(path.relative_to(project / "several").as_posix() for path in (project / "several").rglob("*.json"))
    assert results == [
        f"{encoder}/{data}/result.json"
        for encoder in ("control-jpeg-statistics", "mine-encode")
        for data in ("folder-photos", "half")
    ]
    one = json.loads((project / "several" / results[0]).read_text())
    assert sum(one["data"]["photos"].values()) == 40
    assert [s["task"] for s in one["scores"]] == ["probe/sharpening"]
    text = (project / "several" / "report.md").read_text()
    assert "mine:broken" in text
    assert "mine:broken" in done.stderr
    reported = json.loads(done.stdout)  # and nothing else
    assert [(row["encoder"], row["data"], row["task"], row["metric"]) for row in reported["scores"]] == [
        (encoder, data, "probe/sharpening", "accuracy")
        for data in ("folder:photos", "half")
        for encoder in ("mine:encode", "control:jpeg-statistics")
    ]
    by = {(row["encoder"], row["data"]): row for row in reported["scores"]}
    assert by["control:jpeg-statistics", "folder:photos"]["value"] == one["scores"][0]["value"]
    [lost] = [row for row in reported["failures"] if row["kind"] == "not scored"]
    assert lost["name"] == "mine:broken"
    assert "encoder" in lost["reason"]
    # each result is repeated by itself, without the others of the run
    output = [json.loads((project / "several" / name).read_text())["environment"] for name in results]
    assert [environment["command"] for environment in output] == [
        f"camtrace score --model {model} --data {data} --tasks probe/sharpening --limit 40"
        for model in ("control:jpeg-statistics", "mine:encode")
        for data in ("folder:PATH", "'folder:PATH?name=half'")
    ]
    assert [sorted(environment["local"]) for environment in output] == [["data"]] * 2 + [["data", "model"]] * 2
    half = json.loads((project / "several" / results[3]).read_text())
    assert output[3]["local"]["data"] == f"PATH: your folder of 40 photos (half), ids hash {half['data']['ids_hash']}"
    assert str(project) not in json.dumps(output)


@pytest.mark.slow
def test_score__records_a_command_without_a_path_of_this_machine(project, tmp_path):
    """Photos, output and cache are absolute paths; the seed of ``--limit`` decides which 20 photos are scored."""
    data = f"folder:{project}/photos?name=mine"
    done = run(
        project, "score", "--model", "mine:encode", "--data", data, "--tasks", "probe/sharpening",
        "--limit", "20", "--seed", "1", "--output", str(tmp_path / "out"), f"--cache={tmp_path}/cache", "--workers=0",
    )  # fmt: skip
    assert str(tmp_path / "out") in done.stderr
    result = read_result(tmp_path / "out" / "result.json")
    command = str(result.environment["command"])
    for part in ("mine:encode", "probe/sharpening", "limit", "20", "seed"):
        assert part in command
    secrets = {*project.parts[1:], *tmp_path.parts[1:], str(project), str(tmp_path), "//", "~"}
    assert [secret for secret in secrets if re.search(rf"(?<!\w){re.escape(secret)}(?!\w)", command)] == []
    assert not re.search(r"(^|[\s=:'\"])/", command), command
    assert not re.search("--(output|cache|workers)", command), command  # they change no score
    full = open_photos(data, seed=1)
    assert result.data["ids_hash"] == full.limited(20, 1).ids_hash() != full.limited(20, 0).ids_hash()


@pytest.mark.slow
def test_score__quiet_says_nothing_but_the_report(project, scored):
    done = run(
        project, "score", "-q", "-m", "mine:encode", "-d", "folder:photos/val", "-t", "knn/sharpening", "-o", "quiet"
    )
    assert [line for line in done.stderr.splitlines() if "warning" not in line] == []
    assert done.stdout.startswith("mine:encode\n")
    assert "knn/sharpening" in done.stdout
    assert "folder:photos" in scored.stderr.splitlines()[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("encoders", ["bundled:efficientnet-lite0", "control:jpeg-statistics", "CLIP (ViT-B/16, WIT)"]),
        ("tasks", ["probe/jpeg", "knn/interpolation"]),
        ("parameters", ["q75-420", "lanczos"]),
        ("data", ["sample", "folder:PATH", "hub:REPO[@REVISION]"]),
    ],
)
def test_list(project, monkeypatch, capfd, what, names):
    if what == "encoders":  # it looks for every library of encoders
        printed = run(project, "list", what).stdout
    else:
        monkeypatch.chdir(project)
        assert camtrace(["list", what]) == 0
        printed = capfd.readouterr().out
    for name in names:
        assert name in printed


@pytest.mark.slow
def test_score__names_that_are_no_text_reach_the_result_escaped(tmp_path, capfd, monkeypatch):
    """A name that is not UTF-8 lost a whole result at the end of the run, and an ESC in one commanded the terminal."""
    for split, count in (("train", 6), ("val", 3)):
        for label in ("cat", "d\x1b[31mog"):
            for i in range(count):
                path = tmp_path / "photos" / split / label / f"{i}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(photo_bytes(i))
    folder = os.fsencode(tmp_path / "photos" / "train" / "cat")
    with open(folder + b"/caf\xe9\x1b[2J.jpg", "wb") as broken:
        broken.write(b"no photo")
    words = ["-m", "control:random-projection", "-d", f"folder:{tmp_path}/photos", "-t", "knn/resizing"]
    assert main([*words, "--workers", "0", "--cache", str(tmp_path / "c"), "-o", str(tmp_path / "out")]) == 0
    output = capfd.readouterr()
    assert "\x1b" not in output.out + output.err
    result = read_result(tmp_path / "out" / "result.json")
    assert [failure.name for failure in result.failures] == ["train/cat/caf\\xe9\\x1b[2J.jpg"]
    assert "\x1b" not in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_score__the_figure_of_an_accuracy_alone_is_drawn_and_the_report_printed(project):
    words = ("-m", "mine:encode", "-d", "folder:photos", "-t", "knn/original", "-o", "plain", "--figure", "plain.svg")
    done = run(project, "score", *words)
    assert done.returncode == 0
    assert "mine:encode" in done.stdout
    assert "</svg>" in (project / "plain.svg").read_text()
