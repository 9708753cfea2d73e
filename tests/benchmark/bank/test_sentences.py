"""Every sentence of gates, forward passes and answers, and the rows that a forward pass writes, by hand."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmark.bank import gates
from benchmark.bank.fill import batches
from benchmark.bank.fill.answers import PhotoInputs, Query, _Fitting
from benchmark.bank.fill.batches import Embedded, Gathered, embed_gathered
from benchmark.bank.fill.members import EncoderState, PassMember
from benchmark.bank.gates import PrecisionVerdict, RuntimeVerdict
from benchmark.encoders import COMPLEX, Runtime
from benchmark.options import RunOptions
from builders.errors import DataError, EncoderError
from builders.photos import PhotoSet
from tests.support.scoring import as_rows, toy_encoder

PHOTOS = PhotoSet.of_bytes("set", dict.fromkeys("abcd", b"x"))
NAMES = ("jpeg-q75-420", "jpeg-q95-444", "resizing-x2")
RECIPE = SimpleNamespace(names=NAMES)


def toy(name="toy", **more):
    return toy_encoder(as_rows, lambda image: image, 2, name=name, **more)


@pytest.fixture
def gate(monkeypatch):
    """Embeddings of both encoders, [views, photos, 2]; calls of what embeds."""
    w = SimpleNamespace(calls=[], recipe=RECIPE)
    w.exact = np.array([[[1.0, 0.0]] * 2, [[0.8, 0.6]] * 2, [[0.0, 1.0]] * 2])
    w.lower = w.exact.copy()

    def both(exact, lower, sample, recipe, options, workers=None):
        w.calls.append((exact.info.id, lower.info.id, len(sample), recipe, workers))
        if isinstance(w.exact, Exception):
            raise w.exact
        return w.exact, w.lower

    monkeypatch.setattr(gates, "embedded_by_both", both)
    monkeypatch.setattr(gates, "all_views", lambda photos, options: w.recipe)
    w.precision = lambda encoder, **options: gates._compare_precisions(encoder, PHOTOS, RunOptions(**options))
    w.runtime = lambda count=4: gates._compare_sample(
        toy(runtime=Runtime("openvino", "1")), toy("torch"), PHOTOS, count, RunOptions()
    )
    return w


REMEDY = "use float32, or --force-dtype to run all the same"


def test_precision__what_cannot_be_judged(gate):
    low = toy(dtype="bfloat16")
    gate.recipe = SimpleNamespace(names=NAMES[:1])
    stored = "set holds photos that are processed already, no two ways of one parameter"
    assert gate.precision(low) == PrecisionVerdict(False, f"toy in bfloat16 cannot be judged: {stored}; {REMEDY}")
    gate.recipe = RECIPE
    reason = "{} cannot be judged: it cannot be loaded in float32; " + REMEDY
    assert gate.precision(low, storage="float16") == PrecisionVerdict(
        False, reason.format("toy in bfloat16 and float16 on disk")
    )
    still = dataclasses.replace(low, in_float32=lambda: toy(dtype="tf32"))
    assert gate.precision(still) == PrecisionVerdict(False, reason.format("toy in bfloat16"))
    assert gate.calls == []


def test_precision__of_computing_and_of_storage(gate):
    low = toy("low", dtype="bfloat16", in_float32=lambda: toy("exact"))
    verdict = gate.precision(low)
    assert (verdict.passed, verdict.reason, verdict.ratio, verdict.noise, verdict.photos) == (True, "", None, 0.0, 2)
    assert (verdict.pair, verdict.trace) == (NAMES[:2], pytest.approx(np.sqrt(0.4)))
    gate.precision(toy(), storage="float16")
    assert gate.calls == [("exact", "low", 4, RECIPE, None), ("toy", "toy", 4, RECIPE, None)]
    gate.lower = np.where(gate.exact == 0, 0.1, gate.exact)
    verdict = gate.precision(low)
    noise = float(np.linalg.norm(np.array([1, 0.1]) / np.sqrt(1.01) - np.array([1.0, 0.0])))
    trace = np.sqrt(0.4)
    assert verdict.passed is False
    assert verdict.reason == (
        f"low in bfloat16 is not precise enough on set: rounding moves an embedding by {noise:.2g}, jpeg-q75-420 "
        f"against jpeg-q95-444 by {trace:.2g} (ratio {trace / noise:.2g}, 10 is needed); {REMEDY}"
    )
    assert verdict.ratio == pytest.approx(trace / noise)
    gate.lower = gate.exact * 1e6
    assert gate.precision(low).passed is True
    gate.lower = np.where(gate.exact == 1, np.inf, gate.exact)
    sentence = "toy in float16 on disk gives embeddings that are not finite; use float32"
    assert gate.precision(toy(), storage="float16") == PrecisionVerdict(False, sentence)


def test_runtime__every_verdict(gate):
    verdict = gate.runtime()
    assert (verdict.passed, verdict.reason, verdict.relative_error, verdict.photos) == (True, "", 0.0, 2)
    assert gate.runtime(1).pair == NAMES[:2]
    assert gate.calls == [("torch", "toy", 4, RECIPE, 0), ("torch", "toy", 1, RECIPE, 0)]
    gate.lower = gate.exact + np.array([0.0, 5e-6])
    verdict = gate.runtime()
    assert verdict.passed is True
    assert 0 < verdict.relative_error < 1e-5
    gate.lower = gate.exact * 1.5
    verdict = gate.runtime()
    assert (verdict.passed, verdict.photos, verdict.ratio) == (False, 2, None)
    assert verdict.reason.startswith("toy by openvino on set is not what torch computes: relative error ")
    assert verdict.reason.endswith(f", at most {gates.LARGEST_ERROR:g} is allowed")
    gate.recipe, gate.lower = SimpleNamespace(names=NAMES[:1]), gate.exact
    assert gate.runtime() == RuntimeVerdict(True, "", photos=2)
    gate.exact = DataError("set: none of 4 sampled photos can be used")
    assert gate.runtime() == RuntimeVerdict(
        False,
        "toy by openvino on set cannot be compared with torch: set: none of 4 sampled photos can be used",
    )


def test_runtime__not_as_precise_as_torch(gate, monkeypatch):
    monkeypatch.setattr(gates, "LARGEST_ERROR", 10.0)
    gate.lower = np.where(gate.exact == 0, 0.1, gate.exact)
    noise = float(np.linalg.norm(np.array([1, 0.1]) / np.sqrt(1.01) - np.array([1.0, 0.0])))
    trace = np.sqrt(0.4)
    assert gate.runtime().reason == (
        f"toy by openvino on set is not as precise as torch: it moves an embedding by {noise:.2g}, jpeg-q75-420 "
        f"against jpeg-q95-444 by {trace:.2g} (ratio {trace / noise:.2g}, 10 is needed)"
    )


class Store:
    """Rows that were written: (view, first photo, embeddings)."""

    dim = 2

    def __init__(self):
        self.rows = []

    def write_rows(self, name, start, embeddings):
        self.rows.append((name, start, embeddings.tolist()))


def state_of(embed=as_rows, **more):
    encoder = dataclasses.replace(toy(**more), embed=embed)
    return EncoderState(encoder, Store(), 64)


def test_state__at_the_beginning_of_a_pass():
    state = state_of()
    assert (state.failure, state.views, state.begun_s, state.waited_s, state.patches) == ("", 0, 0.0, 0.0, None)
    assert (state.embed.views, state.embed.name) == (64, "toy")


def test_write__rows_of_consecutive_photos_by_view():
    state = state_of()
    numbers = torch.arange(16.0).reshape(8, 2)  # four photos x two views
    batches._write(Embedded(state, ("a", "b"), (3, 4, 6, 9), lambda: numbers))
    assert state.store.rows == [
        ("a", 3, [[0, 1], [4, 5]]), ("b", 3, [[2, 3], [6, 7]]), ("a", 6, [[8, 9]]), ("b", 6, [[10, 11]]),
        ("a", 9, [[12, 13]]), ("b", 9, [[14, 15]]),
    ]  # fmt: skip
    assert (state.views, state.failure) == (8, "")


@pytest.mark.parametrize(
    ("embeddings", "sentence"),
    [
        (torch.zeros(2, 3), "toy: gave embeddings of shape (2, 3), expected (2, 2)"),
        (torch.zeros(1, 2), "toy: gave embeddings of shape (1, 2), expected (2, 2)"),
        (torch.zeros(2, 2, dtype=torch.complex64), f"toy: {COMPLEX}"),
        (torch.tensor([[0.0, 1.0], [np.nan, 0.0]]), "toy: gave embeddings that are not finite (try --dtype float32)"),
        (torch.full((2, 2), np.inf), "toy: gave embeddings that are not finite (try --dtype float32)"),
        (ValueError("odd"), "toy: failed on a batch of 2 views (ValueError: odd)"),
        (EncoderError("toy: no memory"), "toy: no memory"),
    ],
)
def test_write__what_is_no_embedding_is_the_encoders_failure(embeddings, sentence):
    state, good = state_of(), state_of(name="good")

    def wait():
        if isinstance(embeddings, Exception):
            raise embeddings
        return embeddings

    fine = torch.zeros(2, 2)
    batches._write_all([Embedded(state, ("a",), (0, 1), wait), Embedded(good, ("a",), (0, 1), lambda: fine)])
    assert (state.failure, state.store.rows, state.views) == (sentence, [], 0)
    assert (good.failure, good.views) == ("", 2)
    batches._write_all([Embedded(state, ("a",), (0, 1), lambda: fine)])  # it is not written any more
    assert state.store.rows == []


class Rows:
    """The thread that writes, by hand."""

    def __init__(self):
        self.started = []

    def submit(self, call, started, written):
        assert call is batches._write_all
        self.started += started


def embedded(*members, indices=(0, 1), views=None):
    views = torch.arange(8.0).reshape(4, 2) if views is None else views  # two photos x two views
    rows = Rows()
    gathered = [Gathered((), lambda: torch.empty(0)), Gathered(indices, lambda: views)]
    embed_gathered(members, ("a", "b"), gathered, rows)
    return rows.started, views


def test_embed_gathered__the_views_that_each_encoder_lacks():
    seen = []

    def embed(batch):
        seen.append(batch.clone())
        return as_rows(batch.zero_())

    states = [state_of(embed), state_of(embed), state_of(embed), state_of(embed)]
    states[3].failure = "before"
    members = [
        PassMember(states[0], 1, (), ("a", "b")), PassMember(states[1], 1, (), ("b",)),
        PassMember(states[2], 1, (), ()), PassMember(states[3], 1, (), ("a",)), PassMember(states[2], 0, (), ("a",)),
    ]  # fmt: skip
    started, views = embedded(*members)
    assert [(one.state, one.wanted, one.indices) for one in started] == [
        (states[0], ("a", "b"), (0, 1)), (states[1], ("b",), (0, 1)),
    ]  # fmt: skip
    assert [batch.tolist() for batch in seen] == [[[0, 1], [2, 3], [4, 5], [6, 7]], [[2, 3], [6, 7]]]
    assert views.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]  # what encoders share is not written into
    assert [one.embeddings().tolist() for one in started] == [[[0, 0]] * 4, [[0, 0]] * 2]


def test_embed_gathered__a_function_that_raises():
    def odd(batch):
        raise KeyError("odd")

    def no_memory(batch):
        raise EncoderError("toy: no memory")

    states = [state_of(odd), state_of(no_memory)]
    started, _ = embedded(*(PassMember(state, 1, (), ("a",)) for state in states))
    assert started == []
    assert [state.failure for state in states] == [
        "toy: failed on a batch of 2 views (KeyError: 'odd')", "toy: no memory",
    ]  # fmt: skip


def inputs(*batches_of):
    put = SimpleNamespace(columns=slice(0, 2))
    return PhotoInputs(0, [([Query(view, put) for view in names], list(names)) for names in batches_of])


def model(logits):
    return SimpleNamespace(identity={"id": "vlm:x"}, logits=logits)


def test_fitting__rows_by_view_and_errors_of_the_library():
    second = SimpleNamespace(columns=slice(2, 3))
    given = inputs(("a", "b"))
    given.batches.append(([Query("a", second)], ["more"]))
    answers = {"a": [1.0, 2.0], "b": [1.0, 2.0], "more": [7.0]}
    fits = _Fitting(model(lambda prepared: [np.array(answers[name]) for name in prepared]), 8)
    rows = fits.rows(given, 4, lambda: None)
    assert {name: row.tolist() for name, row in rows.items()} == {"a": [[1, 2, 7, 0]], "b": [[1, 2, 0, 0]]}
    assert rows["a"].dtype == np.float32

    def raising(error):
        def logits(prepared):
            raise error

        return logits

    for error, sentence in (
        (ValueError("odd"), "vlm:x: cannot answer (ValueError: odd)"),
        (EncoderError("vlm:x: refused"), "vlm:x: refused"),
    ):
        with pytest.raises(EncoderError) as refused:
            _Fitting(model(raising(error)), 8).rows(inputs(("a",)), 2, lambda: None)
        assert str(refused.value) == sentence
    with pytest.raises(EncoderError) as refused:
        _Fitting(model(lambda prepared: [np.array([np.nan, 0.0])]), 8).rows(inputs(("a",)), 2, lambda: None)
    assert str(refused.value) == "vlm:x: gave logits that are not finite (try --dtype float32)"


def test_fitting__halves_until_memory_holds_it(capsys):
    def logits(prepared):
        if len(prepared) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return [np.array([1.0, 2.0]) for _ in prepared]

    fits, made = _Fitting(model(logits), 9), []
    assert fits.batch == 8

    def again():
        made.append(fits.batch)
        names = "abcdefgh"
        return inputs(*(tuple(names[i : i + fits.batch]) for i in range(0, 8, fits.batch)))

    assert len(fits.rows(inputs(tuple("abcdefgh")), 2, again)) == 8
    assert made == [4, 2]
    assert capsys.readouterr().err == (
        "camtrace: vlm:x: 8 pictures do not fit, 4 at a time now\n"
        "camtrace: vlm:x: 4 pictures do not fit, 2 at a time now\n"
    )
    assert [_Fitting(None, batch).batch for batch in (1, 2, 3, 64)] == [1, 2, 2, 64]
    made.clear()
    fits.batch = 1
    fits.rows(inputs(tuple("abcd")), 2, lambda: made.append(1) or inputs(*"abcd"))  # prepared before
    assert (made, fits.batch, capsys.readouterr().err) == ([1], 1, "")

    def never(prepared):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(EncoderError) as refused:
        _Fitting(model(never), 1).rows(inputs(("a",)), 2, lambda: None)
    assert str(refused.value) == (
        "vlm:x: the memory does not hold one picture and its question; use another --device, another --dtype or a "
        "smaller model"
    )
