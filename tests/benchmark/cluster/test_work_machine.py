"""How ``camtrace work`` uses a machine: cores, folders, work that is opened once, ranks that are served to a parent."""

import argparse
import io
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmark.__main__ import camtrace
from benchmark.cluster import read_request, work
from benchmark.cluster.request import Request
from builders.cluster import ENGINES, Finished, Markers, Plan, RankPlan, StorageFolder, write_plan
from builders.errors import UsageError

pytestmark = pytest.mark.usefixtures("unpainted")

PLAN = Plan("build", ("build", "folder"), "out", (RankPlan(("a",), 1), RankPlan(("b",), 1)), {})


@pytest.fixture
def place(tmp_path):
    place = StorageFolder.of(tmp_path / "p")
    write_plan(PLAN, place)
    return place


@pytest.fixture
def cores(monkeypatch):
    """Numbers of cores that the process was told to use; ranks are done at once."""
    used = []
    monkeypatch.setattr(work, "use_cpus", lambda count, environment: used.append((count, environment is os.environ)))

    def work_ranks(plan, storage, ranks, opened, **_):
        for rank in ranks:
            Markers(storage, plan.name).finish(rank, Finished({}, 1, 0, 1.0))
        return {}

    monkeypatch.setattr(work, "work_ranks", work_ranks)
    monkeypatch.setattr(work, "run_locally", lambda command, ranks, workers, **_: dict.fromkeys(ranks, ""))
    for name in ("slurm", "ray", "jobs"):
        monkeypatch.setitem(ENGINES, name, lambda submission: "submitted")
    return used


@pytest.mark.parametrize(
    ("words", "used"),
    [
        ((), []),
        (("--cpus", "3"), [3]),
        (("--cpus", "3", "--rank", "1"), [3]),
        (("--cpus", "3", "--at-once", "2"), [3]),
        (("--cpus", "3", "--engine", "slurm"), []),
        (("--cpus", "3", "--engine", "ray"), []),
        (("--rank", "1"), []),
    ],
)
def test_work__cores_of_this_machine_alone(place, cores, words, used):
    camtrace(["work", str(place), *words, "--quiet"])
    assert cores == [(count, True) for count in used]


def test_work__more_than_one_gpu_for_a_rank_is_refused(place, cores, capsys):
    for count in ("2", "3"):
        assert camtrace(["work", str(place), "--engine", "slurm", "--gpus", count]) == 2
        refusal = f"--gpus {count}: a rank takes one GPU; more tasks use more of them"
        assert refusal in capsys.readouterr().err
    assert camtrace(["work", str(place), "--engine", "slurm", "--gpus", "1"]) == 0


def test_work__serves_ranks_that_its_parent_writes(place, monkeypatch, capfd):
    opened = []

    class Opened:
        def __init__(self, plan, storage):
            opened.append((plan, storage))

        def close(self):
            opened.append("closed")

    def work_ranks(plan, storage, ranks, open_work):
        assert isinstance(open_work, Opened)
        os.write(1, b"a library prints\n")
        return {rank: "no space" for rank in ranks if rank == 1}

    monkeypatch.setattr(work, "_Opened", Opened)
    monkeypatch.setattr(work, "work_ranks", work_ranks)
    monkeypatch.setattr("sys.stdin", io.StringIO("0\n1\n"))
    saved, fdopen, streams = os.dup(1), os.fdopen, []
    monkeypatch.setattr(os, "fdopen", lambda *given: streams.append(fdopen(*given)) or streams[-1])
    try:
        assert camtrace(["work", str(place), "--serve"]) == 0
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        for stream in streams:
            stream.close()
    printed, more = capfd.readouterr()
    assert [json.loads(line) for line in printed.splitlines()] == [
        {"rank": 0, "reason": ""}, {"rank": 1, "reason": "no space"},
    ]  # fmt: skip
    assert more.count("a library prints") == 2
    assert opened == [(PLAN, place), "closed"]


