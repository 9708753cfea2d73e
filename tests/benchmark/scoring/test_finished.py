"""Which finished result a sweep reuses: one scored run, and everything that may differ from it."""

import dataclasses
import json

import numpy as np
import pytest

from benchmark.bank import PhotoHashes
from benchmark.options import RunOptions
from benchmark.results import Failure, read_result, write_result
from benchmark.scoring import OpenedSet, Row, failures_by_pair, score_encoders, sweep_text, write_scored
from benchmark.scoring.output import what_failed, write_state
from benchmark.scoring.sweep import finished_result
from benchmark.tasks import all_tasks
from builders.photos import PhotoSet
from builders.untrusted import may_pass
from tests.conftest import photo_bytes
from tests.support.scoring import as_rows, toy_encoder

TASKS = tuple(all_tasks()[name] for name in ("knn/original", "knn/sharpening"))


def toy(name="toy", **more):
    return toy_encoder(as_rows, lambda image: np.asarray(image.resize((4, 4))), 48, name=name, **more)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("finished")
    files = {f"{i}": photo_bytes(i) for i in range(12)}
    splits = ["train"] * 6 + ["val"] * 6
    photos = PhotoSet.of_bytes("set", files, [("cat", "dog")[i % 2] for i in range(12)], splits)
    options = RunOptions(cache=root / "cache", workers=0, batch_size=8, resamples=200, assignment_seeds=1)
    [scored] = score_encoders([toy()], photos, TASKS, options)
    folder = write_scored(scored, root / "out", single=False)
    assert folder == root / "out" / "toy" / "set"
    return root, photos, options, scored.result


@pytest.fixture
def look(world):
    """The finished result of an encoder, with what differs from the run."""
    root, photos, options, _ = world

    def of(encoder=None, tasks=TASKS, photos=photos, output=root / "out", **changed):
        used = dataclasses.replace(options, **changed)
        return finished_result(
            output, encoder or toy(), OpenedSet(photos, tasks, "x"), PhotoHashes(photos, used.cache), used
        )

    return of


def test_finished__the_same_question(world, look):
    folder, result = look()
    assert folder.as_posix() == "toy/set"
    assert result.scores == world[3].scores
    assert look(batch_size=1, workers=2, min_usable=0.1, fresh=False) is not None


def test_finished__another_question(world, look):
    _, photos, _, _ = world
    assert look(toy("other")) is None
    assert look(toy(weights="1" * 64)) is None
    assert look(toy(weights=None)) is None
    assert look(toy(preprocessing={"size": 5})) is None
    assert look(toy(dtype="bfloat16")) is None
    assert look(dataclasses.replace(toy(), compiled=True)) is None
    assert look(tasks=TASKS[:1]) is None
    assert look(tasks=(*TASKS, all_tasks()["knn/jpeg"])) is None
    assert look(tasks=TASKS[::-1]) is not None
    for changed in ({"seed": 1}, {"neighbours": 3}, {"ties": "random"}, {"storage": "float16"}, {"mask_ratio": 0.5},
                    {"queries": 3}, {"resamples": 300}, {"outputs": ("layers",)}, {"limit": 12}):  # fmt: skip
        assert look(**changed) is None, changed
    labels = ["cat"] * 6 + ["dog"] * 6
    files = {photo: photos.source.read(i) for i, photo in enumerate(photos.ids)}
    assert look(photos=PhotoSet.of_bytes("set", files, labels, ["train"] * 6 + ["val"] * 6)) is None
    files["3"] = photo_bytes(99)
    changed = PhotoSet.of_bytes("set", files, [("cat", "dog")[i % 2] for i in range(12)], ["train"] * 6 + ["val"] * 6)
    assert look(photos=changed) is None


def written(world, tmp_path, **changed):
    """A folder of results whose only result has other fields."""
    root, *_ = world
    folder = tmp_path / "out" / "toy" / "set"
    folder.mkdir(parents=True)
    (folder / "answers.npz").write_bytes((root / "out" / "toy" / "set" / "answers.npz").read_bytes())
    result = read_result(root / "out" / "toy" / "set" / "result.json")
    environment = {**result.environment, **changed.pop("environment", {})}
    write_result(dataclasses.replace(result, environment=environment, **changed), folder / "result.json")
    return tmp_path / "out"


