"""The cache entry of an outcome by hand: its key, its files, what is printed of it; and the edges of running jobs."""

import dataclasses
import json
import os
import time
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.options import RunOptions
from benchmark.results import Score
from benchmark.scoring import CachedOutcome, Job, run_jobs
from benchmark.scoring.tasks_run import cached_outcome
from benchmark.tasks import TaskOutcome, all_tasks
from builders.errors import DataError
from builders.photos import PhotoSet

TASK = all_tasks()["probe/jpeg"]


def photos_of(n: int = 10) -> PhotoSet:
    return PhotoSet.of_bytes(
        "toy", {f"p{i}": b"" for i in range(n)}, ["a", "b"] * (n // 2), ["train", "val"] * (n // 2)
    )


def of(cache, **changes) -> CachedOutcome | None:
    given = {"task": TASK, "photos": photos_of(), "usable": np.arange(10) < 9, "bank": {"encoder": "e", "bytes": "0a"}}
    given |= {"options": RunOptions(cache=cache, seed=4), "device": "cuda:1", "output": None}
    return cached_outcome(**{**given, **changes})


def test_key__another_one_for_whatever_differs(tmp_path):
    whole = of(tmp_path)
    fewer = dataclasses.replace(photos_of(), splits=photos_of().splits[::-1].copy())
    others = [
        of(tmp_path, task=all_tasks()["probe/sharpening"]),
        of(tmp_path, bank={"encoder": "e", "bytes": "0b"}),
        of(tmp_path, photos=fewer),
        of(tmp_path, usable=np.arange(10) < 8),
        of(tmp_path, options=RunOptions(cache=tmp_path, seed=5)),
        of(tmp_path, device="cpu"),
        of(tmp_path, output=SimpleNamespace(name="x", read="mean")),
    ]
    assert len({one.folder for one in (whole, *others)}) == 8
    assert of(tmp_path, device="cuda:0").folder == whole.folder
    assert of(tmp_path / "other").folder.name == whole.folder.name
    assert of(tmp_path, task=dataclasses.replace(TASK, title="mine")) is None
    assert of(tmp_path, task=dataclasses.replace(TASK, name="probe/nothing")) is None


SCORE = Score("probe/jpeg", "toy", "accuracy", 0.5, 0.4, 0.6, 7, 0.25, {"k": [1, {"a": None}], "text": "ä"})


def outcome() -> TaskOutcome:
    return TaskOutcome(
        (SCORE, dataclasses.replace(SCORE, metric="other")), {"right": np.eye(3), "rule": np.array("near")}
    )


def test_entry__is_stored_read_and_removed(tmp_path, capsys):
    entry = CachedOutcome(tmp_path / "outcomes" / "e", {"b": 2, "a": {"c": 1}})
    assert (entry.is_stored, entry.load(), entry.parts) == (False, None, tmp_path / "outcomes" / "e" / "parts")
    entry.parts.mkdir(parents=True)
    (entry.parts / "one.npz").write_bytes(b"x")
    entry.save(outcome())
    assert entry.is_stored
    assert sorted(path.name for path in entry.folder.iterdir()) == ["key.json", "outcome.npz"]
    assert (entry.folder / "key.json").read_text() == '{\n  "a": {\n    "c": 1\n  },\n  "b": 2\n}\n'
    with np.load(entry.folder / "outcome.npz") as file:
        assert set(file.files) == {"right", "rule", "scores.json"}
        assert json.loads(file["scores.json"].tobytes()) == [dataclasses.asdict(s) for s in outcome().scores]
    long_ago = time.time() - 9000
    os.utime(entry.folder, (long_ago, long_ago))
    read = entry.load()
    assert entry.folder.stat().st_mtime > long_ago + 8000  # last use, for the cache's list
    assert read.scores == outcome().scores
    assert set(read.answers) == {"right", "rule"}
    np.testing.assert_array_equal(read.answers["right"], np.eye(3))
    assert str(read.answers["rule"]) == "near"
    entry.forget()
    assert not entry.folder.exists()
    entry.forget()  # what is not there is no error
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"right": np.eye(2)}, "KeyError: 'scores.json'"),
        ({"scores.json": np.frombuffer(b"{]", np.uint8)}, "JSONDecodeError: "),
        ({"scores.json": np.frombuffer(b'[{"task": "a"}]', np.uint8)}, "TypeError: "),
        ({"scores.json": np.frombuffer(b"\xff\xfe", np.uint8)}, "UnicodeDecodeError: "),
    ],
)
def test_entry__one_that_is_not_whole_is_made_again_with_a_warning(arrays, why, tmp_path, capsys):
    entry = CachedOutcome(tmp_path / "e", {})
    entry.folder.mkdir()
    np.savez(entry.folder / "outcome.npz", **arrays)
    assert entry.load() is None
    line = capsys.readouterr().err
    assert line.startswith(f"camtrace: warning: {entry.folder}: not whole ({why}")
    assert line.endswith("); made again\n")
    assert line.count("\n") == 1


def job(run, *, name="a/b", cached=None, device="cpu", photos=10, names=("v", "w"), dim=4) -> Job:
    task = dataclasses.replace(TASK, name=name, run=run)
    given = SimpleNamespace(photos=range(photos), bank=SimpleNamespace(names=names, dim=dim), device=device)
    return Job(task, given, cached)


def test_jobs__an_outcome_is_cached_as_soon_as_it_is_there_and_a_failure_is_not(tmp_path):
    entries = [CachedOutcome(tmp_path / name, {"name": name}) for name in ("good", "bad")]

    def refused(given):
        raise DataError("too few")

    good, bad = run_jobs([job(lambda given: outcome(), cached=entries[0]), job(refused, cached=entries[1])])
    assert (entries[0].is_stored, entries[1].is_stored) == (True, False)
    assert (good.outcome.scores, good.reason, good.internal, good.retried) == (outcome().scores, "", False, "")
    assert (bad.outcome, bad.reason, bad.internal, bad.retried) == (None, "too few", False, "")


def test_jobs__a_retry_is_cached_too_and_the_first_reason_stands(tmp_path, capsys):
    entry, errors = CachedOutcome(tmp_path / "e", {}), [RuntimeError("first")]

    def once(given):
        if errors:
            raise errors.pop()
        return outcome()

    (done,) = run_jobs([job(once, name="knn/x", cached=entry)])
    assert (done.outcome.scores, done.reason, done.retried, done.internal) == (
        outcome().scores,
        "",
        "RuntimeError: first",
        False,
    )
    assert entry.is_stored
    assert "knn/x" in capsys.readouterr().err
    reasons = iter(["first", "second"])

    def always(given):
        raise RuntimeError(next(reasons))

    (done,) = run_jobs([job(always)])
    assert (done.outcome, done.reason, done.retried, done.internal) == (None, "RuntimeError: first", "", True)


@pytest.mark.parametrize("debug", [False, True])
def test_jobs__a_traceback_is_printed_where_it_is_requested(debug, monkeypatch, capsys):
    monkeypatch.setenv("CAMTRACE_DEBUG", "1" if debug else "")

    def refused(given):
        raise DataError("too few")

    assert run_jobs([job(refused)])[0].reason == "too few"
    assert ("Traceback" in capsys.readouterr().err) is debug
