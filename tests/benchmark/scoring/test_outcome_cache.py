"""Nothing is lost, nothing is done twice: outcomes of tasks are kept as soon as they are there, by complete keys."""

import dataclasses
import json
import os
import re
import shutil
import time

import numpy as np
import pytest

from benchmark.bank import photo_hashes
from benchmark.encoders import load_encoder
from benchmark.options import RunOptions
from benchmark.scoring import score_encoders, store_paths, tasks_run
from benchmark.scoring.trial import Trial
from benchmark.tasks import all_tasks
from builders.errors import DataError
from builders.photos import Labels
from builders.sources import FolderSource, labelled_folder
from tests.support.processes import run_python
from tests.support.scoring import score_tasks

pytestmark = pytest.mark.usefixtures("unpainted", "brief", "short_projection")

ENCODER = "control:random-projection"


@pytest.fixture(scope="module")
def photos(tmp_path_factory, photo_folder):
    """Of the shared folder, as if they had been there for long."""
    for path in photo_folder.rglob("*.jpg"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    time.sleep(0.05)  # the clock of a file system goes on in steps
    return labelled_folder(str(photo_folder))


@pytest.fixture(scope="module")
def encoder():
    return load_encoder(ENCODER, device="cpu")


@pytest.fixture(autouse=True)
def _without_trial(monkeypatch):
    """Every run asks encoders about three photos; here reads are counted."""
    monkeypatch.setattr("benchmark.scoring.trial.try_encoders", lambda encoders, *_: [Trial() for _ in encoders])


@pytest.fixture
def ran(monkeypatch):
    """Names of the tasks that are computed, as they are."""
    names = []
    real = tasks_run._run
    monkeypatch.setattr(tasks_run, "_run", lambda job: names.append(job.task.name) or real(job))
    return names


def score(encoder, photos, cache, *patterns, **changes):
    named = patterns or ["*/sharpening"]
    return score_tasks(encoder, photos, named, cache, resamples=200, assignment_seeds=2, **changes)


def without_times(scored):
    return [
        dataclasses.replace(s, details={k: v for k, v in s.details.items() if k not in ("search_s", "fit_s")})
        for s in scored.result.scores
    ]


def same(one, other):
    assert without_times(one) == without_times(other)
    assert one.answers.keys() == other.answers.keys()
    for name in one.answers:
        np.testing.assert_array_equal(one.answers[name], other.answers[name])
    assert one.result.data == other.result.data


def test_again__nothing_is_computed_and_no_embedding_is_read(tmp_path, encoder, photos, ran, monkeypatch):
    first = score(encoder, photos, tmp_path)
    assert sorted(ran) == ["knn/sharpening", "probe/sharpening"]
    ran.clear()
    monkeypatch.setattr("benchmark.bank.bank.Bank.check", lambda self: pytest.fail("rows were read"))
    monkeypatch.setattr(FolderSource, "read", lambda self, row: pytest.fail("a photo was read"))
    again = score(encoder, photos, tmp_path)
    assert ran == []
    same(again, first)
    assert again.result.cost["views"] == 0


@pytest.mark.slow
def test_again__another_question_of_the_same_embeddings(tmp_path, encoder, photos, ran):
    score(encoder, photos, tmp_path)
    ran.clear()
    other = Labels(photos.labels.names, photos.labels.values[::-1].copy())
    for change, patterns, computed in (
        ({}, ["*/sharpening", "probe/resizing"], ["probe/resizing"]),
        ({}, ["probe/sharpening"], []),
        ({"neighbours": 3}, ["knn/sharpening"], ["knn/sharpening"]),
        ({"queries": 5}, ["knn/sharpening"], ["knn/sharpening"]),
        ({"protocol": "iccv2025"}, ["probe/sharpening"], ["probe/sharpening"]),
        ({"fresh": True}, ["probe/sharpening"], ["probe/sharpening"]),
    ):
        score(encoder, photos, tmp_path, *patterns, **change)
        assert ran == computed, change
        ran.clear()
    score(encoder, dataclasses.replace(photos, labels=other), tmp_path, "knn/sharpening")
    assert ran == ["knn/sharpening"]


@pytest.mark.slow
def test_again__the_order_is_that_of_the_tasks_whatever_was_cached(tmp_path, encoder, photos):
    whole = score(encoder, photos, tmp_path / "whole")
    last = whole.result.scores[-1].task
    assert last != whole.result.scores[0].task
    score(encoder, photos, tmp_path / "parts", last)
    parts = score(encoder, photos, tmp_path / "parts")
    assert [(s.task, s.metric) for s in parts.result.scores] == [(s.task, s.metric) for s in whole.result.scores]
    assert list(parts.answers) == list(whole.answers)


def test_again__other_code_or_a_damaged_file_is_computed_anew(tmp_path, encoder, photos, ran, monkeypatch):
    first = score(encoder, photos, tmp_path, "probe/sharpening")
    [file] = tmp_path.glob("outcomes/*/outcome.npz")
    assert json.loads(file.with_name("key.json").read_text())["task"] == "probe/sharpening"
    for data in (file.read_bytes()[:-200], b""):
        file.write_bytes(data)
        ran.clear()
        same(score(encoder, photos, tmp_path, "probe/sharpening"), first)
        assert ran == ["probe/sharpening"]
    ran.clear()
    monkeypatch.setattr(tasks_run, "code_hash", lambda: "other code")
    score(encoder, photos, tmp_path, "probe/sharpening")
    assert ran == ["probe/sharpening"]


def test_again__a_task_of_a_user_is_not_cached(tmp_path, encoder, photos):
    changed = dataclasses.replace(all_tasks()["probe/sharpening"], title="mine")
    options = RunOptions(cache=tmp_path, workers=0, resamples=200, assignment_seeds=2)
    score_encoders([encoder], photos, [changed], options)
    assert not list(tmp_path.glob("outcomes/*"))


@pytest.mark.slow
def test_first_run__photos_are_hashed_in_the_pass(tmp_path, encoder, photos, ran, monkeypatch):
    """Each photo is read once; the bank ends up where a run that knows the bytes looks for it."""
    known = score(encoder, photos, tmp_path / "known")
    rows, real = [], FolderSource.read
    monkeypatch.setattr(FolderSource, "read", lambda self, row: rows.append(row) or real(self, row))
    monkeypatch.setattr(photo_hashes, "READ_BEFORE", 1)
    first = score(encoder, photos, tmp_path / "waits", "*/sharpening", "probe/jpeg")
    assert sorted(rows) == list(range(len(photos)))
    assert first.result.data["bytes_hash"] == known.result.data["bytes_hash"]
    folders = [sorted(path.name for path in (tmp_path / run / "banks").iterdir()) for run in ("known", "waits")]
    assert folders[0] == folders[1]
    ran.clear()
    same(score(encoder, photos, tmp_path / "waits"), known)
    assert (ran, len(rows)) == ([], len(photos))


@pytest.mark.parametrize("few", [1, 1000])
def test_first_run__stopped_in_the_pass__goes_on(tmp_path, encoder, photos, monkeypatch, few):
    """Also where so few photos are unknown by then that the next run reads them before it embeds."""
    monkeypatch.setattr(photo_hashes, "READ_BEFORE", 1)
    monkeypatch.setattr("benchmark.bank.view_file.Blocks.size", 16)
    rows, real = [], FolderSource.read

    def stops(self, row):
        if len(rows) == 20:
            raise KeyboardInterrupt
        rows.append(row)
        return real(self, row)

    monkeypatch.setattr(FolderSource, "read", stops)
    with pytest.raises(KeyboardInterrupt):
        score(encoder, photos, tmp_path)
    monkeypatch.setattr(FolderSource, "read", lambda self, row: rows.append(row) or real(self, row))
    monkeypatch.setattr(photo_hashes, "READ_BEFORE", few)
    second = score(encoder, photos, tmp_path)
    unknown = list(range(20, len(photos))) if few > 1 else []
    assert sorted(rows[20:]) == sorted([*unknown, *range(16, len(photos))])
    assert second.result.cost["views"] == 3 * (len(photos) - 16)
    assert len(list((tmp_path / "banks").iterdir())) == 1


def test_first_run__photos_that_changed_just_now_lend_their_name_to_nothing(
    tmp_path, encoder, photo_folder, monkeypatch
):
    """Their stamps may be those of other bytes."""
    monkeypatch.setattr(photo_hashes, "READ_BEFORE", 1)
    monkeypatch.setattr("benchmark.bank.view_file.Blocks.size", 16)
    folder = shutil.copytree(photo_folder, tmp_path / "photos")
    for path in folder.rglob("*.jpg"):
        os.utime(path, (time.time() + 600,) * 2)
    photos = labelled_folder(str(folder))
    monkeypatch.setattr("benchmark.bank.bank.Bank.adopt", lambda *_: pytest.fail("adopted"))
    with pytest.raises(pytest.fail.Exception):
        score(encoder, photos, tmp_path)
    monkeypatch.setattr(photo_hashes, "READ_BEFORE", 1000)
    assert score(encoder, photos, tmp_path).result.cost["views"] == 3 * len(photos)


def test_require_space__refused_before_anything_is_embedded(tmp_path, encoder, photos, monkeypatch):
    monkeypatch.setattr(store_paths, "free_space", lambda folder: store_paths.SPARE_BYTES + 1000)
    with pytest.raises(DataError, match=r"268\.4"):
        score(encoder, photos, tmp_path)
    assert not list(tmp_path.rglob("*.npy"))
    printed = []
    monkeypatch.setattr(store_paths, "free_space", lambda folder: 5_000_000_000)
    monkeypatch.setattr(store_paths, "LOG_FROM", 1)
    options = RunOptions(cache=tmp_path, workers=0, resamples=200, assignment_seeds=2)
    tasks = [all_tasks()["probe/sharpening"]]
    [scored] = score_encoders([encoder], photos, tasks, options, log=printed.append)
    numbers = len(photos) * 3 * scored.result.encoder["dimension"]
    assert printed == [f"embeddings: {4 * numbers / 1e6:.1f} MB more in {tmp_path / 'banks'} (5.0 GB free)"]


@pytest.mark.slow
def test_command__killed_in_a_later_task__the_finished_ones_are_there(tmp_path, photo_folder):
    """kNN is stopped between two parts of its queries, by a kill that nothing can catch."""
    wrapper = tmp_path / "run.py"
    wrapper.write_text(
        "import os, sys, torch\n"
        "torch.set_num_threads(1)\n"
        "from benchmark.knn import lists, setups\n"
        "lists.LEAST_QUERIES, lists.PART_WORK = 3, {True: 1, False: 1}\n"
        "real, seen = setups.neighbour_lists, []\n"
        "def neighbour_lists(*given):\n"
        "    seen.append(given[2])\n"
        "    if os.environ.get('KILL_AT') == str(len(seen)):\n"
        "        os.kill(os.getpid(), 9)\n"
        "    print('part', given[2].start, file=sys.stderr)\n"
        "    return real(*given)\n"
        "setups.neighbour_lists = neighbour_lists\n"
        "import benchmark.scoring.tasks_run as jobs\n"
        "task = jobs._run\n"
        "jobs._run = lambda job: print('task', job.task.name, file=sys.stderr) or task(job)\n"
        "import camtrace\n"
        "sys.exit(camtrace.main())\n"
    )
    words = ["score", "-m", ENCODER, "-d", f"folder:{photo_folder}", "-t", "*/sharpening", "--workers", "0"]
    words += ["--cache", tmp_path / "cache", "--json", "-o", tmp_path / "out"]

    def run(**more):
        done = run_python(wrapper, *words, env={**os.environ, **more})
        return done, re.findall(r"^task (.*)$", done.stderr, re.M), re.findall(r"^part (.*)$", done.stderr, re.M)

    killed, tasks, parts = run(KILL_AT="4")
    assert killed.returncode == -9
    assert (tasks, parts) == (["probe/sharpening", "knn/sharpening"], ["0", "1", "2"])
    again, tasks, parts = run()
    assert again.returncode == 0, again.stderr
    assert tasks == ["knn/sharpening"]
    assert parts[:9] == [str(i) for i in range(3, 12)]  # then the parts of its jitters