def test_finished__files_that_are_gone_or_changed(world, look, tmp_path, capsys):
    output = written(world, tmp_path)
    folder = output / "toy" / "set"
    assert look(output=output) is not None
    (folder / "answers.npz").write_bytes(b"other")
    assert look(output=output) is None
    warning = f"camtrace: warning: {folder}: its answers are not those of its result; made again"
    assert warning in capsys.readouterr().err
    (folder / "answers.npz").unlink()
    assert look(output=output) is None
    assert capsys.readouterr().err == ""
    (folder / "answers.npz").write_bytes((world[0] / "out" / "toy" / "set" / "answers.npz").read_bytes())
    assert look(output=output) is not None
    (folder / "result.json").write_text("{}")
    assert look(output=output) is None


FAR = "cannot be read (Input/output error)"


@pytest.mark.parametrize(
    ("changed", "options", "reused"),
    [
        ({"failures": (Failure("photo", "a", "is empty"),)}, {}, True),
        ({"failures": (Failure("photo", "a", FAR),)}, {}, False),
        ({"failures": (Failure("task", "a", FAR),)}, {}, True),
        ({"environment": {"precision_gate": {"passed": False}}}, {}, False),
        ({"environment": {"precision_gate": {"passed": False}}}, {"force_dtype": True}, True),
        ({"environment": {"precision_gate": {"passed": True}}}, {}, True),
        ({"environment": {"precision_gate": None}}, {}, True),
        ({"environment": {"device": "NVIDIA H100"}}, {}, False),
        ({"environment": {"codec_canary": "other"}}, {}, False),
        ({"environment": {"storage": "float16"}}, {}, False),
        ({"environment": {"runtime": {"name": "openvino", "version": "1"}}}, {}, False),
        ({"environment": {"runtime": {"name": "torch", "version": "1"}}}, {}, True),
        ({"environment": {"python": "3.1"}}, {}, True),
        ({"created": "2020-01-01T00:00:00+00:00"}, {}, True),
    ],
)
def test_finished__by_what_a_result_records(world, look, tmp_path, changed, options, reused):
    assert may_pass(FAR)
    assert (look(output=written(world, tmp_path, **changed), **options) is not None) is reused


def test_finished__of_a_version_that_recorded_less(world, look, tmp_path):
    """Results without ``compiled`` or ``runtime`` are of versions that had neither."""
    output = written(world, tmp_path)
    file = output / "toy" / "set" / "result.json"
    result = read_result(file)
    older = {n: value for n, value in result.environment.items() if n not in ("compiled", "runtime")}
    write_result(dataclasses.replace(result, environment=older), file)
    assert "compiled" not in read_result(file).environment
    assert look(output=output) is not None
    assert look(dataclasses.replace(toy(), compiled=True), output=output) is None


def test_finished__an_encoder_that_is_not_identified_is_never_finished(world, look, tmp_path):
    encoder = {**world[3].encoder, "weights_sha256": None}
    assert look(toy(weights=None), output=written(world, tmp_path, encoder=encoder)) is None


def test_rows__of_every_state(tmp_path, world):
    result = dataclasses.replace(
        world[3],
        failures=(Failure("task", "t", "no memory"), Failure("photo", "p", "is empty"), Failure("output", "o", "odd")),
    )
    assert what_failed(result) == "no memory; odd"
    assert what_failed(world[3]) == ""
    rows = [
        Row("a", "set", "scored", "", "a/set", world[3]),
        Row("b", "set", "partial", "no memory", "b/set", result),
        Row("c", "set", "failed", "no weights", ""),
        Row("c", "two", "failed", "odd", ""),
    ]
    assert failures_by_pair(rows) == {"c on set": "no weights", "c on two": "odd"}
    text = sweep_text(rows, tmp_path)
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    assert cells[2:] == [
        ["a", "set", "scored", "a/set"], ["b", "set", "partial", "b/set: no memory"],
        ["c", "set", "failed", "no weights"], ["c", "two", "failed", "odd"],
    ]  # fmt: skip
    state = "kept"
    assert (
        f"\n\n1 scored, 1 partial, 0 {state}, 2 failed. Written to {tmp_path}: report.html, report.md, sweep.json"
        in text
    )
    assert f"1 scored, 0 {state}, 0 failed. " in sweep_text(rows[:1], tmp_path)
    write_state(rows, tmp_path)
    stored = json.loads((tmp_path / "sweep.json").read_text())["rows"]
    assert stored[1] == {"spec": "b", "data": "set", "state": "partial", "reason": "no memory", "folder": "b/set"}
    assert [row["spec"] for row in stored] == ["a", "b", "c", "c"]
