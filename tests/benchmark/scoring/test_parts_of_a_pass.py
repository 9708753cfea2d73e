"""Parts of a pass, each by hand: files of embeddings, outputs, what the pass is given, and views begun early."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest

from benchmark.bank import PassCost
from benchmark.encoders import Output, Pixels
from benchmark.options import RunOptions
from benchmark.scoring import passes as module
from benchmark.scoring.collect import EncoderRun, OutputCollected
from benchmark.scoring.passes import (
    OutputRun,
    Pass,
    begin_first_views,
    begin_next_views,
    embed_pass,
    filled_from_file,
    joined,
    layers_of,
    narrowed_pass,
    output_runs_of,
)
from benchmark.scoring.tasks_run import NO_OUTCOMES
from benchmark.tasks import all_tasks
from benchmark.views import ProcessingViews
from builders.errors import DataError, EncoderError, UsageError
from builders.photos import PhotoSet
from builders.pixels.parameters import PROCESSINGS
from tests.support.scoring import as_rows, toy_encoder

TASKS = all_tasks()
PHOTOS = PhotoSet.of_bytes("set", dict.fromkeys("abcd", b"x"), list("xyxy"), ["train", "train", "val", "val"])
NAMES = tuple(PROCESSINGS)[:3]


def task(name, recipe):
    return replace(TASKS["knn/original"], name=name, recipe=lambda photos, options: recipe)


ONE, TWO = task("knn/original", ProcessingViews(NAMES[:2])), task("knn/jpeg", ProcessingViews(NAMES[1:]))
BOTH = Pass(ProcessingViews(NAMES), (ONE, TWO))


def toy(name="a", **more):
    return toy_encoder(as_rows, more.pop("preprocess", lambda image: image), 4, name=name, **more)


LAYERS = tuple(Output(f"layers[{i}]:mean", i, 12, "block", "mean", d, "by hooks") for i, d in ((1, 2), (3, 5)))


def layered_of(encoder):
    together = replace(encoder, info=replace(encoder.info, dimension=11))
    columns = {LAYERS[0].name: slice(4, 6), LAYERS[1].name: slice(6, 11)}
    return SimpleNamespace(encoder=encoder, outputs=LAYERS, together=together, columns=lambda: columns)


def run_of(encoder, **more):
    state = EncoderRun({})
    return OutputRun(encoder, state, more.pop("encoder_state", state), more.pop("output", None), None, **more)


@pytest.mark.parametrize(
    ("answers", "held", "expected"),
    [
        ({"knn/original", "knn/jpeg"}, {"knn/original": NAMES[:1], "knn/jpeg": NAMES[1:]}, (NAMES, (ONE, TWO))),
        ({"knn/jpeg"}, {"knn/original": NAMES[:1], "knn/jpeg": NAMES[2:]}, (NAMES[2:], (TWO,))),
        (set(), {}, None),
    ],
)
def test_narrowed_pass__the_views_and_tasks_of_a_file(monkeypatch, answers, held, expected):
    encoder, options = toy(), RunOptions()

    def able(given, one, photos, chosen):
        assert (given, photos, chosen) == (encoder, PHOTOS, options)
        return one.name in answers

    monkeypatch.setattr(module, "can_answer", able)
    monkeypatch.setattr(module, "held_views", lambda given, one, photos, chosen: list(held[one.name]))
    part = narrowed_pass(BOTH, encoder, PHOTOS, options)
    assert (None if part is None else (part.recipe.names, part.tasks)) == expected


def test_filled_from_file__cost_or_reason(monkeypatch):
    encoder, clock = replace(toy(), stored=SimpleNamespace()), iter([10.0, 12.5, 20.0, 21.0])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    costs = []
    monkeypatch.setattr(module, "record_pass", lambda *given: costs.append(given))
    state, bank = EncoderRun({}), SimpleNamespace()
    for written, photos in ((7, 4), (0, 0)):
        count = partial(lambda number, *given: number * (given == (encoder.stored, PHOTOS, bank)), written)
        monkeypatch.setattr(module, "fill_from_file", count)
        assert filled_from_file(encoder, state, bank, PHOTOS) is True
        assert costs.pop()[:2] == (PassCost(photos, written, 2.5 if written else 1.0, 0.0, 0.0, 0.0), 1)

    def refuse(*given):
        raise EncoderError("a: no embedding of b")

    monkeypatch.setattr(module, "fill_from_file", refuse)
    monkeypatch.setattr(module.time, "perf_counter", lambda: 0.0)
    assert filled_from_file(encoder, state, bank, PHOTOS) is False
    assert (state.failures, costs) == ({("encoder", "a"): "a: no embedding of b"}, [])


def test_layers_of__of_each_encoder_or_why_not(monkeypatch):
    encoders, states = [toy("a"), toy("b")], [EncoderRun({}), EncoderRun({})]
    assert layers_of(encoders, RunOptions(), states, SimpleNamespace()) == [None, None]

    def outputs(encoder, requested):
        assert requested == ("layers",)
        if encoder.info.id == "b":
            raise UsageError("b: has no layers")
        return layered_of(encoder)

    monkeypatch.setattr(module, "with_outputs", outputs)
    options = RunOptions(outputs=("layers",))
    first, second = layers_of(encoders, options, states, None)
    assert (first.encoder, second) == (encoders[0], None)
    assert [(name, one.output) for name, one in states[0].outputs.items()] == [(o.name, o) for o in LAYERS]
    assert (states[0].failures, states[1].failures) == ({}, {("encoder", "b"): "b: has no layers"})
    assert states[1].outputs == {}
    with pytest.raises(UsageError, match=r"^b: has no layers$"):
        layers_of(encoders[1:], options, [EncoderRun({})], None)
    sentence = "an eraser is fitted to an embedding: --eraser and --outputs do not go together"
    with pytest.raises(UsageError) as refused:
        layers_of(encoders[:1], options, [EncoderRun({})], SimpleNamespace())
    assert str(refused.value) == sentence


def test_output_runs_of__the_embedding_first_and_erased_alone():
    encoder, eraser, state = toy(), SimpleNamespace(), EncoderRun({})
    assert output_runs_of(encoder, state, None, eraser) == [OutputRun(encoder, state, state, None, None, eraser)]
    layered = layered_of(encoder)
    state.outputs = {
        output.name: OutputCollected(output, EncoderRun({name: 1.0})) for name, output in zip("xy", LAYERS, strict=True)
    }
    final, *layers = output_runs_of(encoder, state, layered, eraser)
    assert final == OutputRun(encoder, state, state, None, layered, eraser)
    assert final.state is final.encoder_state is state
    assert [(one.output, one.state.seconds, one.eraser, one.layered) for one in layers] == [
        (LAYERS[0], {"x": 1.0}, None, layered), (LAYERS[1], {"y": 1.0}, None, layered),
    ]  # fmt: skip
    assert all(one.encoder_state is state and one.encoder is encoder for one in layers)


def test_joined__one_bank_or_the_columns_of_several():
    encoder, state = toy(), EncoderRun({})
    layered = layered_of(encoder)
    final, first, second = (OutputRun(encoder, state, state, o, layered) for o in (None, *LAYERS))
    banks = [SimpleNamespace(name=i) for i in range(3)]
    assert joined([replace(final, layered=None)], banks[:1]) == (encoder, banks[0])
    assert joined([final], banks[:1]) == (encoder, banks[0])
    together, bank = joined([final, first, second], banks)
    assert together is layered.together
    assert (bank.banks, bank.columns, bank.dim) == (tuple(banks), (slice(0, 4), slice(4, 6), slice(6, 11)), 11)
    _, bank = joined([second], banks[2:])
    assert (bank.banks, bank.columns, bank.dim) == ((banks[2],), (slice(6, 11),), 11)


@pytest.fixture
def world(monkeypatch, tmp_path):
    """A pass whose banks, filling and jobs are by hand; what is done is noted."""
    notes = []
    w = SimpleNamespace(notes=notes, options=RunOptions(cache=tmp_path, workers=3, batch_size=5, views="cpu"))
    w.cached, w.failures, w.filled, w.lines = set(), {}, True, []
    w.hashes = SimpleNamespace(photos=PHOTOS, learn=lambda index, digest: None)

    class Paths:
        unread = False

        def open(self, encoder, views, fresh, output=None):
            notes.append(("open", encoder.info.id, list(views), list(fresh), output and output.name))
            return f"bank {encoder.info.id} {output and output.name}"

        def require_space(self, members, views, log):
            log("space")
            notes.append(("space", [(e.info.id, o and o.name) for e, o in members], list(views)))

        def settle(self, members, views):
            notes.append(("settle", [(e.info.id, o and o.name) for e, o in members], list(views)))
            return [f"settled {e.info.id}" for e, o in members]

    def fill(devices, photos, recipe, encoders, banks, **named):
        assert named.pop("learn") is w.hashes.learn
        notes.append(("fill", tuple(devices), photos, recipe.names, [e.info.id for e in encoders], list(banks), named))
        w.dimensions = [encoder.info.dimension for encoder in encoders]
        cost = PassCost(4, 8, 1.0, 0.0, 0.0, 0.0)
        return SimpleNamespace(failures=w.failures, cost_of=lambda i: replace(cost, views=10 + i))

    def jobs(output_run, bank, paths, photos, view_pass, options, outcomes, *, single):
        assert (paths, photos, options, outcomes) == (w.paths, PHOTOS, w.options, NO_OUTCOMES)
        at = output_run.output.name if output_run.output else ""
        notes.append(
            ("jobs", output_run.encoder.info.id + at, bank, view_pass.recipe.names, output_run.answers, single)
        )
        return [(output_run.encoder.info.id + at, output_run.state)]

    def answers(encoder, recipe, tasks, paths, photos, options):
        assert (recipe, tasks, paths, photos, options) == (BOTH.recipe, BOTH.tasks, w.paths, PHOTOS, w.options)
        return f"answers of {encoder.info.id}"

    def recorded(answers, tasks, state, log):
        assert (tasks, log) == (BOTH.tasks, w.lines.append)
        return f"filled {answers}"

    w.paths = Paths()
    monkeypatch.setattr(module, "_all_cached", lambda run, *given: run.encoder.info.id in w.cached)
    monkeypatch.setattr(module, "fill_banks_on", fill)
    monkeypatch.setattr(module, "_jobs", jobs)
    monkeypatch.setattr(module, "pass_answers", answers)
    monkeypatch.setattr(module, "fill_and_record", recorded)
    monkeypatch.setattr(module, "filled_from_file", lambda encoder, state, bank, photos: w.filled)
    monkeypatch.setattr(module, "narrowed_pass", lambda view_pass, *_: Pass(BOTH.recipe.only(NAMES[:1]), (ONE,)))
    ahead = w.ahead = SimpleNamespace()
    w.lines = SimpleNamespace(append=lambda line: None)

    def embed(*runs, fresh=()):
        notes.clear()
        done = embed_pass(list(runs), w.paths, w.hashes, BOTH, fresh, w.options, w.lines.append, ahead, NO_OUTCOMES)
        return [name for name, _ in done]

    w.embed = embed
    return w


def filling(*names, banks, label, devices=("auto",)):
    how = {"batch_size": 5, "workers": 3, "views": "cpu", "label": label}
    return ("fill", devices, PHOTOS, NAMES, list(names), list(banks), how)


def test_embed_pass__one_encoder(world):
    run = run_of(toy())
    assert world.embed(run, fresh=NAMES[:1]) == ["a"]
    fill = world.notes[2]
    assert fill[-1].pop("ahead") is world.ahead
    assert world.notes == [
        ("space", [("a", None)], list(NAMES)),
        ("open", "a", list(NAMES), list(NAMES[:1]), None),
        filling("a", banks=["bank a None"], label="a on set"),
        ("jobs", "a", "bank a None", NAMES, "filled answers of a", True),
    ]
    assert (run.state.views, run.state.encoders_in_pass) == (10, 1)


def test_embed_pass__two_encoders_one_of_which_fails_and_photos_that_were_not_read(world):
    first, second = run_of(toy("a")), run_of(toy("b"))
    world.failures, world.paths.unread = {0: "a: ran out of memory"}, True
    world.cached = {"a", "b"}  # not looked up: the bytes are not known
    assert world.embed(first, second) == ["b"]
    assert world.notes[3][-1].pop("ahead") is world.ahead
    assert world.notes[3:] == [
        filling("a", "b", banks=["bank a None", "bank b None"], label="2 encoders on set"),
        ("settle", [("a", None), ("b", None)], list(NAMES)),
        ("jobs", "b", "settled b", NAMES, "filled answers of b", False),
    ]
    assert (first.state.failures, second.state.failures) == ({("encoder", "a"): "a: ran out of memory"}, {})
    assert [(run.state.views, run.state.encoders_in_pass) for run in (first, second)] == [(10, 2), (11, 2)]


def test_embed_pass__outputs_of_one_encoder_are_one_member(world):
    encoder = toy()
    layered, state = layered_of(encoder), EncoderRun({})
    runs = [
        OutputRun(encoder, state, state, None, layered), OutputRun(encoder, EncoderRun({}), state, LAYERS[1], layered)
    ]  # fmt: skip
    assert world.embed(*runs) == ["a", "alayers[3]:mean"]
    assert world.dimensions == [11]
    assert world.notes[3][-1]["label"] == "a on set"
    assert [note for note in world.notes if note[0] == "jobs"] == [
        ("jobs", "a", "bank a None", NAMES, "filled answers of a", True),
        ("jobs", "alayers[3]:mean", "bank a layers[3]:mean", NAMES, "filled None", True),
    ]
    assert (state.views, state.encoders_in_pass, runs[1].state.views) == (10, 1, 0)  # the pass is counted once


def test_embed_pass__cached_outcomes_need_no_bank_unless_all_is_made_again(world):
    world.cached = {"a"}
    assert world.embed(run_of(toy("a"))) == []
    assert world.notes == []
    assert world.embed(run_of(toy("a")), run_of(toy("b"))) == ["b"]
    assert world.notes[-1] == ("jobs", "b", "bank b None", NAMES, "filled answers of b", True)
    world.options = replace(world.options, fresh=True)
    assert world.embed(run_of(toy("a")), run_of(toy("b"))) == ["a", "b"]


def test_embed_pass__files_of_embeddings_fill_their_own_banks(world):
    stored = run_of(replace(toy("f"), stored=SimpleNamespace()))
    assert world.embed(stored, fresh=NAMES[:1]) == ["f"]
    assert world.notes == [
        ("space", [("f", None)], [NAMES[0]]),
        ("open", "f", [NAMES[0]], [NAMES[0]], None),
        ("jobs", "f", "bank f None", NAMES[:1], None, True),
    ]
    assert world.embed(run_of(toy("a")), stored) == ["f", "a"]
    assert [note[-1] for note in world.notes if note[0] == "jobs"] == [False, False]
    assert world.notes[3][:2] == ("space", [("a", None)])
    assert world.notes[5][-1]["label"] == "a on set"
    world.filled = False
    assert world.embed(stored) == []


class Bank:
    """A bank with blocks that some views lack."""

    def __init__(self, lacks=frozenset({0, 1}), complete=True, failed=()):
        self.lacks, self.complete, self.failed, self.blocks = lacks, complete, dict(failed), (0, 1)

    def missing(self, name):
        return self.lacks if name == NAMES[1] else {0, 1}

    def failures(self):
        return self.failed


EASY = Pixels(())
ON_CPU = {"workers": 2, "device": "cpu", "batch_size": 5, "views": "cpu"}


@pytest.mark.parametrize(
    ("encoder", "options", "bank", "begins"),
    [
        ({}, {}, Bank(), True),
        ({}, {}, Bank({0}), False),  # a part is there
        ({"device": "mps"}, {}, Bank(), False),
        ({"stored": SimpleNamespace()}, {}, Bank(), False),
        ({"preprocess": lambda image: image}, {}, Bank(), False),
        ({}, {"workers": 0}, Bank(), False),
        ({}, {"outputs": ("layers",)}, Bank(), False),
        ({}, {"device": "cpu,cpu"}, Bank(), False),
        ({}, {}, DataError("cannot be read"), False),
    ],
)
def test_begin_first_views__only_where_it_is_certain_which(monkeypatch, encoder, options, bank, begins):
    begun, looked = [], []

    def look(given, views):
        looked.append((given.info.id, list(views)))
        if isinstance(bank, Exception):
            raise bank
        return bank

    monkeypatch.setattr(module, "begin_views", lambda *given, **how: begun.append((given, how)))
    monkeypatch.setattr(module, "named_devices", lambda device: tuple(device.split(",")))
    encoders = [toy("a", preprocess=EASY), toy("b", **{"preprocess": EASY, **encoder})]
    chosen, ahead = RunOptions(**{**ON_CPU, **options}), SimpleNamespace()
    how = {"batch_size": 5, "workers": 2, "views": "cpu"}
    expected = [((ahead, PHOTOS, BOTH.recipe, encoders), how)] if begins else []
    begin_first_views(ahead, encoders, SimpleNamespace(look=look), PHOTOS, BOTH, chosen)
    assert begun == expected
    if begins:
        assert looked == [("a", list(NAMES)), ("b", list(NAMES))]
    if isinstance(bank, Bank) and bank.lacks != {0}:
        begun.clear()
        begin_first_views(ahead, encoders, None, PHOTOS, BOTH, chosen)  # before the banks' keys are known
        assert begun == expected


@pytest.mark.parametrize(
    ("weights", "hashed_in_pass", "earlier", "begins"),
    [
        ("0" * 64, False, None, True), (None, False, None, False),
        ("0" * 64, True, None, False), ("0" * 64, False, "unread 1", False),
    ],
)  # fmt: skip
def test_begin_next_views__where_banks_can_be_looked_up(
    monkeypatch, tmp_path, weights, hashed_in_pass, earlier, begins
):
    begun, made = [], []

    class Paths:
        def __init__(self, *given):
            made.append(given)
            self.earlier = earlier

    monkeypatch.setattr(module, "BankPaths", Paths)
    monkeypatch.setattr(module, "begin_first_views", lambda *given: begun.append(given))
    options, ahead = RunOptions(cache=tmp_path), SimpleNamespace()
    hashes = SimpleNamespace(hashed_in_pass=hashed_in_pass, photos=PHOTOS)
    encoders = [toy("a"), toy("b", weights=weights)]
    begin_next_views(ahead, encoders, hashes, BOTH, options)
    assert len(begun) == begins
    if begins:
        assert made == [(hashes, options, tmp_path)]
        assert (begun[0][:2], type(begun[0][2]), begun[0][3:]) == ((ahead, encoders), Paths, (PHOTOS, BOTH, options))
    begun.clear()
    begin_next_views(ahead, [], hashes, BOTH, options)
    assert begun == []
