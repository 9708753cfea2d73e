"""The cache entry of an outcome by hand: its key, its files, what is printed of it; and the edges of running jobs."""

import dataclasses
import errno
import hashlib
import json
import os
import time
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.bank import key_hash
from benchmark.options import RunOptions
from benchmark.results import Score
from benchmark.scoring import tasks_run
from benchmark.scoring.reproduce import options_key
from benchmark.scoring.tasks_run import CachedOutcome, Job, cached_outcome, outcome_entry, run_jobs, run_side_by_side
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


def test_key__has_everything_that_affects_a_score(tmp_path, monkeypatch):
    monkeypatch.setattr(tasks_run, "code_hash", lambda: "the code")
    versions = {"numpy": "2.1", "scipy": "1.9", "torch": "2.8"}
    monkeypatch.setattr(tasks_run, "library_version", versions.get)
    entry, photos, options = of(tmp_path), photos_of(), RunOptions(cache=tmp_path, seed=4)
    expected = {
        "task": "probe/jpeg",
        "bank": {"encoder": "e", "bytes": "0a"},
        "views": TASK.recipe(photos, options).view_keys(),
        "question": photos.question_hash(),
        "usable": hashlib.sha256(np.packbits(np.arange(10) < 9).tobytes()).hexdigest()[:32],
        "options": options_key(options, photos),
        "device": "cuda",
        "code": "the code",
        "libraries": {**versions, "numba": ""},
    }
    assert entry.key == expected
    assert list(entry.key) == list(expected)
    assert entry.folder == tmp_path / "outcomes" / key_hash(expected)
    layer = of(tmp_path, output=SimpleNamespace(name="layers[1]:mean", read="mean", dimension=7))
    assert layer.key == {**expected, "output": {"name": "layers[1]:mean", "read": "mean"}}
    assert outcome_entry(tmp_path / "c", {"a": 1}).folder == tmp_path / "c" / "outcomes" / key_hash({"a": 1})


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


def test_entry__a_link_to_nothing_is_not_whole(tmp_path, capsys):
    entry = CachedOutcome(tmp_path / "e", {})
    entry.folder.mkdir()
    (entry.folder / "outcome.npz").symlink_to(tmp_path / "gone")
    assert (entry.is_stored, entry.load()) == (False, None)
    assert "not whole (" in capsys.readouterr().err


def test_entry__what_cannot_be_written_is_a_warning_and_parts_stay(tmp_path, monkeypatch, capsys):
    entry = CachedOutcome(tmp_path / "e", {})
    entry.parts.mkdir(parents=True)

    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(tasks_run, "write_bytes_atomically", full)
    entry.save(outcome())
    assert (
        capsys.readouterr().err == f"camtrace: warning: {entry.folder}: cannot be written (No space left on device)\n"
    )
    assert entry.parts.exists()
    assert not entry.is_stored


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
    assert capsys.readouterr().err == (
        "camtrace: knn/x failed (RuntimeError: first); run once more, alone, it succeeded\n"
    )
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


def test_jobs__seconds_are_shares_of_the_time_that_all_took(monkeypatch):
    """Of 8 seconds in all, two jobs side by side took 3 and 9 of their own: a quarter and three quarters."""
    times = iter([100.0, 101.0, 104.0, 102.0, 111.0, 108.0])
    monkeypatch.setattr(tasks_run.time, "perf_counter", lambda: next(times))
    monkeypatch.setattr(tasks_run, "parallel_map", lambda work, items: [work(item) for item in items])
    done = run_jobs([job(lambda given: outcome()), job(lambda given: outcome())])
    assert [one.seconds for one in done] == pytest.approx([2.0, 6.0])


def test_jobs__the_bar_counts_tasks_and_names_the_one_that_runs(monkeypatch):
    given, steps = [], []

    class Bar:
        def __init__(self, **options):
            given.append(options)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            steps.append("closed")

        def set_postfix_str(self, text, *, refresh):
            steps.append((text, refresh))

        def update(self):
            steps.append("done")

    monkeypatch.setattr(tasks_run, "step_bar", Bar)
    monkeypatch.setattr(tasks_run, "parallel_map", lambda work, items: [work(item) for item in items])
    run_jobs([job(lambda given: outcome(), name="a/1"), job(lambda given: outcome(), name="a/2")], silent=True)
    run_jobs([job(lambda given: outcome(), name="a/3", device="cuda")])
    assert given == [
        {"total": 2, "desc": "scoring", "unit": "task", "silent": True},
        {"total": 1, "desc": "scoring", "unit": "task", "silent": False},
    ]
    assert steps == [("a/1", False), "done", ("a/2", False), "done", "closed", ("a/3", False), "done", "closed"]


def test_side_by_side__up_to_256_mib_of_embeddings_on_a_cpu():
    photos = range(1 << 14)  # times 64 views of 64 numbers of 4 bytes
    assert run_side_by_side(photos, 64, 64, "cpu")
    assert not run_side_by_side(photos, 64, 65, "cpu")
    assert not run_side_by_side(photos, 1, 1, "cuda")


def test_small__every_input_counts_and_each_by_its_own_bank():
    def small(*jobs):
        return tasks_run._small(jobs)

    few, many = job(None), job(None, photos=1 << 14, names=tuple("abcdefgh"), dim=512)
    most = job(None, photos=1 << 14, names=tuple("abcdefgh"), dim=513)
    assert (small(), small(few), small(few, many), small(few, most), small(most, few)) == (
        True,
        True,
        True,
        False,
        False,
    )
    assert not small(few, job(None, device="cuda:0"))


def test_jobs__stubs_are_parsed_in_turn_and_packages_imported_before_they_run(monkeypatch):
    steps = []
    monkeypatch.setattr(tasks_run, "parse_in_turn", lambda: steps.append("in turn"))
    monkeypatch.setattr(tasks_run, "importlib", SimpleNamespace(import_module=steps.append))
    run_jobs([job(lambda given: steps.append("run") or outcome())])
    assert steps == ["in turn", *tasks_run.PACKAGES_OF_TASKS, "run"]
    assert run_jobs([]) == []
