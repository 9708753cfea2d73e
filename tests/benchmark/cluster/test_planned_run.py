"""A request as values: encoders, workers, revision and groups by the words of the command."""

from pathlib import Path

import pytest

from benchmark.cluster import planned_run as module
from benchmark.cluster.planned_run import PlannedRun
from benchmark.cluster.request import Request
from benchmark.options import DEFAULT_MODEL
from builders.errors import UsageError


def run_of(*words, kind="score", **chosen):
    return PlannedRun.of(Request(kind, (kind, *words), "out"), Path("folder"), **chosen)


@pytest.mark.parametrize(
    ("words", "here", "workers"),
    [
        ((), 3, 3),
        ((), 20, 8),  # ranks share the machine with others
        (("--workers", "5"), 3, 5),
        (("--workers=12",), 3, 12),
        (("--limit", "9"), 20, 8),
    ],
)
def test_of__workers_are_those_of_the_command_or_at_most_eight(monkeypatch, words, here, workers):
    monkeypatch.setattr(module, "default_workers", lambda: here)
    run = run_of(*words)
    assert (run.args.workers, run.options.workers) == (workers, workers)


def test_of__encoders_each_once_and_those_of_a_sweep(tmp_path):
    assert run_of().specs == (DEFAULT_MODEL,)
    assert run_of("-m", "b", "-m", "a", "b").specs == ("b", "a")
    (tmp_path / "models.txt").write_text("a\n# c\nb\n")
    swept = run_of("--models", str(tmp_path / "models.txt"), "-m", "z", kind="sweep")
    assert sorted(swept.specs) == ["a", "b", "z"]
    published = run_of("--published", kind="embed")
    assert len(published.specs) == 47
    assert (published.options.preset, run_of().options.preset) == ("iccv2025", "camtrace")
    assert run_of("--published", "--preset", "camtrace", kind="sweep").options.preset == "camtrace"


def test_of__what_the_plan_froze_and_how_encoders_are_loaded():
    run = run_of("--device", "cuda", "--dtype", "bfloat16", "--trust-remote-code", device="cpu", runtime="torch")
    assert (run.options.device, run.args.device, run.args.runtime) == ("cpu", "cpu", "torch")
    loading = {"device": "cpu", "runtime": "torch", "dtype": "bfloat16", "trust_remote_code": True}
    assert {name: run.loading[name] for name in loading} == loading
    assert "revision" not in run.loading
    assert run_of("--revision", "r1").loading["revision"] == "r1"
    with pytest.raises(UsageError) as error:
        run_of("--outputs", "layers")
    assert str(error.value) == "--outputs is scored in one place: leave it out of plans, and run camtrace score"


def test_groups__of_a_sweep_so_many_at_a_time_and_of_a_score_all(monkeypatch):
    monkeypatch.setattr(module, "groups_of", lambda specs, together: [list(specs), together])
    models = ("-m", "a", "-m", "b", "-m", "c")
    assert run_of(*models).groups() == [["a", "b", "c"], 3]
    for words, together in (((), None), (("--together", "2"), 2), (("--one-at-a-time",), 1)):
        run = run_of(*models, *words, kind="sweep")
        assert run.groups() == [["a", "b", "c"], run.args.together if together is None else together]
    assert run_of(*models, "--together", "2", "--one-at-a-time", kind="sweep").groups()[1] == 1


def test_sets__opened_once_with_the_tasks_of_the_command(monkeypatch):
    calls = []
    monkeypatch.setattr(module, "open_sets", lambda *given, **how: calls.append((given, how)) or ["SET"])
    monkeypatch.setattr(module, "any_answers", lambda specs: specs == ("vlm:x",))
    run = run_of("-m", "vlm:x", "-d", "sample", "-t", "knn/*")
    assert (run.sets, run.sets) == (["SET"], ["SET"])
    assert calls == [((["sample"], ["knn/*"], run.options), {"answering": True})]
    assert run_of("-d", "sample").sets == ["SET"]
    assert calls[1][0][1:] == ([], run_of().options)
    assert calls[1][1] == {"answering": False}
