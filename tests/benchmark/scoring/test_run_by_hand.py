"""``score_encoders`` with every step by hand: which steps a run takes, in which order, and what it records."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.options import RunOptions
from benchmark.results import Score
from benchmark.scoring import run as module
from benchmark.scoring.collect import EncoderRun, OutputCollected
from benchmark.scoring.run import score_encoders
from benchmark.scoring.tasks_run import NO_OUTCOMES, Done, Job
from benchmark.scoring.trial import Trial
from benchmark.tasks import TaskInput, TaskOutcome, all_tasks
from benchmark.views import MaskedViews, PlainViews
from builders.errors import DataError, EncoderError
from builders.photos import PhotoSet
from tests.support.scoring import as_rows, toy_encoder

TASKS = all_tasks()
PHOTOS = PhotoSet.of_bytes("set", dict.fromkeys("abcd", b"x"), list("xyxy"), ["train", "train", "val", "val"])


def task(name, recipe, of="knn/original"):
    return replace(TASKS[of], name=name, recipe=lambda photos, options: recipe)


PLAIN, MASKED, SOME = (
    task("knn/original", PlainViews()),
    task("knn/half", MaskedViews(0.5)),
    task("knn/little", MaskedViews(0.1)),
)


def toy(name="a", **more):
    return toy_encoder(as_rows, lambda image: image, 4, name=name, **more)


@pytest.fixture
def world(monkeypatch, tmp_path):
    """Notes each step as (name, what it is given); a test changes what steps give."""
    notes, w = [], SimpleNamespace(options=RunOptions(cache=tmp_path, workers=0, memory=5), earlier=None, trials={})
    w.runtimes, w.gates, w.lacks, w.notes, w.given = {}, {}, {}, notes, {}
    w.answer = lambda name, photos: TaskOutcome(
        (Score(name, "", "accuracy", 0.5, 0.4, 0.6, 4, 0.5),), {"same": np.ones(2)}
    )

    class Watch:
        def record(self, stage, state, encoders=1):
            state.add_seconds(stage, 6.0 / encoders)

    class Paths:
        def __init__(self, hashes, options, scratch, *, at_once):
            w.paths, self.bytes_hash, self.earlier, self.unread = self, "bytes", w.earlier, False
            notes.append(("paths", hashes is w.hashes, options is w.options, scratch.is_dir(), at_once))

        def resume(self, encoders):
            notes.append(("resume", names(encoders)))

    class Hashes:
        read_now = 3

        def close(self):
            notes.append(("closed",))

    class Ahead:
        def close(self):
            notes.append(("views closed",))

    def names(encoders):
        return [encoder.info.id for encoder in encoders]

    def result_or_error(table, name):
        if isinstance(value := table.get(name), Exception):
            raise value
        return value

    def lacks(encoder, tasks, photos, options):
        assert (photos, options) == (PHOTOS, w.options)
        return result_or_error(w.lacks, encoder.info.id) or ""

    def begin(prefetch, encoders, paths, photos, view_pass, options):
        assert (paths, photos, options) == (w.paths, PHOTOS, w.options)
        notes.append(("begin", names(encoders), view_pass.recipe.kind, prefetch))

    def trials(encoders, photos, bytes_hash, recipe, options, *, earlier):
        assert (photos, options) == (PHOTOS, w.options)
        notes.append(("trial", names(encoders), bytes_hash, recipe.kind, earlier))
        return [w.trials.get(name, Trial("", 3)) for name in names(encoders)]

    def runtime(encoder, photos, bytes_hash, options):
        assert (photos, options, bytes_hash) == (PHOTOS, w.options, "bytes")
        notes.append(("runtime", encoder.info.id))
        return encoder, result_or_error(w.runtimes, encoder.info.id)

    def precision(encoder, photos, bytes_hash, options):
        assert (photos, options, bytes_hash) == (PHOTOS, w.options, "bytes")
        notes.append(("gate", encoder.info.id))
        return result_or_error(w.gates, encoder.info.id)

    def embed(output_runs, paths, hashes, view_pass, fresh, options, log, prefetch, outcomes):
        assert (paths, hashes, options, log) == (w.paths, w.hashes, w.options, w.log)
        w.prefetch, w.outcomes = prefetch, outcomes
        runs = [(r.encoder.info.id, r.encoder.random, r.eraser) for r in output_runs]
        notes.append(("embed", runs, [t.name for t in view_pass.tasks], sorted(fresh)))
        bank = SimpleNamespace(names=("x",), dim=1)
        given = TaskInput(PHOTOS, np.ones(4, bool), bank, options, "cpu")
        return [(Job(t, given), r.state) for r in output_runs for t in view_pass.tasks]

    def jobs(listed, *, silent=False):
        notes.append(("jobs", [job.task.name for job in listed], silent))
        return [Done(w.answer(job.task.name, PHOTOS), "", 2.0) for job in listed]

    def result(encoder, photos, bytes_hash, options, state, eraser, *, bytes_read):
        assert (photos, options) == (PHOTOS, w.options)
        notes.append(("result", encoder.info.id, bytes_hash, eraser, bytes_read))
        return state

    for name, step in {
        "Stopwatch": Watch, "BankPaths": Paths, "tasks_without_views": lacks, "begin_first_views": begin,
        "cached_trials": trials, "resolve_runtime": runtime, "check_precision": precision, "embed_pass": embed,
        "run_jobs": jobs, "result_of": result, "Prefetch": Ahead, "PhotoHashes": lambda *of, **how: (
            notes.append(("hashes", of, how)), w.hashes)[1],
        "memory_budget": lambda size: (notes.append(("memory", size)), Ahead())[1],
        "begin_compiling_probes": lambda: notes.append(("compile",)),
        "move_to_host": lambda encoder: notes.append(("host", encoder.info.id)),
        "sweep_scratch": lambda: notes.append(("swept",)),
    }.items():  # fmt: skip
        monkeypatch.setattr(module, name, step)
    Ahead.__enter__ = lambda self: self
    Ahead.__exit__ = lambda self, *error: None
    w.hashes, w.lines = Hashes(), []
    w.log = w.lines.append

    def score(*encoders, tasks=(PLAIN,), photos=PHOTOS, **more):
        notes.clear()
        w.lines.clear()
        named = {"hashes": w.hashes, "log": w.log, **more}
        done = score_encoders(encoders or [toy()], photos, tasks, w.options, **named)
        w.states = [one.result for one in done]
        return done

    w.score = score
    w.steps = lambda *kinds: [note for note in notes if note[0] in kinds]
    return w


def test_score__steps_in_order(world):
    eraser, embedded = SimpleNamespace(), []
    first, second = world.score(toy("a"), toy("b"), tasks=(PLAIN, MASKED), eraser=eraser, on_embedded=embedded.append)
    prefetch = world.notes[3][-1]
    both = [("a", False, eraser), ("b", False, eraser)]
    assert world.notes == [
        ("swept",),
        ("memory", 5),
        ("paths", True, True, True, False),
        ("begin", ["a", "b"], "plain", prefetch),
        ("trial", ["a", "b"], "bytes", "plain", None),
        ("runtime", "a"),
        ("runtime", "b"),
        ("gate", "a"),
        ("gate", "b"),
        ("resume", ["a", "b"]),
        ("embed", both, ["knn/original"], []),
        ("embed", both, ["knn/half"], []),
        ("host", "a"),
        ("host", "b"),
        ("jobs", ["knn/original", "knn/original", "knn/half", "knn/half"], False),
        ("views closed",),
        ("closed",),
        ("result", "a", "bytes", eraser, 3),
        ("result", "b", "bytes", eraser, 3),
    ]
    assert (world.prefetch, world.outcomes) == (prefetch, NO_OUTCOMES)
    assert [[encoder.info.id for encoder in given] for given in embedded] == [["a", "b"]]
    for one in (first, second):
        assert list(one.answers) == ["knn/original/same", "knn/half/same", "photo-set/splits"]
        assert (one.answers["photo-set/splits"].tolist(), one.photos) == ([0, 0, 1, 1], PHOTOS)
        assert one.answers["photo-set/splits"].dtype == np.int8
        assert [score.task for score in one.result.scores] == ["knn/original", "knn/half"]
        assert one.result.seconds == {"checking photos": 6.0, "asking twice": 3.0, "knn": 4.0}


def test_score__without_hashes_of_the_caller_and_with_views_of_the_caller(world):
    world.options = replace(world.options, verify_bytes=True)
    views, outcomes = SimpleNamespace(), {}
    world.score(hashes=None, prefetch=views, outcomes=outcomes)
    assert world.steps("hashes") == [("hashes", (PHOTOS, world.options.cache), {"verify": True})]
    assert world.steps("begin")[0][-1] is world.prefetch is views
    assert world.outcomes is outcomes
    assert world.steps("views closed") == []  # the caller closes them


@pytest.mark.parametrize(
    ("more", "storage", "at_once"),
    [
        ({}, "float32", False), ({}, "float16", True), ({"dtype": "tf32"}, "float32", True),
        ({"in_torch": toy}, "float32", True), ({"stored": SimpleNamespace()}, "float32", True),
    ],
)  # fmt: skip
def test_score__photos_are_read_first_where_checks_need_their_bytes(world, more, storage, at_once):
    world.options = replace(world.options, storage=storage)
    world.score(toy("a"), toy("b", **more))
    assert world.steps("paths")[0][-1] is at_once


def test_score__views_are_begun_unless_a_stopped_run_left_some_or_an_encoder_has_failed(world):
    world.earlier = "unread 1"
    world.score()
    assert world.steps("begin", "trial") == [("trial", ["a"], "bytes", "plain", "unread 1")]
    world.earlier, world.lacks = None, {"b": EncoderError("b: no view")}
    world.score(toy("a"), toy("b"))
    assert world.steps("begin") == []
    assert world.steps("embed")[0][1] == [("a", False, None)]
    world.score(tasks=())
    assert [note[0] for note in world.notes] == [
        "swept", "memory", "paths", "runtime", "gate", "resume", "jobs", "views closed", "closed", "result",
    ]  # fmt: skip


def test_score__what_a_file_lacks_is_logged_or_its_failure(world):
    world.lacks = {"a": "a: left out: probe/jpeg", "b": EncoderError("b: no view")}
    with pytest.raises(EncoderError, match=r"^b: no view$"):
        world.score(toy("b"))
    done = world.score(toy("b"), toy("a"))
    assert world.lines == ["a: left out: probe/jpeg"]
    assert [one.result.failures for one in done] == [{("encoder", "b"): "b: no view"}, {}]
    assert [bool(one.answers) for one in done] == [False, True]
    assert done[0].answers == {}


def test_tried__reasons_and_random_encoders(world):
    world.trials = {"b": Trial("b: broken", 2), "c": Trial("", 3, 0.5, 0.25, "c: run twice")}
    world.score(toy("a"), toy("b"), toy("c"))
    assert [state.failures for state in world.states] == [
        {},
        {("encoder", "b"): "b: broken"},
        {("encoder", "c"): "c: run twice; --allow-random scores it all the same, and the result says so"},
    ]
    assert [state.trial for state in world.states] == [Trial("", 3), world.trials["b"], world.trials["c"]]
    assert [state.seconds["asking twice"] for state in world.states] == [2.0] * 3
    assert world.steps("runtime", "gate", "resume") == [("runtime", "a"), ("gate", "a"), ("resume", ["a"])]
    world.options = replace(world.options, allow_random=True)
    world.score(toy("a"), toy("b"), toy("c"))
    assert world.steps("embed")[0][1] == [("a", False, None), ("c", True, None)]
    assert [state.failures for state in world.states] == [{}, {("encoder", "b"): "b: broken"}, {}]


def test_tried__only_encoders_of_pictures(world):
    stored = SimpleNamespace()
    world.score(toy("a", stored=stored), toy("b"))
    assert world.steps("trial") == [("trial", ["b"], "bytes", "plain", None)]
    assert "asking twice" not in world.states[0].seconds
    world.score(toy("a", stored=stored))
    assert world.steps("trial") == []


def test_with_runtimes__one_that_may_not_be_used(world):
    verdict = SimpleNamespace(passed=True)
    world.runtimes = {"a": EncoderError("a: blurs"), "b": verdict}
    with pytest.raises(EncoderError, match=r"^a: blurs$"):
        world.score(toy("a"))
    world.score(toy("a"), toy("b"), toy("c"))
    first, second, third = world.states
    assert (first.failures, first.runtime) == ({("encoder", "a"): "a: blurs"}, None)
    assert (second.failures, second.runtime, third.runtime) == ({}, verdict, None)
    assert [("comparing with torch" in state.seconds) for state in world.states] == [False, True, False]
    assert world.steps("gate") == [("gate", "b"), ("gate", "c")]


def test_usable__by_the_gate_of_precision(world):
    blurs, fine = SimpleNamespace(passed=False, reason="it blurs"), SimpleNamespace(passed=True, reason="fine")
    for gate, reason in ((blurs, r"^it blurs$"), (DataError("no photo"), r"^no photo$")):
        world.gates = {"a": gate}
        with pytest.raises(EncoderError, match=reason):
            world.score(toy("a"))
    world.gates = {"a": blurs, "b": fine, "c": DataError("no photo")}
    world.score(toy("a"), toy("b"), toy("c"), toy("d"))
    assert [state.failures for state in world.states] == [
        {("encoder", "a"): "it blurs"}, {}, {("encoder", "c"): "no photo"}, {},
    ]  # fmt: skip
    assert [state.gate for state in world.states] == [blurs, fine, None, None]
    assert [("precision gate" in state.seconds) for state in world.states] == [True, True, False, False]
    assert world.steps("resume", "embed") == [
        ("resume", ["b", "d"]),
        ("embed", [("b", False, None), ("d", False, None)], ["knn/original"], []),
    ]
    world.options = replace(world.options, force_dtype=True)
    world.score(toy("a"))
    assert world.states[0].failures == {}
    assert world.steps("resume") == [("resume", ["a"])]


def test_score__without_a_usable_encoder_nothing_is_embedded(world):
    embedded = []
    world.trials = {name: Trial("broken", 1) for name in "ab"}
    world.score(toy("a"), toy("b"), on_embedded=embedded.append)
    assert world.steps("embed", "host", "jobs") == [("jobs", [], False)]
    assert embedded == [[]]


@pytest.mark.parametrize(
    ("protocol", "of", "device", "compiles"),
    [
        ("converged", "probe/jpeg", "cpu", True), ("iccv2025", "probe/jpeg", "cpu", False),
        ("converged", "knn/original", "cpu", False), ("converged", "probe/jpeg", "mps", False),
    ],
)  # fmt: skip
def test_score__probes_are_compiled_while_a_processor_embeds(world, protocol, of, device, compiles):
    world.options = replace(world.options, protocol=protocol)
    world.score(toy(device=device), tasks=(task("knn/original", PlainViews(), of),))
    assert world.steps("compile", "embed")[0][0] == ("compile" if compiles else "embed")
    assert len(world.steps("compile")) == compiles


@pytest.mark.parametrize("fresh", [True, False])
def test_score__views_that_an_earlier_pass_has_made_again_are_not_made_a_third_time(world, fresh):
    world.options = replace(world.options, fresh=fresh)
    world.score(tasks=(MASKED, SOME, PLAIN))
    made = [note[-1] for note in world.steps("embed")]
    assert made == (
        [["complement", "masked", "whole"], ["complement", "masked"], ["original"]] if fresh else [[], [], []]
    )


def test_score__results_are_in_the_order_of_the_passes(world):
    again = task("knn/more", PlainViews())
    [one] = world.score(tasks=(PLAIN, MASKED, again))
    assert [score.task for score in one.result.scores] == ["knn/original", "knn/more", "knn/half"]
    assert list(one.answers)[:3] == ["knn/original/same", "knn/more/same", "knn/half/same"]


def test_run_jobs__layers_after_embeddings_one_after_the_other(world, monkeypatch):
    """The values of an output are dropped once it has been compared with the embedding."""
    output = SimpleNamespace(name="layers[1]:mean")
    states = [EncoderRun({}), EncoderRun({})]
    layer = EncoderRun({})
    states[0].outputs = {output.name: OutputCollected(output, layer)}
    given = TaskInput(PHOTOS, np.ones(4, bool), SimpleNamespace(names=("x",), dim=1), world.options, "cpu")
    compared = []
    monkeypatch.setattr(module, "read_answers", lambda answers, questions: SimpleNamespace(values=sorted(answers)))
    monkeypatch.setattr(
        module,
        "compare_with_embedding",
        lambda state, final: compared.append((state is layer, list(state.answers), final)),
    )
    two = [Job(PLAIN, given), Job(MASKED, given)]
    module._run_jobs([(two[0], layer), (two[0], states[0]), (two[1], layer), (two[1], states[1])], states)
    assert world.notes == [("jobs", ["knn/original", "knn/half"], False), ("jobs", ["knn/original", "knn/half"], True)]
    assert compared == [(True, ["knn/original/same", "knn/half/same"], ["knn/original/same"])]
    assert (layer.answers, len(layer.scores)) == ({}, 2)
    assert [[score.task for score in state.scores] for state in states] == [["knn/original"], ["knn/half"]]
    assert states[0].seconds == {"knn": 2.0, "layers": 4.0}
