"""Rows of an estimate, by measurements by hand: what is loaded, checked, counted once, looked up and noted."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from benchmark.encoders import NO_FILE, CompiledFile, Output
from benchmark.options import RunOptions
from benchmark.scoring.estimating import measuring
from benchmark.scoring.estimating.measuring import _complete_banks, estimate
from benchmark.scoring.estimating.pass_costs import PassTimes
from benchmark.scoring.trial import Trial
from benchmark.tasks import Cost, Seconds, all_tasks
from builders.errors import DataError
from builders.photos import PhotoSet
from tests.support.scoring import as_rows, toy_encoder

TASKS = tuple(all_tasks()[name] for name in ("probe/jpeg", "probe/sharpening", "knn/jpeg"))


def opened(name="one", count=6):
    ids = dict.fromkeys(map(str, range(count)), b"x")
    splits = ["train"] * (count // 2) + ["val"] * (count - count // 2)
    photos = PhotoSet.of_bytes(name, ids, [f"c{i % 2}" for i in range(count)], splits)
    return SimpleNamespace(photos=photos, tasks=TASKS)


@pytest.fixture
def world(monkeypatch, tmp_path):
    """Everything that a row is made of, by hand; a test changes entries."""
    clock = iter(range(1, 10**6))
    known = SimpleNamespace(
        options=RunOptions(cache=tmp_path / "cache"), trial=Trial("", 3), verdict=None, reason="", side_by_side=False,
        compiled=iter([]), left={}, layers=(), costs=[], calls=[], loads=[], looked=[], error=None, weights="0" * 64,
        device="cpu", stored=None,
    )  # fmt: skip

    class Watch:
        def seconds(self):
            return Seconds(float(next(clock)), 0.5)

    def load(spec):
        known.loads.append(spec)
        if known.error is not None:
            raise known.error
        encoder = toy_encoder(as_rows, lambda image: image, 4, name=spec, weights=known.weights, device=known.device)
        return dataclasses.replace(encoder, stored=known.stored)

    def task_times(tasks, photos, dimension, options, device, *, brief, banks):
        known.calls.append(([task.name for task in tasks], photos.name, dimension, device, brief, sorted(banks)))
        return {
            task.name: Cost(10.0 * dimension, "" if at else f"note of {task.name}", 20.0)
            for at, task in enumerate(tasks)
        }

    def tasks_to_run(output_run, paths, photos, planned, options):
        name = output_run.output.name if output_run.output else ""
        return [task for task in planned.tasks if task.name not in known.left.get(name, ())]

    def layers_of(encoders, options, states, eraser):
        if not known.layers:
            return [None]
        outputs = tuple(Output(f"layer {d}", 1, 12, "block", "mean", d, "by hooks") for d in known.layers)
        for output in outputs:
            states[0].outputs[output.name] = SimpleNamespace(state=SimpleNamespace())
        return [SimpleNamespace(encoder=encoders[0], outputs=outputs, together=encoders[0])]

    monkeypatch.setattr(measuring, "Stopwatch", Watch)
    monkeypatch.setattr(measuring, "task_times", task_times)
    monkeypatch.setattr(measuring, "tasks_to_run", tasks_to_run)
    monkeypatch.setattr(measuring, "layers_of", layers_of)
    monkeypatch.setattr(measuring, "compiled_file", lambda encoder: next(known.compiled, NO_FILE))
    monkeypatch.setattr(measuring, "run_side_by_side", lambda *given: known.side_by_side)
    monkeypatch.setattr(measuring, "cached_trials", lambda encoders, *given: [known.trial] * len(encoders))
    monkeypatch.setattr(measuring, "resolve_runtime", lambda encoder, *given: (encoder, None))
    monkeypatch.setattr(measuring, "check_precision", lambda *given: known.verdict)
    monkeypatch.setattr(
        measuring, "pass_times",
        lambda spec, encoder, opened, options, look: PassTimes(views=7, reason=known.reason),
    )  # fmt: skip
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    known.run = lambda *sets, groups=(("a",),): estimate(groups, sets or [opened()], known.options, load)
    return known


def test_row__everything_of_one_encoder(world):
    [row] = world.run()
    assert (row.spec, row.data, row.reason, row.times.views) == ("a", "one", "", 7)
    assert (row.stored, row.on_gpu, row.compiled, row.outputs, row.cached_tasks) == (True, False, NO_FILE, 0, 0)
    assert (row.load, row.trial) == (Seconds(1.0, 0.5), Seconds(2.0, 0.5))
    assert world.calls == [([task.name for task in TASKS], "one", 4, "cpu", False, [])]
    assert row.tasks == {"Processing probes": Seconds(80.0, 40.0), "kNN set-ups": Seconds(40.0, 20.0)}
    assert row.notes == ("probe/jpeg: note of probe/jpeg; 20 s of one core, 0.0 MB of memory besides the embeddings",)
    assert not world.options.cache.exists()


def test_row__an_encoder_that_is_not_identified_on_another_device(world):
    world.weights, world.device = None, "mps"
    [row] = world.run()
    assert (row.stored, row.on_gpu) == (False, True)


def test_row__cached_outcomes_and_layers(world):
    world.layers, world.left = (2, 3), {"": ("probe/jpeg",), "layer 3": tuple(task.name for task in TASKS)}
    [row] = world.run()
    assert (row.outputs, row.cached_tasks) == (2, 1 + 3)
    assert [(names, dimension, brief) for names, _, dimension, _, brief, _ in world.calls] == [
        (["probe/sharpening", "knn/jpeg"], 4, False),
        ([task.name for task in TASKS], 2, True),
        ([], 3, True),
    ]
    assert row.tasks == {"Processing probes": Seconds(40.0 + 40.0, 60.0), "kNN set-ups": Seconds(40.0 + 20.0, 40.0)}
    assert [note.partition(":")[0] for note in row.notes] == ["probe/sharpening"]  # of the embedding alone


def test_row__a_layer_of_the_dimension_of_the_embedding_is_measured_by_itself(world):
    """Tasks on layers are brief, so that their costs are not those of the embedding."""
    names = tuple(task.name for task in TASKS[:2])
    world.layers, world.left = (4,), {"": names, "layer 4": names}
    world.run()
    assert [(dimension, brief) for _, _, dimension, _, brief, _ in world.calls] == [(4, False), (4, True)]


def test_row__side_by_side_on_four_threads(world):
    """120 s of three tasks on four threads: 30 s, but no less than the longest."""
    world.side_by_side = True
    [row] = world.run()
    assert {name: one.wall for name, one in row.tasks.items()} == {
        "Processing probes": pytest.approx(80 * 40 / 120), "kNN set-ups": pytest.approx(40 * 40 / 120),
    }  # fmt: skip
    assert row.tasks["kNN set-ups"].processor == 20.0
    world.layers, world.left = (), {"": tuple(task.name for task in TASKS)}
    [row] = world.run()
    assert row.tasks == {}


def test_rows__costs_of_equal_questions_are_measured_once(world):
    rows = world.run(opened("one"), opened("two"), groups=(("a", "b"), ("c",)))
    assert [(row.spec, row.data) for row in rows] == [(s, d) for s in "abc" for d in ("one", "two")]
    assert [call[1] for call in world.calls] == ["one", "two"]  # of encoders of one dimension on one device
    assert rows[0].tasks == rows[2].tasks
    assert world.loads == ["a", "b", "c"]


def test_rows__a_network_that_was_compiled_just_now_is_loaded_again(world):
    new = CompiledFile(9, on_disk=True, new=True)
    world.compiled = iter([new, dataclasses.replace(new, new=False)])
    [row] = world.run()
    assert world.loads == ["a", "a"]
    assert row.load == Seconds(2.0, 0.5)
    assert row.compiled == dataclasses.replace(new, new=False)


@pytest.mark.parametrize(
    ("changed", "options", "reason"),
    [
        ({"trial": Trial("it gives numbers")}, {}, "it gives numbers"),
        ({"trial": Trial("", 3, random="it is random")}, {}, "it is random"),
        ({"trial": Trial("", 3, random="it is random")}, {"allow_random": True}, ""),
        ({"verdict": SimpleNamespace(passed=False, reason="it blurs")}, {}, "it blurs"),
        ({"verdict": SimpleNamespace(passed=False, reason="it blurs")}, {"force_dtype": True}, ""),
        ({"verdict": SimpleNamespace(passed=True, reason="it blurs")}, {}, ""),
        ({"reason": "too small"}, {}, "too small"),
        ({"error": DataError("no weights")}, {}, "no weights"),
        ({"error": ValueError("odd")}, {}, "ValueError: odd"),
    ],
)
def test_row__why_an_encoder_cannot_be_scored(world, changed, options, reason):
    vars(world).update(changed)
    world.options = dataclasses.replace(world.options, **options)
    rows = world.run(opened("one"), opened("two"))
    assert [(row.spec, row.data) for row in rows] == [("a", "one"), ("a", "two")]
    for row in rows:
        assert reason in row.reason
        assert bool(row.reason) == bool(reason)
        assert (row.times.views, row.tasks != {}) == ((0, False) if reason else (7, True))


def test_row__a_file_of_embeddings_is_not_tried_and_has_no_passes(world):
    world.stored, world.trial = SimpleNamespace(), Trial("never tried")
    [row] = world.run()
    assert (row.reason, row.times, len(row.tasks)) == ("", PassTimes(), 2)


def test_complete_banks__only_those_that_a_run_would_read():
    photos, looked = opened().photos, []

    def look(encoder, views, output):
        looked.append(output)
        return SimpleNamespace(complete=len(looked) != 2)

    paths, output = SimpleNamespace(look=look), SimpleNamespace(name="layer")
    encoder = toy_encoder(as_rows, lambda image: image, 4)
    banks = _complete_banks(paths, encoder, output, photos, RunOptions(), TASKS)
    assert (list(banks), looked) == (["probe/jpeg", "knn/jpeg"], [output] * 3)
    unidentified = toy_encoder(as_rows, lambda image: image, 4, weights=None)
    for other, options in (
        (encoder, RunOptions(fresh=True)),
        (unidentified, RunOptions()),
        (dataclasses.replace(encoder, stored=SimpleNamespace()), RunOptions()),
    ):
        assert _complete_banks(paths, other, output, photos, options, TASKS) == {}


def test_rows__costs_on_the_embeddings_of_a_bank_are_of_its_encoder(world, monkeypatch):
    banks = {"knn/jpeg": SimpleNamespace()}
    monkeypatch.setattr(measuring, "_complete_banks", lambda *given: banks)
    world.run(groups=(("a", "b"), ("a",)))
    assert [call[-1] for call in world.calls] == [["knn/jpeg"]] * 2  # of a and of b
    world.calls.clear()
    banks.clear()
    world.run(groups=(("a", "b"),))
    assert [call[-1] for call in world.calls] == [[]]


def test_rows__verdicts_of_the_users_cache_are_read_from_a_copy(world, monkeypatch):
    gates = world.options.cache / "gates"
    gates.mkdir(parents=True)
    (gates / "x.json").write_text("verdict")
    read = []

    def trials(encoders, photos, bytes_hash, recipe, options):
        copied = options.cache / "gates" / "x.json"
        read.append(copied.read_text())
        copied.write_text("changed")
        (options.cache / "gates" / "y.json").write_text("new")
        return [Trial("", 3)]

    monkeypatch.setattr(measuring, "cached_trials", trials)
    [row] = world.run()
    assert (row.reason, read) == ("", ["verdict"])
    assert [(path.name, path.read_text()) for path in gates.iterdir()] == [("x.json", "verdict")]
