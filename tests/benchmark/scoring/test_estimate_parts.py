"""Parts of an estimate by hand: clocks, what passes are measured with, and what a row looks up and checks."""

from __future__ import annotations

import dataclasses
import os
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.bank import OutputsBank, PassCost, bank_key
from benchmark.encoders import Output
from benchmark.options import RunOptions
from benchmark.scoring.answers.times import AnswerTimes
from benchmark.scoring.estimating import clocks, measuring, pass_costs, task_costs
from benchmark.scoring.estimating.clocks import Stopwatch, duration, so_far, summed
from benchmark.scoring.estimating.measuring import _bank, _Measuring, _side_by_side
from benchmark.scoring.estimating.pass_costs import PassTimes, pass_times
from benchmark.scoring.estimating.task_costs import VIEW_SHIFT, MadeUpBank, cost_text, task_times
from benchmark.scoring.trial import Trial
from benchmark.tasks import Cost, Seconds, all_tasks
from benchmark.views import MaskedViews, PlainViews
from builders.errors import EncoderError
from builders.photos import PhotoSet
from tests.support.scoring import as_rows, toy_encoder

TASKS = all_tasks()
LAYER = Output("layers[1]:mean", 1, 12, "block", "mean", 2, "by hooks")


def photo_set(name="set", count=8):
    return PhotoSet.of_bytes(name, dict.fromkeys(map(str, range(count)), b"x"), [f"c{i % 2}" for i in range(count)])


def toy(name="a", **more):
    return toy_encoder(as_rows, lambda image: image, 4, name=name, **more)


def task(name, recipe):
    return dataclasses.replace(TASKS["knn/original"], name=name, recipe=lambda photos, options: recipe)


PLAIN, MASKED = task("knn/original", PlainViews()), task("m", MaskedViews(0.5))


@pytest.fixture
def now(monkeypatch):
    """Seconds of the clock, of the processor and of compiling."""
    at = {"clock": 10.0, "processor": 4.0, "compiling": 1.0}
    monkeypatch.setattr(clocks.time, "perf_counter", lambda: at["clock"])
    monkeypatch.setattr(clocks.time, "process_time", lambda: at["processor"])
    monkeypatch.setattr(clocks, "compiling_s", lambda: at["compiling"])
    return at


def test_stopwatch__both_clocks_without_compiling(now):
    watch = Stopwatch()
    now.update(clock=17.0, processor=9.0, compiling=3.0)
    assert watch.seconds() == Seconds(5.0, 3.0)
    now.update(compiling=7.0)
    assert watch.seconds() == Seconds(1.0, 0.0)
    now.update(compiling=9.0)
    assert watch.seconds() == Seconds(0.0, 0.0)


def test_so_far__processor_seconds_of_this_process_and_its_children(now, monkeypatch):
    times = os.times_result((100.0, 200.0, 7.0, 20.0, 1000.0))
    monkeypatch.setattr(clocks.os, "times", lambda: times)
    assert so_far() == Seconds(30.0, 30.0)
    now["compiling"] = 40.0
    assert so_far() == Seconds(0.0, 0.0)


def test_duration__in_seconds_minutes_or_hours():
    given = (0.0, 9.94, 9.96, 119.4, 120.0, 7199.0, 7200.0, 9001.0)
    assert [duration(seconds) for seconds in given] == [
        "0.0 s", "9.9 s", "10 s", "119 s", "2 min", "120 min", "2.0 h", "2.5 h",
    ]  # fmt: skip
    assert summed([]) == Seconds(0, 0)


@pytest.fixture
def passes(monkeypatch):
    """Calls of what ``pass_times`` measures with; each view of a photo takes 1 s and 2 s, answers 10 s and more."""
    w = SimpleNamespace(choices=[], measured=[], with_answers=[], answers=AnswerTimes(), on_device=None, error=None)

    def choose(mode, recipe, preprocesses, targets, workers):
        w.choices.append((mode, recipe.kind, list(preprocesses), [str(target) for target in targets], workers))
        return type("Choice", (), {"device": w.on_device, "__str__": lambda self: f"made for {recipe.kind}"})()

    def measure(spec, encoder, photos, recipe, options, on_device, count):
        if w.error:
            raise w.error
        w.measured.append((spec, encoder.info.dimension, photos.name, recipe.names, on_device, count))
        seconds = count * len(recipe.names)
        return pass_costs._Rate(Seconds(1.0 * seconds, 0.5 * seconds), Seconds(2.0 * seconds, 3.0 * seconds))

    def answers(encoder, recipe, tasks, photos, options):
        w.with_answers.append((encoder.info.id, recipe.kind, [one.name for one in tasks], photos.name, options))
        return w.answers if recipe.kind == "plain" else AnswerTimes()

    monkeypatch.setattr(pass_costs, "choose_views", choose)
    monkeypatch.setattr(pass_costs, "_measured", measure)
    monkeypatch.setattr(pass_costs, "answer_times", answers)
    w.given = SimpleNamespace(
        photos=photo_set(), tasks=[task("knn/original", PlainViews()), task("m", MaskedViews(0.5))]
    )
    return w


