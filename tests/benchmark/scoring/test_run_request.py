"""A request carried out with loading and scoring by hand: rows, failures, crashes, finished results and records."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.options import RunOptions
from benchmark.results import Failure, Result, Score
from benchmark.scoring import (
    EncoderSource,
    Log,
    Request,
    Scored,
    any_answers,
    open_sets,
    run_request,
    runner,
    with_semantics,
)
from benchmark.scoring.request import refuse_repeated_names
from benchmark.tasks import all_tasks
from builders.errors import DataError, UsageError
from builders.photos import PhotoSet
from tests.support.scoring import as_rows, toy_encoder


def photos(name="one"):
    ids = dict.fromkeys(map(str, range(8)), b"x")
    return PhotoSet.of_bytes(name, ids, [f"c{i % 2}" for i in range(8)], ["train"] * 4 + ["val"] * 4)


def scored_of(name, data, failures=(), scores=True):
    score = Score("knn/original", data, "accuracy", 0.5, 0.4, 0.6, 4, 0.5)
    failed = tuple(Failure(kind, "x", reason) for kind, reason in failures)
    encoder = {"id": name, "weights_sha256": "0" * 64, "preprocessing": {}, "pooling": "none"}
    data = {"name": data, "photos": {"train": 4, "val": 4}}
    cost = {"seconds": {}, "views": 0}
    result = Result(
        encoder, data, {"device": "cpu"}, (score,) if scores else (), failed, cost, "2026-01-01T00:00:00+00:00"
    )
    return Scored(result, {"photo-set/splits": np.zeros(8, np.int8)})


@pytest.fixture
def world(monkeypatch, tmp_path):
    """Runs a request; what each encoder gives is in ``outcomes`` by name, or by (name, set)."""
    world = SimpleNamespace(
        outcomes={}, loading={}, calls=[], lines=[], failed=[], scored=[], finished={}, identified=True
    )
    world.options = RunOptions(cache=tmp_path / "cache", workers=0)

    def source(name):
        def load(*, before_conversion):
            problem = world.loading.get(name)
            if isinstance(problem, Exception):
                raise problem
            weights = f"{name:0>64}" if world.identified else None
            encoder = toy_encoder(as_rows, lambda image: image, 4, name=problem or name, weights=weights)
            return dataclasses.replace(encoder, notices=(f"{name} is read",))

        return EncoderSource(load, name)

    def score_encoders(encoders, photos, tasks, options, **named):
        names = [encoder.info.id for encoder in encoders]
        world.calls.append((names, photos.name, named))
        made = []
        for name in names:
            outcome = world.outcomes.get((name, photos.name), world.outcomes.get(name, ()))
            if isinstance(outcome, Exception):
                raise outcome
            made.append(scored_of(name, photos.name, *outcome))
        return made

    monkeypatch.setattr(runner, "score_encoders", score_encoders)
    monkeypatch.setattr(
        runner,
        "finished_result",
        lambda output, encoder, opened, *_: world.finished.get((encoder.info.id, opened.photos.name)),
    )

    def run(*names, data=None, **more):
        sources = {name: source(name) for name in names}
        request = Request(sources, data or [photos()], ["knn/original"], world.options, **more)
        world.calls.clear()
        for listed in (world.lines, world.failed, world.scored):
            listed.clear()
        log = Log(warning=world.lines.append, info=world.lines.append, debug=world.lines.append)
        return run_request(request, scored=world.scored.append, failed=world.failed.append, log=log)

    world.run = run
    return world


def test_request__single_and_groups():
    def request(encoders, data, together=None):
        return Request(dict.fromkeys(encoders), data, (), RunOptions(), together=together)

    assert [request(*given).single for given in (("a", ["x"]), ("ab", ["x"]), ("a", ["x", "y"]), ("a", ["x"], 1))] == [
        True, False, False, False,
    ]  # fmt: skip
    assert request("ab", []).groups() == [["a", "b"]]
    assert request("abc", [], 2).groups() == [["a", "b"], ["c"]]
    assert [any_answers(specs) for specs in ([], [None], ["a", "vlm:x"], ["answers:f"], ["a/vlm:x"])] == [
        False, False, True, True, False,
    ]  # fmt: skip


def test_refuse_repeated_names__names_the_first():
    refuse_repeated_names(["a", "b"], "sets", "r")
    with pytest.raises(UsageError, match="results"):
        refuse_repeated_names(["a", "b", "c", "b", "c", "c"], "sets", "r")


def test_open_sets__outputs_bring_plain_knn_and_limits_hold():
    tasks = [all_tasks()["probe/jpeg"]]
    assert [task.name for task in with_semantics(tasks, photos())] == ["probe/jpeg", "knn/original"]
    plain = [all_tasks()["knn/original"], *tasks]
    assert with_semantics(plain, photos()) == plain
    unlabelled = PhotoSet.of_bytes("u", dict.fromkeys("abcd", b"x"), None, ["train", "train", "val", "val"])
    assert with_semantics(tasks, unlabelled) == tasks
    [opened] = open_sets([photos()], ["knn/jpeg"], RunOptions(outputs=("layers",), limit=4))
    assert ([task.name for task in opened.tasks], len(opened.photos), opened.spec) == (
        ["knn/jpeg", "knn/original"],
        4,
        None,
    )
    [opened] = open_sets([photos()], ["knn/jpeg"], RunOptions())
    assert ([task.name for task in opened.tasks], len(opened.photos)) == (["knn/jpeg"], 8)
    unfit = []
    with pytest.raises(DataError, match="one"):
        open_sets(
            [photos("one"), photos("two")], ["retrieval/pairs"], RunOptions(), unfit=lambda *given: unfit.append(given)
        )
    assert unfit == []
