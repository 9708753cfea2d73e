"""A request carried out with loading and scoring by hand: rows, failures, crashes, finished results and records."""

import argparse
import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.compute import EncoderCrash
from benchmark.options import RunOptions
from benchmark.results import Failure, Result, Score, read_result
from benchmark.scoring import (
    ByRanks,
    EncoderSource,
    Log,
    Request,
    Scored,
    any_answers,
    chosen_specs,
    run_request,
    runner,
)
from benchmark.scoring.request import groups_of, open_sets, refuse_repeated_names, with_semantics
from benchmark.tasks import all_tasks
from builders.errors import DataError, EncoderError, UsageError
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


def states(outcome):
    return [(row.spec, row.data, row.state, row.reason, row.folder) for row in outcome.rows]


def test_run__rows_by_set_and_what_is_written(world, tmp_path):
    world.outcomes = {"b": ([("photo", "is empty")],), ("b", "two"): ([("task", "no memory"), ("photo", "lost")],)}
    outcome = world.run("a", "b", data=[photos("one"), photos("two")], output=tmp_path / "out")
    assert states(outcome) == [
        ("a", "one", "scored", "", "a/one"), ("b", "one", "scored", "", "b/one"),
        ("a", "two", "scored", "", "a/two"), ("b", "two", "partial", "no memory", "b/two"),
    ]  # fmt: skip
    assert (outcome.complete, outcome.failed, len(outcome.results), len(world.scored)) == (False, (), 4, 4)
    assert [each.name for each in outcome.photos] == ["one", "two"]
    written = read_result(tmp_path / "out" / "b" / "two" / "result.json")
    assert written.environment["command"].startswith("camtrace score --model b --data folder:PATH --tasks knn/original")
    assert "ranks" not in written.environment
    assert not (tmp_path / "out" / "sweep.json").exists()
    assert {"camtrace: a is read", "camtrace: b is read"} <= set(world.lines)
    alone = world.run("a", output=tmp_path / "single")
    assert (states(alone), alone.complete) == ([("a", "one", "scored", "", ".")], True)
    assert (tmp_path / "single" / "result.json").exists()
    assert [row.folder for row in world.run("a").rows] == [""]


def test_run__an_encoder_that_cannot_be_loaded(world, tmp_path):
    world.loading = {"a": EncoderError("a: no weights")}
    sets = [photos("one"), photos("two")]
    outcome = world.run("a", "b", data=sets)
    lost = [("a", name, "failed", "a: no weights", "") for name in ("one", "two")]
    assert states(outcome) == [*lost, ("b", "one", "scored", "", ""), ("b", "two", "scored", "", "")]
    assert [(f.name, f.reason) for f in outcome.failed] == [("a", "a: no weights")]
    assert list(outcome.failed) == world.failed
    assert not outcome.complete
    world.loading = {"a": ValueError("odd")}
    with pytest.raises(ValueError, match="odd"):
        world.run("a", "b")
    outcome = world.run("a", "b", together=2, output=tmp_path / "out")
    assert [(row.spec, row.state, row.reason) for row in outcome.rows] == [
        ("a", "failed", "ValueError: odd"), ("b", "scored", ""),
    ]  # fmt: skip
    assert world.run("a", together=1, output=tmp_path / "other").results == []
    assert world.calls == []


def test_run__an_encoder_that_ends_its_process_costs_its_own_results(world, tmp_path):
    world.outcomes = {"b": EncoderCrash("b", 9)}
    for more in ({}, {"together": 3, "output": tmp_path / "out"}):
        outcome = world.run("a", "b", "c", **more)
        assert [(row.spec, row.state) for row in outcome.rows] == [("a", "scored"), ("b", "failed"), ("c", "scored")]
        assert [names for names, *_ in world.calls] == [["a", "b", "c"], ["a", "c"]]
        assert [f.name for f in world.failed] == ([] if more else ["b"])
    world.outcomes = {"b": EncoderCrash("unknown", 9)}
    outcome = world.run("a", "b")
    assert [row.state for row in outcome.rows] == ["failed", "failed"]
    assert len(world.calls) == 1


@pytest.mark.parametrize("crashed", ["b", "id of b"])
def test_run__a_crash_is_that_of_an_encoder_by_its_name_or_its_id(world, crashed):
    world.loading, world.outcomes = {"b": "id of b"}, {"id of b": EncoderCrash(crashed, 9)}
    outcome = world.run("a", "b")
    reason = f"{crashed}: its code ended the process (status 9)"
    assert states(outcome) == [("a", "one", "scored", "", ""), ("b", "one", "failed", reason, "")]
    assert [names for names, *_ in world.calls] == [["a", "id of b"], ["a"]]
    assert [(f.name, f.reason) for f in world.failed] == [(crashed, reason)]