def test_pass_times__each_pass_with_its_answers(passes):
    passes.answers = AnswerTimes(3.0, 10.0, 20.0, 5, 1000, "5 answers")
    options, encoder = RunOptions(workers=2, storage="float16"), toy()
    made = pass_times("spec", encoder, passes.given, options)
    assert passes.choices == [
        ("auto", "plain", [encoder.preprocess], ["cpu"], 2), ("auto", "masked", [encoder.preprocess], ["cpu"], 2),
    ]  # fmt: skip
    assert passes.measured == [
        ("spec", 4, "set", ("original",), False, 8), ("spec", 4, "set", ("whole", "masked", "complement"), False, 8),
    ]  # fmt: skip
    assert passes.with_answers == [
        ("a", "plain", ["knn/original"], "set", options),
        ("a", "masked", ["m"], "set", options),
    ]
    assert made == PassTimes(
        making_s=32.0 + 10, forward_s=64.0 + 23, views=32 + 5, bank_bytes=32 * 4 * 2 + 1000,
        makers=("made for plain", "5 answers", "made for masked"), devices=(), making_processor_s=16.0 + 10,
        forward_processor_s=96.0 + 23, by_device=False, stored_views=0,
    )  # fmt: skip


def test_pass_times__layers_several_devices_and_failures(passes, monkeypatch):
    together = dataclasses.replace(toy(), info=dataclasses.replace(toy().info, dimension=10))
    monkeypatch.setattr(pass_costs, "with_outputs", lambda encoder, outputs: SimpleNamespace(together=together))
    monkeypatch.setattr(pass_costs, "named_devices", lambda device: tuple(device.split(",")))
    monkeypatch.setattr(pass_costs, "workers_each", lambda workers, devices: 100 * workers + devices)
    made = pass_times("spec", toy(), passes.given, RunOptions(workers=2, outputs=("layers",)))
    assert (passes.measured[0][1], made.bank_bytes, made.devices) == (10, 32 * 10 * 4, ())
    assert passes.choices[0][-1] == 201
    again = dataclasses.replace(toy(), reload=lambda **how: None)
    several = RunOptions(workers=2, device="cpu,cpu")
    passes.on_device = "cuda"
    made = pass_times("spec", again, passes.given, several)
    assert (made.devices, passes.choices[-1][-1], made.by_device) == (("cpu", "cpu"), 202, True)
    assert [on_device for *_, on_device, _ in passes.measured[-2:]] == [True, True]
    assert pass_times("spec", toy(), passes.given, several).devices == ()  # it exists in this process alone
    nothing = SimpleNamespace(blocks=(), missing=lambda name: set())
    made = pass_times("spec", again, passes.given, several, lambda recipe: nothing)
    assert (made.devices, made.makers, made.by_device, made.stored_views) == ((), (), False, 32)
    passes.error = EncoderError("it fails")
    assert pass_times("spec", again, passes.given, several) == PassTimes(reason="it fails")


def test_measured__photos_of_all_places_in_random_order(monkeypatch):
    parts = []

    def make(encoder, part, recipe, on_device):
        parts.append(list(part.ids))
        return Seconds(1.0 * len(part), 0.25)

    monkeypatch.setattr(pass_costs, "_make", make)
    monkeypatch.setattr(pass_costs, "_embed", lambda *given: (2.0 * len(given[2]), 0.2))
    photos = photo_set(count=200)
    rate = pass_costs._measured("a", toy(), photos, None, RunOptions(seed=3), False, 400)
    few = photos.limited(96, 3)
    shuffled = few.select(np.random.default_rng(0).permutation(96))
    assert parts == [list(shuffled.ids[:size]) for size in (6, 24, 96)]
    assert rate == pass_costs._Rate(Seconds(400.0, 0.25 * 400 / 96), Seconds(800.0, 0.0))
    parts.clear()
    pass_costs._measured("a", toy(), photo_set(count=4), None, RunOptions(), False, 4)
    assert [len(part) for part in parts] == [4]


