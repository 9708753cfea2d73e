"""Which tasks of a pass are computed: cached outcomes, their keys, the bank they are of, and what an encoder gives."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.bank import key_hash
from benchmark.encoders import AnsweringModel, Output
from benchmark.options import RunOptions
from benchmark.results import Score, code_hash
from benchmark.scoring import passes as module
from benchmark.scoring import tasks_run
from benchmark.scoring.collect import Computation, EncoderRun
from benchmark.scoring.passes import OutputRun, Pass, input_size, tasks_to_run
from benchmark.scoring.reproduce import options_key
from benchmark.scoring.tasks_run import CachedOutcome, cached_outcome, outcome_entry, run_side_by_side
from benchmark.tasks import TaskOutcome, all_tasks
from benchmark.views import PlainViews
from builders.photos import PhotoSet
from tests.support.scoring import as_rows, toy_encoder

TASKS = all_tasks()
PHOTOS = PhotoSet.of_bytes("set", dict.fromkeys("abcd", b"x"), list("xyxy"), ["train", "train", "val", "val"])
KNN, JPEG = TASKS["knn/original"], TASKS["knn/jpeg"]
BOTH = Pass(PlainViews(), (KNN, JPEG))
LAYER = Output("layers[1]:mean", 1, 12, "block", "mean", 2, "by hooks")


def toy(name="a", **more):
    return toy_encoder(as_rows, more.pop("preprocess", lambda image: image), 4, name=name, **more)


def run_of(encoder, output=None, **more):
    state = EncoderRun({})
    return OutputRun(encoder, state, state, output, None, **more)


class Entry:
    """A cache entry of one task."""

    def __init__(self, name, stored):
        self.name, self.is_stored = name, stored

    def load(self):
        scores = (Score(self.name, "", "accuracy", 0.5, 0.4, 0.6, 4, 0.5),)
        return TaskOutcome(scores, {"same": np.ones(2)}) if self.is_stored else None


@pytest.fixture
def world(monkeypatch, tmp_path):
    """A bank and cached outcomes by hand."""
    w = SimpleNamespace(
        options=RunOptions(cache=tmp_path), complete=True, failed={}, stored={"knn/original", "knn/jpeg"}
    )
    w.answers, w.looked_up, w.looked, w.ranks = None, [], [], {}

    class Bank:
        names = ("original",)

        @property
        def complete(self):
            return w.complete

        def failures(self):
            return w.failed

        def source_jpeg(self):
            return {"4:2:0": 2}

    class Paths:
        def key(self, encoder):
            return {"of": encoder.info.id}

        def look(self, encoder, views, output=None):
            w.looked.append((encoder.info.id, list(views), output))
            return Bank()

    def outcomes(how, usable, photos, tasks, options, of_ranks):
        assert (photos, options) == (PHOTOS, w.options)
        w.looked_up.append((how, usable.tolist(), [task.name for task in tasks], of_ranks))
        return {task.name: Entry(task.name, task.name in w.stored) for task in tasks}

    monkeypatch.setattr(module, "cached_outcomes", outcomes)
    monkeypatch.setattr(module, "pass_answers", lambda *given: w.answers)
    w.paths = Paths()
    w.all_cached = lambda run: module._all_cached(run, w.paths, PHOTOS, BOTH, w.options, w.ranks)
    w.to_run = lambda run: [task.name for task in tasks_to_run(run, w.paths, PHOTOS, BOTH, w.options)]
    return w


def test_all_cached__records_every_outcome_and_reads_no_embedding(world):
    world.failed = {"b": "is empty"}
    world.options = replace(world.options, min_usable=0.5)
    run = run_of(toy(), LAYER)
    assert world.all_cached(run) is True
    state = run.state
    assert [score.task for score in state.scores] == ["knn/original", "knn/jpeg"]
    assert list(state.answers) == ["knn/original/same", "knn/jpeg/same"]
    assert (state.failures, state.source_jpeg) == ({("photo", "b"): "is empty"}, {"4:2:0": 2})
    assert state.seconds == {"knn": 0.0}
    assert world.looked == [("a", ["original"], LAYER)]
    [(how, usable, names, ranks)] = world.looked_up
    assert (usable, names, ranks is world.ranks) == ([True, False, True, True], ["knn/original", "knn/jpeg"], True)
    assert (how.name, how.key, how.device, how.output) == ("a", {"of": "a"}, "cpu", LAYER)


@pytest.mark.parametrize(
    "changed",
    [
        {"stored": {"knn/original"}}, {"complete": False}, {"weights": None}, {"random": True},
        {"failed": {"b": "the file cannot be read (Input/output error)"}},  # a disk that may give it the next time
        {"failed": {"b": "is empty"}},  # one of two train photos is too few
        {"failed": dict.fromkeys("abcd", "is empty")},
        {"failed": {"b": "preprocessing failed (ValueError: tired)"}, "share": 0.0},  # the encoder's own failure
        {"answers": SimpleNamespace(complete=lambda: False)},
        {"before": {("encoder", "a"): "it gave up"}},
    ],
)  # fmt: skip
def test_all_cached__else_nothing_is_recorded(world, changed):
    changed = dict(changed)
    world.options = replace(world.options, min_usable=changed.pop("share", 0.9))
    run = run_of(replace(toy(weights=changed.pop("weights", "0" * 64)), random=changed.pop("random", False)))
    run.state.failures.update(before := changed.pop("before", {}))
    vars(world).update(changed)
    assert world.all_cached(run) is False
    assert (run.state.scores, run.state.answers, run.state.failures, run.state.source_jpeg) == ([], {}, before, {})


def test_tasks_to_run__those_without_an_outcome(world):
    world.stored = {"knn/jpeg"}
    world.failed = {"b": "is empty"}
    run = run_of(toy(), LAYER)
    assert world.to_run(run) == ["knn/original"]
    assert world.looked == [("a", ["original"], LAYER)]
    [(how, usable, names, ranks)] = world.looked_up
    assert (usable, names, dict(ranks)) == ([True, False, True, True], ["knn/original", "knn/jpeg"], {})
    assert (how.key, how.output) == ({"of": "a"}, LAYER)
    assert run.state == EncoderRun({})
    both = ["knn/original", "knn/jpeg"]
    for other, changed in (
        (run, {"options": replace(world.options, fresh=True)}),
        (run_of(toy(weights=None)), {}),
        (run, {"failed": {"b": "the file cannot be read (Input/output error)"}}),
    ):
        before = dict(vars(world))
        vars(world).update(changed)
        assert world.to_run(other) == both
        vars(world).update(before)
    world.stored = set(both)
    assert world.to_run(run) == []


def test_tasks_to_run__of_a_file_only_what_it_can_answer(world, monkeypatch):
    run = run_of(replace(toy(), stored=SimpleNamespace(detector=None, answers_only=False)))
    monkeypatch.setattr(module, "narrowed_pass", lambda *given: None)
    assert (world.to_run(run), world.looked) == ([], [])
    monkeypatch.setattr(module, "narrowed_pass", lambda *given: Pass(PlainViews(), (JPEG,)))
    world.stored = set()
    assert world.to_run(run) == ["knn/jpeg"]


def computation(run):
    return module._computation(run, SimpleNamespace(key=lambda encoder: {"of": encoder.info.id, "bank": 1}))


def test_computation__what_tasks_on_one_output_read():
    detector, embeddings, only = (
        SimpleNamespace(detector=d, answers_only=a)
        for d, a in ((SimpleNamespace(), False), (None, False), (None, True))
    )
    source, model = SimpleNamespace(), AnsweringModel(SimpleNamespace(), SimpleNamespace())
    key, eraser = {"of": "a", "bank": 1}, SimpleNamespace(sha256="e5")
    plain = Computation("a", key, "mps")
    a = toy(device="mps")
    erased = replace(plain, key={**key, "eraser": "e5"}, eraser=eraser)
    assert computation(run_of(a)) == plain
    assert computation(run_of(a, eraser=eraser)) == erased
    assert computation(run_of(toy(device="mps", weights=None), eraser=eraser)).key is None
    assert computation(run_of(replace(a, random=True))).key is None
    assert computation(run_of(a, LAYER)) == replace(plain, output=LAYER)
    assert computation(run_of(replace(a, stored=detector))) == replace(plain, given=detector)
    assert computation(run_of(replace(a, stored=embeddings))) == plain
    assert computation(run_of(replace(a, stored=only))) == replace(plain, has_embeddings=False)
    assert computation(run_of(replace(a, answers=source))) == replace(plain, reads_answers=True)
    assert computation(run_of(replace(a, answers=source), LAYER)) == replace(plain, output=LAYER)
    assert computation(run_of(replace(a, answers=model))) == plain  # it has not answered yet
    banks = SimpleNamespace()
    assert computation(run_of(replace(a, answers=model), answers=banks)) == replace(
        plain, answers=banks, reads_answers=True
    )


def test_jobs__are_given_the_size_of_the_input_and_the_answers(monkeypatch):
    calls = []
    monkeypatch.setattr(module, "jobs_on", lambda *given, **named: calls.append((given, named)) or ["jobs"])
    options, bank, ranks = RunOptions(), SimpleNamespace(), {}
    paths = SimpleNamespace(key=lambda encoder: {"k": 1})
    source = SimpleNamespace()
    encoder = toy(preprocess=lambda image: np.zeros((7, 9, 3), np.uint8), answers=source)
    run = run_of(encoder)
    assert module._jobs(run, bank, paths, PHOTOS, BOTH, options, ranks, single=True) == ["jobs"]
    filled = replace(run, answers=SimpleNamespace(source=lambda: "of banks"))
    module._jobs(filled, bank, paths, PHOTOS, BOTH, options, ranks, single=False)
    how = Computation("a", {"k": 1}, "cpu", (7, 9), source=source, reads_answers=True)
    given = (bank, how, PHOTOS, BOTH.tasks, options, run.state, ranks)
    assert calls[0] == (given, {"single": True})
    assert (calls[1][0][1], calls[1][1]) == (replace(how, source="of banks", answers=filled.answers), {"single": False})


def test_input_size__of_pictures_alone():
    seen = []

    def preprocess(shape, dtype):
        def of(image):
            seen.append((image.size, image.mode, image.getpixel((0, 0))))
            return np.zeros(shape, dtype)

        return toy(preprocess=of)

    assert input_size(preprocess((7, 9, 3), np.uint8)) == (7, 9)
    assert input_size(preprocess((7, 9, 3), np.float32)) is None
    assert input_size(preprocess((7, 9), np.uint8)) is None
    assert set(seen) == {((512, 512), "RGB", (128, 128, 128))}
    assert input_size(toy(preprocess=lambda image: image.none)) is None


def test_cached_outcome__its_key_is_complete(tmp_path, monkeypatch):
    versions = {"numpy": "1", "scipy": "2", "torch": "3"}
    monkeypatch.setattr(tasks_run, "library_version", versions.get)
    options, usable = RunOptions(cache=tmp_path, neighbours=3), np.array([True, False, True, True])
    entry = cached_outcome(KNN, PHOTOS, usable, {"bank": 1}, options, "cuda:1", None)
    key = {
        "task": "knn/original",
        "bank": {"bank": 1},
        "views": KNN.recipe(PHOTOS, options).view_keys(),
        "question": PHOTOS.question_hash(),
        "usable": hashlib.sha256(bytes([0b10110000])).hexdigest()[:32],
        "options": options_key(options, PHOTOS),
        "device": "cuda",
        "code": code_hash(),
        "libraries": {**versions, "numba": ""},
    }
    assert entry == CachedOutcome(tmp_path / "outcomes" / key_hash(key), key)
    assert entry.parts == entry.folder / "parts"
    of_layer = cached_outcome(KNN, PHOTOS, usable, {"bank": 1}, options, "cpu", LAYER)
    assert of_layer.key == {**key, "device": "cpu", "output": {"name": "layers[1]:mean", "read": "by hooks"}}
    assert of_layer == outcome_entry(tmp_path, of_layer.key)
    assert cached_outcome(replace(KNN, title="mine"), PHOTOS, usable, {}, options, "cpu", None) is None
    assert cached_outcome(replace(KNN, name="knn/mine"), PHOTOS, usable, {}, options, "cpu", None) is None


def test_outcome__is_as_it_was_saved(tmp_path, capsys):
    entry = CachedOutcome(tmp_path / "o", {"b": 1, "a": 2})
    outcome = TaskOutcome((Score("t", "", "m", 0.5, 0.4, 0.6, 4, 0.5, {"k": 3}),), {"same": np.arange(3)})
    assert (entry.load(), entry.is_stored) == (None, False)
    entry.parts.mkdir(parents=True)
    entry.save(outcome)
    assert (entry.is_stored, entry.parts.exists()) == (True, False)
    assert (entry.folder / "key.json").read_text() == json.dumps({"a": 2, "b": 1}, indent=2) + "\n"
    loaded = entry.load()
    assert (loaded.scores, list(loaded.answers)) == (outcome.scores, ["same"])
    np.testing.assert_array_equal(loaded.answers["same"], [0, 1, 2])
    assert capsys.readouterr().err == ""
    (entry.folder / "outcome.npz").write_bytes(b"no archive")
    assert entry.load() is None
    first, *more = capsys.readouterr().err.splitlines()
    assert first.startswith(f"camtrace: warning: {entry.folder}: not whole (")
    assert (first.endswith("); made again"), more) == (True, [])
    entry.forget()
    assert not entry.folder.exists()
    (tmp_path / "file").write_text("")
    CachedOutcome(tmp_path / "file" / "o", {}).save(outcome)
    printed = capsys.readouterr().err
    assert printed == f"camtrace: warning: {tmp_path / 'file' / 'o'}: cannot be written (Not a directory)\n"


def test_outcome__its_last_use_is_recorded(tmp_path):
    entry = CachedOutcome(tmp_path / "o", {})
    entry.save(TaskOutcome(()))
    os.utime(entry.folder, (1, 1))
    assert entry.load() == TaskOutcome((), {})
    assert entry.folder.stat().st_mtime > 1e9


@pytest.mark.parametrize(
    ("photos", "views", "dimension", "device", "expected"),
    [
        (2**10, 2**6, 2**10, "cpu", True), (2**10 + 1, 2**6, 2**10, "cpu", False), (1, 1, 1, "cuda", False),
        (1, 2**16, 2**10, "cpu", True), (1, 2**16 + 1, 2**10, "cpu", False), (1, 1, 2**26 + 1, "cpu", False),
    ],
)  # fmt: skip
def test_run_side_by_side__up_to_256_mib_on_a_processor(photos, views, dimension, device, expected):
    assert run_side_by_side(range(photos), views, dimension, device) is expected
