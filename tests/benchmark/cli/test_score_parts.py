"""Parts of ``camtrace score`` by hand: which encoders, what is prepared in which order, how they are loaded, lines."""

import argparse
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

import benchmark.encoders
import benchmark.erasing
import benchmark.scoring
from benchmark.cli import erase, score
from benchmark.cli.console import Console
from benchmark.options import DEFAULT_MODEL, RunOptions
from benchmark.scoring import Failed, Request, RunOutcome
from builders.errors import DataError, UsageError


@pytest.fixture
def handed(monkeypatch):
    """What ``run`` hands to the run behind all commands."""
    calls = []
    monkeypatch.setattr(score, "run_scoring", lambda *given: calls.append(given) or 5)

    def of(*words):
        args = score.parser().parse_args(list(words))
        assert score.run(args) == 5
        given, models = calls.pop()
        assert given is args
        return models

    return of


def test_run__encoders_once_and_checkpoints_by_step(handed):
    assert handed() == [DEFAULT_MODEL]
    assert handed("-m", "b", "-m", "a", "-m", "b") == ["b", "a"]
    assert handed("-m", "run/checkpoint-200", "-m", "run/checkpoint-30") == ["run/checkpoint-30", "run/checkpoint-200"]
    with pytest.raises(UsageError) as refused:
        score.run(score.parser().parse_args(["-m", "a", "-m", "b", "--revision", "r"]))
    assert str(refused.value) == "--revision goes with one --model; with several, write each as NAME@REVISION"


@pytest.fixture
def prepared(monkeypatch):
    """Steps of ``prepare_run``, in order."""
    steps = []
    monkeypatch.setattr(score, "check_writable", lambda *given: steps.append(("writable", *given)))
    monkeypatch.setattr(score, "sweep_cache", lambda cache: steps.append(("swept", cache)))
    monkeypatch.setattr("builders.pixels.begin_compiling_engine", lambda: steps.append(("compile",)))
    monkeypatch.setattr(score, "prepare_process", lambda: steps.append(("process",)))
    monkeypatch.setattr(score, "import_torch", lambda: steps.append(("torch",)))
    return steps


def test_prepare_run__folders_then_libraries(prepared):
    options = RunOptions(cache=Path("c"))
    args = argparse.Namespace(figure=None, dry_run=False, output=Path("out"))
    score.prepare_run(args, options)
    assert prepared == [
        ("writable", "--output", Path("out")), ("writable", "--cache", Path("c/banks")), ("swept", Path("c")),
        ("compile",), ("process",), ("torch",),
    ]  # fmt: skip
    prepared.clear()
    args.dry_run, args.figure = True, Path("a.pdf")
    score.prepare_run(args, options)
    assert prepared == [("process",), ("torch",)]
    prepared.clear()
    args.figure = Path("a.gif")
    with pytest.raises(UsageError, match="is written as"):
        score.prepare_run(args, options)
    assert prepared == []


def test_request__how_encoders_are_loaded_and_erasers_read(monkeypatch, tmp_path):
    loads = []

    def load(*given, **how):
        loads.append((given, how))
        return "encoder"

    monkeypatch.setattr(benchmark.encoders, "load_encoder", load)
    monkeypatch.setattr(benchmark.erasing.Erasing, "load", lambda place: f"eraser of {place}")
    words = ["-m", "a", "--revision", "r", "--eraser", "e", "-o", "out", "--cache", str(tmp_path), "--device", "cpu"]
    args = score.parser().parse_args([*words, "--dtype", "bfloat16", "--trust-remote-code", "-t", "knn/*"])
    args.by_ranks = "ranks"
    options = RunOptions()
    made = score._request(args, ["a", "b"], ["sample"], options, 3)
    assert (list(made.encoders), [source.spec for source in made.encoders.values()]) == (["a", "b"], ["a", "b"])
    fields = (made.data, made.tasks, made.options, made.trust_remote_code, made.erasing, made.output, made.together)
    assert fields == (["sample"], ["knn/*"], options, True, "eraser of e", Path("out"), 3)
    assert made.by_ranks == "ranks"
    assert made.encoders["b"].load(before_conversion=print) == "encoder"
    [(given, how)] = loads
    loading = {"device": "cpu", "dtype": "bfloat16", "compile": False, "preprocess": "own", "cache": tmp_path}
    assert (given, {name: how[name] for name in loading}) == (("b",), loading)
    assert (how["revision"], how["trust_remote_code"], how["before_conversion"]) == ("r", True, print)
    plain = score._request(score.parser().parse_args([]), ["a"], ["sample"], options, None)
    assert (plain.erasing, plain.by_ranks, plain.tasks, plain.output) == (None, None, [], Path("results"))
    assert plain.trust_remote_code is False