def test_make_and_embed__by_the_path_of_the_run(monkeypatch, now):
    streams, fills, photos, recipe, encoder = [], [], photo_set(), PlainViews(), toy()

    def stream(*given, **how):
        streams.append((given, how))
        yield now.update(clock=13.0)

    def fill(given, chosen, encoders, banks, **how):
        fills.append((given, chosen, encoders, banks[0].names, banks[0].key, how))
        now.update(processor=now["processor"] + 2.5)
        return SimpleNamespace(failures=failures, cost=PassCost(8, 8, 9.0, 1.0, 7.0, 0.0))

    failures = {}
    monkeypatch.setattr(pass_costs, "view_stream", stream)
    monkeypatch.setattr(pass_costs, "fill_banks", fill)
    for on_device, mode in ((False, "cpu"), (True, "device")):
        now.update(clock=10.0)
        assert pass_costs._make(encoder, photos, recipe, on_device) == Seconds(3.0, 0.0)
        [(given, how)] = streams
        assert given == (photos, range(8), recipe, [encoder.preprocess])
        assert (how["mode"], [str(target) for target in how["targets"]]) == (mode, ["cpu"])
        streams.clear()
        options = RunOptions(batch_size=5, storage="float16", workers=3)
        assert pass_costs._embed("spec", encoder, photos, recipe, options, on_device) == (7.0, 2.5)
        key = bank_key(encoder.info, "float32", photos, "measured", "float16")
        how = {"batch_size": 5, "workers": 0, "views": mode, "label": "measuring spec"}
        assert fills.pop() == (photos, recipe, [encoder], ("original",), key, how)
    failures = {0: "a: it fails"}
    with pytest.raises(EncoderError, match=r"^a: it fails$"):
        pass_costs._embed("spec", encoder, photos, recipe, RunOptions(), False)


def test_tried__the_checks_of_a_run_in_a_cache_of_their_own(monkeypatch, tmp_path):
    calls = []
    options, encoder = RunOptions(cache=tmp_path / "user"), toy()
    opened = SimpleNamespace(
        photos=photo_set(), tasks=[task("m", MaskedViews(0.5)), task("knn/original", PlainViews())]
    )

    def noted(name, outcome):
        monkeypatch.setattr(measuring, name, lambda *given: (calls.append((name, given)), outcome)[1])

    noted("cached_trials", [Trial("", 3)])
    noted("resolve_runtime", ("by another library", "verdict"))
    noted("check_precision", None)
    made = _Measuring(options, tmp_path / "scratch", {})
    assert made._tried(encoder, opened, "bytes") == "by another library"
    scratch_options = dataclasses.replace(options, cache=tmp_path / "scratch")
    photos = opened.photos
    assert calls == [
        ("cached_trials", ([encoder], photos, "bytes", MaskedViews(0.5), scratch_options)),
        ("resolve_runtime", (encoder, photos, "bytes", scratch_options)),
        ("check_precision", ("by another library", photos, "bytes", scratch_options)),
    ]
    calls.clear()
    stored = dataclasses.replace(encoder, stored=SimpleNamespace())
    assert made._tried(stored, opened, "bytes") is stored
    without = SimpleNamespace(photos=SimpleNamespace(has_pictures=False), tasks=())
    assert made._tried(encoder, without, "bytes") is encoder
    assert calls == []
    noted("cached_trials", [Trial("it breaks", 3, random="it is random")])
    with pytest.raises(EncoderError, match=r"^it breaks$"):
        made._tried(encoder, opened, "bytes")


def test_row__looks_where_the_run_will_look(monkeypatch, tmp_path):
    hashes, paths, passes = [], [], []
    options = RunOptions(cache=tmp_path / "user", verify_bytes=True)
    opened = SimpleNamespace(photos=photo_set(), tasks=[TASKS["knn/original"]])

    def noted(notes):
        return lambda *given, **how: notes.append((given, how)) or SimpleNamespace(bytes_hash="b")

    monkeypatch.setattr(measuring, "PhotoHashes", noted(hashes))
    monkeypatch.setattr(measuring, "BankPaths", noted(paths))
    monkeypatch.setattr(measuring._Measuring, "_tried", lambda self, encoder, opened, bytes_hash: encoder)
    monkeypatch.setattr(measuring, "tasks_to_run", lambda *given: [])
    monkeypatch.setattr(measuring, "pass_times", lambda *given: passes.append(given) or PassTimes())
    made = _Measuring(options, tmp_path / "scratch", {})
    encoder = toy()
    for _ in range(2):
        row = made._row("spec", encoder, opened, Seconds(1.0, 1.0))
    assert hashes == [((opened.photos, options.cache), {"store": False, "verify": True})]  # once for the set
    assert paths == [((made.hashes["set"], options, tmp_path / "scratch"), {})] * 2
    *given, look = passes[0]
    assert given == ["spec", encoder, opened, options]
    assert isinstance(look, partial)
    assert (look.func, look.args[1:]) == (_bank, (encoder, None, options))
    assert (row.cached_tasks, row.load, row.spec, row.data) == (1, Seconds(1.0, 1.0), "spec", "set")