@pytest.mark.parametrize(("folder", "there"), [("sub", True), ("gone", False), (None, True)])
def test_go_to_folder__from_which_relative_paths_begin(tmp_path, monkeypatch, folder, there):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    work.go_to_folder(Plan("build", (), "", (), {}, {} if folder is None else {"folder": str(tmp_path / folder)}))
    assert Path.cwd() == (tmp_path / folder if folder and there else tmp_path)


def test_opened__work_is_opened_when_it_is_needed_and_once(place, monkeypatch, tmp_path):
    calls = []
    inner = SimpleNamespace(run="run", device="cpu", close=lambda: calls.append("close"), facts=lambda units: {})

    class Ranked:
        def open(self, plan, storage):
            calls.append(("open", plan, storage, Path.cwd()))
            return inner

    monkeypatch.setattr(work, "ranked", lambda request: calls.append(("ranked", request)) or Ranked())
    monkeypatch.setattr(work, "request_of", lambda plan: f"request of {plan.output}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    plan = Plan("build", (), "out", (), {}, {"folder": str(tmp_path / "home")})
    work._Opened(plan, place).close()
    assert calls == []
    opened = work._Opened(plan, place)
    first = opened()
    assert opened() is first
    assert (first.run, first.device) == ("run", "cpu")
    opened.close()
    assert calls == [("ranked", "request of out"), ("open", plan, place, tmp_path / "home"), "close"]


def test_ranked__by_the_kind_of_the_request(monkeypatch, tmp_path):
    from benchmark.cluster.build import ShardRanks
    from benchmark.cluster.plan import RunRanks

    prepared = []
    monkeypatch.setattr("benchmark.compute.prepare_process", lambda: prepared.append(1))
    for kind in ("score", "sweep", "embed"):
        assert isinstance(work.ranked(Request(kind, (kind,), "out")), RunRanks)
    assert len(prepared) == 3
    parsed = argparse.Namespace(ranked=lambda args: ("of its own", args is parsed))
    build = SimpleNamespace(kind="build", output="out", parsed=lambda folder: parsed)
    assert work.ranked(build) == ("of its own", True)
    build.parsed = lambda folder: argparse.Namespace(folder=folder)
    made = work.ranked(build)
    assert isinstance(made, ShardRanks)
    assert made._request is build
    assert len(prepared) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sweep", "--fresh"), "--fresh does not go with a plan: remove what is there instead"),
        (
            ("score", "--config=x"),
            "--config does not go with a plan: write the options out: a plan is frozen, and a file is not",
        ),
        (("embed", "--dry-run"), "--dry-run does not go with a plan: a plan measures as it is made"),
        (("sweep", "--push-to", "me/x"), "--push-to does not go with a plan: give it to 'camtrace finish'"),
        (("build", "check", "x"), "camtrace build check has no --output, and cannot be planned"),
        (("sweeps",), "unknown kind of plan 'sweeps': did you mean 'sweep'?"),
    ],
)
def test_read_request__refusals_are_whole_sentences(words, message):
    with pytest.raises(UsageError) as error:
        read_request(words)
    assert str(error.value) == message


@pytest.mark.parametrize(("text", "numbers"), [("0", [0]), ("0-2,7", [0, 1, 2, 7]), ("7", [7]), ("1,1", [1])])
def test_numbers__of_ranks_of_the_plan(text, numbers):
    assert work._numbers(text, 8) == numbers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8", "--rank 8: the plan has ranks 0 to 7"),
        ("2,9,8", "--rank 9: the plan has ranks 0 to 7"),
        ("", "--rank : give numbers, such as 3, 0-7 or 2,5"),
        ("a-b", "--rank a-b: give numbers, such as 3, 0-7 or 2,5"),
    ],
)
def test_numbers__that_are_none_of_the_plan(text, message):
    with pytest.raises(UsageError) as error:
        work._numbers(text, 8)
    assert str(error.value) == message
