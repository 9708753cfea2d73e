"""What is collected of one encoder: seconds by stage, and the order of its scores."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.bank import PassCost
from benchmark.encoders import Output
from benchmark.results import Score
from benchmark.scoring import EncoderRun, collect
from benchmark.scoring.collect import OutputCollected, Stopwatch, record, record_pass
from benchmark.scoring.tasks_run import Done
from benchmark.tasks import TaskOutcome


@pytest.fixture
def clocks(monkeypatch):
    """Seconds of the clock and of compiling, as a test sets them."""
    now = {"clock": 10.0, "compiling": 2.0}
    monkeypatch.setattr(collect.time, "perf_counter", lambda: now["clock"])
    monkeypatch.setattr(collect, "compiling_s", lambda: now["compiling"])
    return now


def test_stopwatch__seconds_of_a_stage_add_up_without_those_of_compiling(clocks):
    state = EncoderRun({})
    watch = Stopwatch()
    clocks["clock"] = 16.0
    watch.record("tasks", state)
    assert state.seconds == {"tasks": 6.0}
    watch = Stopwatch()
    clocks.update(clock=26.0, compiling=6.0)  # ten seconds, four of them compiling, shared by two encoders
    watch.record("tasks", state, encoders=2)
    assert state.seconds == {"tasks": 9.0, "compiling kernels": 2.0}


def score(task, value=0.5):
    return Score(task, "", "accuracy", value, 0.4, 0.6, 10, 0.5)


def output_of(state, name="layers[1]:mean"):
    return OutputCollected(Output(name, 1, 12, "block", "mean", 4, "by hooks"), state)


def test_put_in_order__scores_and_values_follow_the_tasks_also_of_further_outputs():
    further = EncoderRun({}, scores=[score("probe/b"), score("probe/a")])
    state = EncoderRun(
        {},
        scores=[score("probe/b"), score("probe/a")],
        answers={name: np.zeros(1) for name in ("probe/b/x", "probe/a/y", "probe/a/x")},
        outputs={"layers[1]:mean": output_of(further)},
    )
    state.put_in_order(["probe/a", "probe/b"])
    assert [s.task for s in state.scores] == ["probe/a", "probe/b"]
    assert [s.task for s in further.scores] == ["probe/a", "probe/b"]
    assert list(state.answers) == ["probe/a/y", "probe/a/x", "probe/b/x"]


def test_failures__of_an_output_name_it_and_leave_out_photos():
    state = EncoderRun({}, failures={("encoder", "toy"): "a", ("task", "knn/jpeg"): "b", ("photo", "p1"): "c"})
    assert output_of(state).failures() == {
        ("output", "layers[1]:mean"): "a",
        ("task", "knn/jpeg of layers[1]:mean"): "b",
    }


def test_record_pass__costs_of_passes_add_up_and_their_photos_do_not():
    state = EncoderRun({})
    record_pass(PassCost(8, 16, 4.0, 1.0, 2.0, 3.0, compiling_s=0.5), 3, state)
    record_pass(PassCost(6, 6, 1.0, 0.25, 0.5, 3.0), 2, state)
    assert (state.photos, state.views, state.embedding_s, state.encoders_in_pass) == (8, 22, 5.0, 3)
    assert state.seconds == {
        "compiling kernels": 0.5,
        "embedding": 5.0,
        "of which waiting for views": 1.25,
        "of which forward": 2.5,
    }
    read = EncoderRun({})
    record_pass(PassCost(0, 0, 0.0, 0.0, 0.0, 0.0), 3, read)  # banks were complete: nothing was shared
    assert (read.encoders_in_pass, read.seconds) == (1, dict.fromkeys(read.seconds, 0.0))


def test_record__scores_values_and_seconds_of_a_job_or_its_reason():
    job = SimpleNamespace(task=SimpleNamespace(name="knn/jpeg"))
    state = EncoderRun({"knn": 1.0})
    record(job, Done(None, "no memory", 2.0), state)
    assert state == EncoderRun({"knn": 1.0}, failures={("task", "knn/jpeg"): "no memory"})
    values = np.arange(2.0)
    state = EncoderRun({"knn": 1.0})
    record(job, Done(TaskOutcome((score("knn/jpeg"),), {"same": values}), "", 2.0, retried="no memory"), state)
    assert state.scores == [score("knn/jpeg")]
    assert list(state.answers) == ["knn/jpeg/same"]
    assert (state.failures, state.retried, state.seconds) == ({}, {"knn/jpeg": "no memory"}, {"knn": 3.0})