def test_run__a_set_that_cannot_be_scored(world):
    world.outcomes = {("a", "one"): DataError("one: no photo")}
    outcome = world.run("a", "b", data=[photos("one"), photos("two")])
    assert [(row.spec, row.data, row.state) for row in outcome.rows] == [
        ("a", "one", "failed"), ("b", "one", "failed"), ("a", "two", "scored"), ("b", "two", "scored"),
    ]  # fmt: skip
    assert [(f.name, f.reason) for f in outcome.failed] == [("one", "one: no photo")]


def test_sweep__groups_states_and_finished_results(world, tmp_path):
    finished = scored_of("b", "one", [("task", "no memory")]).result
    world.finished = {("b", "one"): (tmp_path.relative_to(tmp_path) / "b" / "one", finished)}
    world.outcomes = {"c": ([("task", "odd")], False), "d": ([("photo", "lost")], False)}
    outcome = world.run("a", "b", "c", "d", together=3, output=tmp_path / "out")
    state = "kept"
    assert states(outcome) == [
        ("a", "one", "scored", "", "a/one"), ("b", "one", state, "no memory", "b/one"),
        ("c", "one", "failed", "odd", ""), ("d", "one", "failed", "no task gave a score", ""),
    ]  # fmt: skip
    assert [names for names, *_ in world.calls] == [["a", "c"], ["d"]]
    assert [one.result.encoder["id"] for one in world.scored] == ["a"]
    assert not (tmp_path / "out" / "c").exists()
    assert (tmp_path / "out" / "sweep.json").exists()
    assert {"group 1 of 2: a, b, c", "group 2 of 2: d", f"{state}: b on one ({finished.created})"} <= set(world.lines)
    world.options = dataclasses.replace(world.options, fresh=True)
    world.run("a", "b", together=2, output=tmp_path / "out")
    assert [names for names, *_ in world.calls] == [["a", "b"]]


def test_run__two_encoders_of_one_id(world, tmp_path):
    world.loading = {"a": "same", "b": "same"}
    world.run("a", "b")
    [(names, *_)] = world.calls
    assert [name.partition("+")[0] for name in names] == ["same", "same"]
    assert len(set(names)) == 2
    world.run("a", "b", together=2, output=tmp_path / "out")
    [(names, *_)] = world.calls
    assert (names[0], names[1].partition("+")[0], len(set(names))) == ("same", "same", 2)
    world.identified = False
    with pytest.raises(UsageError, match=r"two encoders are called same, .*: give them as \{name: encoder\}"):
        world.run("a", "b")


def test_run__what_ranks_have_computed(world, tmp_path):
    outcomes = {("key", "knn/original"): SimpleNamespace()}
    by_ranks = ByRanks(outcomes, ({"device": "H100", "host": "h"},))
    outcome = world.run("a", by_ranks=by_ranks, output=tmp_path / "out")
    assert world.calls[0][2]["outcomes"] is outcomes
    assert outcome.results[0].environment["device"] == "H100"
    assert world.scored[0].result is outcome.results[0]
    world.run("a")
    assert (len(world.calls[0][2]["outcomes"]), world.calls[0][2]["eraser"]) == (0, None)


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


def test_groups_of__unknown_encoders_come_last_in_their_order():
    known = ["facebook/dino-vits8", "timm/vit_base_patch16_siglip_256.webli"]
    specs = ["mine:b", known[1], "mine:a", known[0]]
    assert groups_of(specs, 3) == [[known[0], known[1], "mine:b"], ["mine:a"]]
    assert groups_of([], 3) == []


def test_refuse_repeated_names__names_the_first():
    refuse_repeated_names(["a", "b"], "sets", "r")
    with pytest.raises(UsageError, match="two sets are called b, and their results would be mixed up: r"):
        refuse_repeated_names(["a", "b", "c", "b", "c", "c"], "sets", "r")


def test_chosen_specs__of_every_source(tmp_path):
    def specs(**given):
        names = ("model", "models", "published", "modern", "eraser", "revision")
        return chosen_specs(argparse.Namespace(**{**dict.fromkeys(names), **given}))

    assert len(specs(published=True)) == 47
    both = specs(published=True, modern=True)
    assert both[:47] == specs(published=True)
    assert set(both[47:]) <= set(specs(modern=True))
    assert specs(model=["x"], modern=True)[0] == "x"
    for given, sentence in (
        ({}, "which encoders"), ({"model": ["x"], "eraser": "e"}, "--eraser goes with one encoder"),
        ({"model": ["x"], "revision": "r"}, "--revision goes with one encoder; write each as NAME@REVISION"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=sentence):
            specs(**given)


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