def test_bank__as_it_is_unless_all_of_it_is_made(tmp_path):
    looked = []

    def look(*given):
        looked.append(given)
        return f"bank {len(looked)}"

    paths, encoder, recipe = SimpleNamespace(look=look), toy(), PlainViews()
    views = recipe.view_keys()
    assert _bank(paths, encoder, None, RunOptions(), recipe) == "bank 1"
    layered = SimpleNamespace(outputs=(LAYER,), together=SimpleNamespace(info=SimpleNamespace(dimension=6)))
    assert _bank(paths, encoder, layered, RunOptions(), recipe) == OutputsBank(("bank 2", "bank 3"), (), 6)
    assert looked == [(encoder, views, None), (encoder, views, None), (encoder, views, LAYER)]
    assert _bank(paths, encoder, None, RunOptions(fresh=True), recipe) is None
    assert _bank(paths, toy(weights=None), None, RunOptions(), recipe) is None


def test_side_by_side__a_share_of_the_clock(monkeypatch):
    monkeypatch.setattr(measuring.torch, "get_num_threads", lambda: 4)
    seconds = {"a": Seconds(30.0, 7.0), "b": Seconds(10.0, 8.0)}
    shorter = _side_by_side(seconds, {"x": Cost(5.0), "y": Cost(None)})
    assert shorter == {"a": Seconds(7.5, 7.0), "b": Seconds(2.5, 8.0)}
    longer = _side_by_side(seconds, {"x": Cost(5.0), "y": Cost(20.0)})
    assert longer == {"a": Seconds(15.0, 7.0), "b": Seconds(5.0, 8.0)}
    assert _side_by_side({"a": Seconds(0.0, 1.0)}, {}) == {"a": Seconds(0.0, 1.0)}


def test_made_up_bank__a_direction_of_the_photo_and_one_of_the_view():
    bank, rows = MadeUpBank(5, 16), np.array([3, 0])
    photos = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    shift = np.random.default_rng([*b"jpeg"]).normal(size=16).astype(np.float32)
    expected = photos[rows] / 4 + VIEW_SHIFT * shift / 4
    np.testing.assert_allclose(bank.view("jpeg", rows), expected, rtol=1e-6)
    assert bank.names[0] == "original"


def test_task_times__what_each_task_is_measured_with(monkeypatch):
    """A task that says its own cost is given all photos, and a clock of parts of them."""
    clocked, costs, side = [], [], []
    monkeypatch.setattr(task_costs, "run_side_by_side", lambda *given: side.append(given) or True)

    def clock(one, task_input, *, side_by_side):
        clocked.append((one.name, list(task_input.photos.ids), task_input.brief, task_input.device, side_by_side))
        return Seconds(1.0, 2.0)

    def cost(task_input, dimension, of_part):
        costs.append((len(task_input.photos), dimension, of_part(photos.select(np.arange(3)))))
        return Cost(9.0, "of groups")

    monkeypatch.setattr(task_costs, "_clocked", clock)
    photos, options = photo_set(count=6), RunOptions()
    tasks = [TASKS["knn/original"], dataclasses.replace(TASKS["knn/jpeg"], cost=cost)]
    times = task_times(tasks, photos, 4, options, "mps", brief=True)
    assert side == [(photos, 14, 4, "mps")]
    assert costs == [(6, 4, Seconds(1.0, 2.0))]
    whole = ("knn/original", list(photos.ids), True, "mps", True)
    assert clocked == [whole, whole, ("knn/jpeg", ["0", "1", "2"], True, "mps", True)]
    assert times == {"knn/original": Cost(1.0, processor_s=2.0), "knn/jpeg": Cost(9.0, "of groups")}


def test_clocked__with_one_thread_where_the_run_has_one(monkeypatch):
    pieces = []
    monkeypatch.setattr(task_costs, "parallel_map", lambda work, given: pieces.append([work(piece) for piece in given]))
    one = dataclasses.replace(TASKS["knn/original"], run=lambda task_input: "ran")
    for side_by_side in (True, False):
        task_costs._clocked(one, SimpleNamespace(bank=None), side_by_side=side_by_side)
    assert pieces == [["ran", 0], ["ran"]]


def test_cost_text__what_was_not_measured_has_no_seconds():
    assert cost_text("a", Cost(None, "not measured (no)", 3.0)) == "a: not measured (no)"
    line = "a: 2 groups; 3.0 s of one core, 5.0 MB of memory besides the embeddings"
    assert cost_text("a", Cost(9.0, "2 groups", 3.0, 5_000_000)) == line
