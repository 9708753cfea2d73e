"""``TraceCallback`` with measurements of a stand-in: when it measures, what it logs where, and what it is given."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.api import TraceCallback, training
from benchmark.results import Score
from builders.errors import UsageError
from builders.photos import PhotoSet

SCORES = [
    Score("probe/jpeg", "toy", "accuracy", 0.5, 0.4, 0.6, 10, 0.25),
    Score("knn/jpeg", "toy", "spd", 0.2, 0.1, 0.3, 10, 0.0),
    Score("knn/jpeg", "toy", "pos-same", 0.7, 0.6, 0.8, 10, 0.5),
    Score("knn/jpeg", "toy", "all-same", 0.3, 0.2, 0.4, 10, 0.5),
]
MAIN = {
    "trace/probe/jpeg/accuracy": (0.5, 0.4, 0.6),
    "trace/knn/jpeg/spd": (0.2, 0.1, 0.3),
    "trace/knn/jpeg/all-same": (0.3, 0.2, 0.4),
}


class Fixed:
    """In the place of the fixed views: what it was made of, and the networks that it scored."""

    made: list[dict[str, Any]]
    networks: list[tuple[Any, Any]]

    def scores(self, network: Any, embed: Any) -> list[Score]:
        self.networks.append((network, embed))
        return SCORES


@pytest.fixture(autouse=True)
def fixed(monkeypatch: pytest.MonkeyPatch) -> type[Fixed]:
    Fixed.made, Fixed.networks = [], []

    def fixed_views(photos: Any, patterns: Any, preprocess: Any, **more: Any) -> list[Fixed]:
        Fixed.made.append({"photos": photos, "patterns": patterns, "preprocess": preprocess, **more})
        return [Fixed()]

    monkeypatch.setattr(training, "fixed_views", fixed_views)
    return Fixed


PHOTOS = PhotoSet.of_bytes("toy", {f"{i}": b"" for i in range(240)}, ["a", "b"] * 120)
NETWORK = nn.Sequential(nn.Linear(2, 2))


def trace_of(**more: Any) -> TraceCallback:
    return TraceCallback(PHOTOS, **{"preprocess": np.asarray, "every_steps": 5, **more})


def state_at(step: int, zero: bool = True) -> Any:
    return SimpleNamespace(global_step=step, is_world_process_zero=zero, log_history=[])


def test_measure__numbers_of_main_metrics_and_the_history(tmp_path: Path) -> None:
    logged: list[dict[str, float]] = []
    trace = trace_of(log=logged.append, file=tmp_path / "deep" / "er" / "t.jsonl")
    numbers = trace(NETWORK, 10)
    assert numbers is not None
    expected = {}
    for name, (value, low, high) in MAIN.items():
        expected |= {name: value, f"{name}_low": low, f"{name}_high": high}
    assert {name: value for name, value in numbers.items() if name != "trace/seconds"} == expected
    assert numbers["trace/seconds"] >= 0
    assert trace.history == [{"step": 10, **numbers}]
    assert trace.scores == [(10, tuple(SCORES))]
    assert logged == [numbers]
    logged[0].clear()  # whoever gets the numbers may change them
    assert trace(NETWORK, 15) == {**numbers, "trace/seconds": trace.history[1]["trace/seconds"]}
    lines = (tmp_path / "deep" / "er" / "t.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == trace.history
    assert [measured["step"] for measured in trace.history] == [10, 15]
    assert len(Fixed.made) == 1  # views are made once


@pytest.mark.parametrize(("every", "steps"), [(1, [0, 1, 2, 3, 4]), (2, [0, 2, 4]), (4, [0, 4]), (5, [0])])
def test_call__measures_at_every_so_manieth_step(every: int, steps: list[int]) -> None:
    trace = trace_of(every_steps=every)
    results = [trace(NETWORK, step) for step in range(5)]
    assert [measured["step"] for measured in trace.history] == steps
    assert [step for step, result in enumerate(results) if result is not None] == steps
    assert trace.measure(NETWORK, 3)["trace/seconds"] >= 0  # at any step, on request


def test_prepared__photos_tasks_and_numbers_as_requested(caplog: pytest.LogCaptureFixture) -> None:
    def embed(network: Any, batch: Any) -> Any:
        return batch

    trace_of(limit=6, seed=3, batch_size=7, tasks="probe/jpeg", embed=embed).measure(NETWORK, 0)
    trace_of(photos=6, seed=3, tasks=("probe/jpeg", "knn/*")).measure(NETWORK, 0)
    trace_of().measure(NETWORK, 0)
    first, second, third = Fixed.made
    assert [made["photos"].ids for made in (first, second)] == [PHOTOS.limited(6, 3).ids] * 2
    assert third["photos"].ids == PHOTOS.limited(200, 0).ids
    assert (first["patterns"], second["patterns"]) == (["probe/jpeg"], ["probe/jpeg", "knn/*"])
    assert third["patterns"] == ["probe/jpeg"]
    assert [(made["seed"], made["batch_size"]) for made in Fixed.made] == [(3, 7), (3, 32), (0, 32)]
    assert all(made["preprocess"] is np.asarray for made in Fixed.made)
    assert [given for _, given in Fixed.networks] == [embed, training.default_embedding, training.default_embedding]
    assert caplog.messages == ["TraceCallback(photos=...) is now limit=...; the old spelling still works"]


@pytest.mark.parametrize("name", ["every_steps", "limit", "batch_size", "photos"])
def test_sizes__are_at_least_one(name: str) -> None:
    trace_of(**{name: 1})
    for wrong in (0, -1):
        with pytest.raises(UsageError, match="every_steps"):
            trace_of(**{name: wrong})


def test_preprocessing__of_the_callback_the_network_or_the_trainers_processor() -> None:
    network = nn.Sequential()
    network.preprocess = str  # type: ignore[assignment]
    trace_of().measure(network, 0)
    trace_of(preprocess=None).measure(network, 0)

    class Processor:
        image_mean = (0.5,)

        def __call__(self, images: Any, return_tensors: str) -> dict[str, Any]:
            return {"pixel_values": [f"{images} as {return_tensors}", "another"]}

    for given in (Processor(), SimpleNamespace(image_processor=Processor())):
        trace = trace_of(preprocess=None)
        trace.on_step_end(SimpleNamespace(), state_at(5), None, model=network, processing_class=given)
    trace_of().on_step_end(SimpleNamespace(), state_at(5), None, model=network, processing_class=Processor())
    for given in (None, SimpleNamespace(), SimpleNamespace(image_processor=SimpleNamespace())):  # a tokenizer
        trace_of(preprocess=None).on_step_end(
            SimpleNamespace(), state_at(5), None, model=network, processing_class=given
        )
    used = [made["preprocess"] for made in Fixed.made]
    assert used[:2] == [np.asarray, str]
    assert [one("picture") for one in used[2:4]] == ["picture as np"] * 2
    assert used[4:] == [np.asarray, str, str, str]
    with pytest.raises(UsageError, match="picture"):
        trace_of(preprocess=None).measure(NETWORK, 0)


def test_measure__the_network_inside_of_one_that_distributes_it() -> None:
    class DataParallel(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

    class DistributedDataParallel(DataParallel):
        pass

    class Holder(DataParallel):
        pass

    for kind, inner in ((DataParallel, True), (DistributedDataParallel, True), (Holder, False)):
        outer = kind(NETWORK)
        trace_of().measure(outer, 0)
        assert Fixed.networks[-1][0] is (NETWORK if inner else outer)
    with pytest.raises(UsageError, match=r"not dict"):
        trace_of().measure({}, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("file", "args", "zero", "written"),
    [
        ("mine.jsonl", {"output_dir": "out"}, True, "mine.jsonl"),
        (None, {"output_dir": "out"}, True, "out/trace.jsonl"),
        (None, {"output_dir": "out"}, False, None),
        (None, {"output_dir": None}, True, None),
        (None, {}, True, None),
    ],
)
def test_file__of_the_user_or_in_the_trainers_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str | None, args: dict[str, Any], zero: bool, written: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    trace = trace_of(file=file)
    trace.on_train_begin(SimpleNamespace(**args), state_at(0, zero), None, model=NETWORK)
    assert [path.as_posix() for path in [trace.file] if path] == ([written] if written else [])
    made = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jsonl")]
    assert made == ([written] if written else [])
    assert len(trace.history) == zero


def test_events__measure_once_a_step_in_the_first_process_with_a_model() -> None:
    trace, args = trace_of(), SimpleNamespace()
    states = [state_at(step) for step in (0, 0, 4, 5, 5, 10)]
    for state in states:
        trace.on_step_end(args, state, None, model=NETWORK)
    trace.on_step_end(args, state_at(15), None)  # without a model
    trace.on_step_end(args, state_at(20, zero=False), None, model=NETWORK)
    assert [measured["step"] for measured in trace.history] == [0, 5, 10]
    histories = [state.log_history for state in states]
    assert [len(history) for history in histories] == [1, 0, 0, 1, 0, 1]
    assert histories[3] == [trace.history[1]]


def test_groups__of_a_photo_set_are_tasks() -> None:
    photos = dataclasses.replace(PHOTOS, groups={"site": PHOTOS.labels})
    TraceCallback(photos, tasks="probe/site", preprocess=np.asarray)
    with pytest.raises(UsageError, match="unknown task 'probe/site'"):
        TraceCallback(PHOTOS, tasks="probe/site", preprocess=np.asarray)
    assert torch.is_grad_enabled()