def test_estimate__what_is_measured_and_printed(monkeypatch):
    calls = []

    class Requested(SimpleNamespace):
        is_sweep = False
        options = "OPTIONS"

        def open(self, unfit):
            unfit("x", DataError("no"))
            return "SETS"

        def groups(self):
            return [["a"]]

    def estimate(groups, sets, options, load):
        calls.append((groups, sets, options, load("a")))
        return [SimpleNamespace(reason="")]

    monkeypatch.setattr(benchmark.scoring, "estimate", estimate)
    monkeypatch.setattr(benchmark.scoring, "so_far", lambda: "STARTED")
    monkeypatch.setattr(benchmark.scoring, "estimate_text", lambda *given: calls.append(given) or "TEXT")
    reports = []
    request = Requested(encoders={"a": SimpleNamespace(load=lambda: "loaded a")})
    assert score._estimate(request, SimpleNamespace(report=reports.append)) == 0
    [first, (measured, *rest)] = calls
    assert first == ([["a"]], "SETS", "OPTIONS", "loaded a")
    assert ([one.reason for one in measured], rest) == ([""], [[["a"]], "SETS", "OPTIONS", "STARTED"])
    assert reports == ["TEXT"]


@pytest.mark.parametrize(
    ("errors", "results", "sweep", "status"),
    [
        ([UsageError("a")], 0, False, 2), ([UsageError("a"), DataError("b")], 0, False, 1),
        ([DataError("b")], 0, False, 1), ([UsageError("a")], 1, False, 1), ([UsageError("a")], 0, True, 1),
        ([], 1, False, 0), ([], 1, True, 0),
    ],
)  # fmt: skip
def test_status__by_what_is_missing(errors, results, sweep, status):
    rows = tuple(SimpleNamespace(result="R", reason="") for _ in range(results))
    outcome = RunOutcome(rows, tuple(Failed("x", error) for error in errors), ())
    request = Request({}, [], (), RunOptions(), together=2 if sweep else None)
    assert score._status(request, outcome) == status


def test_console__environment_of_quiet_and_verbose(monkeypatch):
    names = ("HF_HUB_DISABLE_PROGRESS_BARS", "TRANSFORMERS_VERBOSITY", "CAMTRACE_DEBUG")
    for quiet, verbose, expected in (
        (False, False, (None, None, None)), (True, False, ("1", "error", None)), (False, True, (None, None, "1")),
    ):  # fmt: skip
        for name in names:
            monkeypatch.setenv(name, "")  # so that it is restored
            monkeypatch.delenv(name)
        with Console(SimpleNamespace(quiet=quiet, verbose=verbose, json=False)).active():
            assert tuple(os.environ.get(name) for name in names) == expected
        for name in names:
            os.environ.pop(name, None)


@pytest.mark.parametrize(("photos", "sizes"), [(60, []), (61, [60]), (241, [60, 120, 240]), (240, [60, 120])])
def test_erase__sizes_of_a_curve(photos, sizes):
    args = erase.parser().parse_args(["--trace", "jpeg", "--curve"])
    assert erase._request(args, "jpeg", RunOptions(), photos, transfer=False).sizes == sizes


@pytest.mark.parametrize("text", ["0.001", "0.999"])
def test_erase__a_share(text):
    assert erase._share(text) == float(text)
