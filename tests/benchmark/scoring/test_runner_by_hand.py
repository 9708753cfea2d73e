"""A run of a request by hand: what each part is given, which views are begun early, and every line that is logged."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmark.erasing import Erasing
from benchmark.options import RunOptions
from benchmark.scoring import EncoderSource, Log, Request, run_request, runner
from benchmark.scoring.reproduce import Invocation
from benchmark.scoring.tasks_run import NO_OUTCOMES
from benchmark.tasks import all_tasks
from builders.errors import DataError, EncoderError
from builders.photos import PhotoSet
from tests.support.scoring import as_rows, toy_encoder

KNN = all_tasks()["knn/original"]


def photo_set(name):
    ids = dict.fromkeys(map(str, range(8)), b"x")
    return PhotoSet.of_bytes(name, ids, [f"c{i % 2}" for i in range(8)], ["train"] * 4 + ["val"] * 4)


def toy(name="a", **info):
    encoder = toy_encoder(as_rows, lambda image: image, 4, name=name)
    return replace(encoder, info=replace(encoder.info, **info))


@pytest.fixture
def world(monkeypatch, tmp_path):
    """Notes of every call; encoders by name, results by hand."""
    w = SimpleNamespace(notes=[], lines=[], encoders={}, compiling=False, begins=False, leaks=None, embedded=True)
    w.options = RunOptions(cache=tmp_path / "cache", workers=0, memory=7, verify_bytes=True)
    w.sets = [photo_set("one"), photo_set("two")]

    def note(name, outcome=None, *, module=runner):
        def call(*given, **how):
            w.notes.append((name, given, how))
            return outcome(*given, **how) if callable(outcome) else outcome

        monkeypatch.setattr(module, name, call)

    def source(name):
        def load(*, before_conversion):
            encoder = w.encoders.get(name, toy(name))
            if w.begins:
                before_conversion(encoder)
            return encoder

        return EncoderSource(load, name)

    def score(encoders, photos, tasks, options, **how):
        if w.embedded:
            how["on_embedded"](encoders)
        return [SimpleNamespace(result=f"result of {e.info.id} on {photos.name}") for e in encoders]

    def write(self, name, encoder, opened, scored):
        w.notes.append(("write", name, encoder.info.id, opened.photos.name, scored.result))
        return SimpleNamespace(reason="", result=scored.result)

    def leaks(erasing, photos):
        if photos.name == w.leaks:
            raise DataError(f"{photos.name}: the fit has seen it")

    note("score_encoders", score)
    note("PhotoHashes", lambda photos, *given, **how: f"hashes of {photos.name}")
    note("begin_first_views")
    note("begin_next_views")
    note("check_eraser")
    note("refuse_leaks", leaks)
    note("memory_budget", lambda size: contextlib.nullcontext())
    note("finished_result")
    note("write_state")
    monkeypatch.setattr(runner, "engine_being_compiled", lambda: w.compiling)
    monkeypatch.setattr(runner._Run, "_write", write)

    def run(*names, sets=2, **more):
        request = Request({name: source(name) for name in names}, w.sets[:sets], ["knn/original"], w.options, **more)
        w.notes.clear()
        w.lines.clear()
        log = Log(*(lambda line, level=level: w.lines.append((level, line)) for level in ("warning", "info", "debug")))
        return run_request(request, log=log)

    w.run = run
    w.steps = lambda *names: [step for step in w.notes if step[0] in names]
    return w


def test_run__what_each_set_is_scored_with(world):
    outcome = world.run("a", "b")
    scored = world.steps("score_encoders")
    assert [(([e.info.id for e in given[0]]), *given[1:]) for _, given, _ in scored] == [
        (["a", "b"], photos, (KNN,), world.options) for photos in world.sets
    ]
    for at, (_, _, how) in enumerate(scored):
        assert how.pop("hashes") == f"hashes of {world.sets[at].name}"
        how["log"]("a line")
        assert world.lines[-1] == ("info", "a line")
        assert (how["eraser"], how["outcomes"]) == (None, NO_OUTCOMES)
    assert scored[0][2]["prefetch"] is scored[1][2]["prefetch"]
    assert world.steps("PhotoHashes") == [
        ("PhotoHashes", (photos, world.options.cache), {"verify": True}) for photos in world.sets
    ]
    assert [step[1:] for step in world.steps("write")] == [
        (name, name, data, f"result of {name} on {data}") for data in ("one", "two") for name in "ab"
    ]
    assert world.steps("memory_budget") == [("memory_budget", (7,), {})]
    assert world.steps("finished_result", "write_state", "check_eraser", "refuse_leaks", "begin_first_views") == []
    assert outcome.results == [f"result of {name} on {data}" for data in ("one", "two") for name in "ab"]


def test_run__views_of_the_next_set(world):
    world.run("a", "b")
    [(_, given, how)] = world.steps("begin_next_views")
    prefetch, encoders, hashes, first, options = given
    assert (prefetch, how) == (world.steps("score_encoders")[0][2]["prefetch"], {})
    assert ([e.info.id for e in encoders], hashes, options) == (["a", "b"], "hashes of two", world.options)
    assert ([task.name for task in first.tasks], first.recipe) == (["knn/original"], KNN.recipe(world.sets[1], options))
    world.run("a", together=1)
    assert world.steps("begin_next_views") == []
    world.run("a", sets=1)
    assert world.steps("begin_next_views") == []


@pytest.mark.parametrize(
    ("names", "compiling", "more", "begins"),
    [
        ("a", False, {}, True), ("a", True, {}, False), ("ab", False, {}, False), ("a", False, {"together": 1}, False),
        ("a", False, {"erasing": Erasing("place", SimpleNamespace(), None)}, False),
    ],
)  # fmt: skip
def test_run__views_before_another_runtime_is_tried(world, names, compiling, more, begins):
    world.begins, world.compiling = True, compiling
    world.run(*names, **more)
    begun = world.steps("begin_first_views")
    assert len(begun) == begins
    assert len(world.steps("memory_budget")) == 1 + begins
    if begins:
        prefetch, encoders, paths, photos, first, options = begun[0][1]
        assert prefetch is world.steps("score_encoders")[0][2]["prefetch"]
        assert ([e.info.id for e in encoders], paths, photos, options) == (["a"], None, world.sets[0], world.options)
        assert [task.name for task in first.tasks] == ["knn/original"]
        assert world.steps("memory_budget")[0] == ("memory_budget", (7,), {})


def test_run__an_eraser_is_checked_against_encoder_and_photos(world):
    made = SimpleNamespace()
    erasing, world.leaks = Erasing("place", made, None), "two"
    outcome = world.run("a", erasing=erasing)
    [(_, (eraser, encoder), _)] = world.steps("check_eraser")
    assert (eraser, encoder.info.id) == (made, "a")
    assert world.steps("refuse_leaks") == [("refuse_leaks", (erasing, photos), {}) for photos in world.sets]
    assert [how["eraser"] for _, _, how in world.steps("score_encoders")] == [made]
    assert [(one.name, one.reason) for one in outcome.failed] == [("two", "two: the fit has seen it")]
    assert outcome.rows[1].reason == "two: the fit has seen it"


def test_run__lines_of_each_level(world, monkeypatch):
    monkeypatch.setattr(runner, "cells_text", lambda photos: f"cells of {photos.name}\n2 x 3")
    world.encoders = {
        "a": replace(toy("a", library="timm", revision="abc"), notices=("it is assumed",)),
        "b": replace(toy("b", weights_sha256=None, pooling="mean"), dtype="bfloat16", device="cuda:1"),
        "c": toy("a", library="timm", revision="abc"),
    }
    world.run("a", "b", "c")
    weights = "weights 000000000000"
    assert world.lines[:8] == [
        ("info", "cells of one"), ("info", "2 x 3"), ("info", "cells of two"), ("info", "2 x 3"),
        ("info", "camtrace: it is assumed"),
        ("debug", f"a: timm, abc, {weights}, 4 numbers, none; on cpu in float32"),
        ("debug", "b: callable, weights not identified, 4 numbers, mean; on cuda:1 in bfloat16"),
        ("debug", f"a: timm, abc, {weights}, 4 numbers, none; on cpu in float32"),
    ]  # fmt: skip
    assert world.lines[8][0] == "warning"
    assert world.lines[8][1] == "c is the encoder of a, weight for weight: it is scored once, as a"


def test_sweep__looks_for_finished_results_and_writes_its_state(world, tmp_path):
    out = tmp_path / "out"
    world.run("a", "b", sets=1, together=1, output=out)
    finished = world.steps("finished_result")
    assert [(given[0], given[1].info.id, given[2].photos, *given[3:]) for _, given, _ in finished] == [
        (out, name, world.sets[0], "hashes of one", world.options) for name in "ab"
    ]
    states = world.steps("write_state")
    assert [(len(given[0]), given[1]) for _, given, _ in states] == [(2, out)] * 2  # the same list, which grows
    world.run("a", sets=1, output=out)
    assert world.steps("finished_result", "write_state") == []
    world.run("a", sets=1, together=1)
    assert world.steps("finished_result", "write_state") == []
    world.options = replace(world.options, fresh=True)
    world.run("a", sets=1, together=1, output=out)
    assert (world.steps("finished_result"), len(world.steps("write_state"))) == ([], 1)


def test_write__what_the_command_is_made_of(monkeypatch, world, tmp_path):
    monkeypatch.undo()
    calls = []
    monkeypatch.setattr(runner, "reproduce_command", lambda *given: calls.append(("command", *given)) or "COMMAND")
    monkeypatch.setattr(
        runner, "recorded", lambda result, command: calls.append(("recorded", result, command)) or result
    )
    monkeypatch.setattr(runner, "write_scored", lambda *given, **how: calls.append(("write", *given, how)) or given[1])
    erasing = Erasing("place", SimpleNamespace(), None)
    request = Request(
        {"a": EncoderSource(None, "spec of a")}, ["folder:x"], ("knn/*",), world.options, True, erasing, tmp_path
    )
    scored_now = []
    run = runner._Run(request, [], None, scored_now.append, Log())
    result = SimpleNamespace(scores=("s",), failures=())
    opened = SimpleNamespace(photos=world.sets[0], spec="folder:x")
    encoder = toy("a")
    scored = runner.Scored(result, {"answers": 1}, world.sets[0])
    invocation = Invocation("spec of a", "folder:x", ("knn/*",), True, erasing)
    row = run._write("a", encoder, opened, scored)
    assert calls == [
        ("command", invocation, encoder.info, world.sets[0], world.options),
        ("recorded", result, "COMMAND"),
        ("write", scored, tmp_path, {"single": True}),
    ]
    assert (vars(row), scored_now) == (
        {"spec": "a", "data": "one", "state": "scored", "reason": "", "folder": ".", "result": result}, [scored],
    )  # fmt: skip


def test_load__errors_of_a_check_of_the_eraser_cost_the_encoder(world, monkeypatch):
    def refuse(eraser, encoder):
        raise EncoderError(f"{encoder.info.id}: fitted on another")

    monkeypatch.setattr(runner, "check_eraser", refuse)
    outcome = world.run("a", erasing=Erasing("place", SimpleNamespace(), None))
    assert [(row.spec, row.data, row.state, row.reason) for row in outcome.rows] == [
        ("a", "one", "failed", "a: fitted on another"), ("a", "two", "failed", "a: fitted on another"),
    ]  # fmt: skip
    assert world.steps("score_encoders", "memory_budget") == [("memory_budget", (7,), {})]
