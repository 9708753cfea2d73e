"""``camtrace work`` with ranks that are done or fail at once: what it prints, records and runs next."""

import json

import pytest

from benchmark.__main__ import camtrace
from benchmark.cluster import work
from builders.cluster import ENGINES, Finished, Markers, Plan, RankPlan, StorageFolder, write_plan

pytestmark = pytest.mark.usefixtures("unpainted")

RANKS = (RankPlan(("a",), 1), RankPlan(("b",), 1), RankPlan(("c",), 1, "0-1"), RankPlan(("d",), 1, "0"))
PLAN = Plan("build", ("build", "folder"), "out", RANKS, {})


@pytest.fixture
def place(tmp_path):
    place = StorageFolder.of(tmp_path / "p")
    write_plan(PLAN, place)
    return place


@pytest.fixture
def fail(monkeypatch):
    """Reasons of ranks that fail; the others are done at once."""
    reasons: dict[int, str] = {}

    def work_ranks(plan, storage, ranks, opened, *, on_rank):
        for rank in ranks:
            if rank not in reasons:
                Markers(storage, plan.name).finish(rank, Finished({}, 1, 0, 1.0))
            on_rank(rank, reasons.get(rank, ""))
        return {rank: reasons[rank] for rank in ranks if rank in reasons}

    monkeypatch.setattr(work, "work_ranks", work_ranks)
    return reasons


@pytest.fixture
def run(place, capsys):
    def command(*words):
        status = camtrace(["work", str(place), *words])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return command


def test_work__all_ranks_stage_by_stage(run, fail, place):
    status, printed, more = run()
    assert (status, printed) == (0, f"4 ranks done, 0 failed; next: camtrace finish {place}\n")
    assert more.splitlines() == ["4 ranks, 4 missing", *(f"rank {rank} of 4: done" for rank in (0, 1, 2, 3))]
    status, printed, more = run()
    assert (status, printed) == (0, f"done already; next: camtrace finish {place}\n")
    assert more == "4 ranks, 0 missing\n"
    assert run("--rank", "1") == (0, "done already\n", "")
    assert json.loads(run("--rank", "1-2", "--json")[1]) == {
        "plan": str(place), "done": [1, 2], "failed": [], "next": f"camtrace status {place}",
    }  # fmt: skip


def test_work__ranks_that_need_a_failed_one_wait(run, fail, place):
    fail[1] = "no space"
    status, printed, more = run()
    again = f"camtrace work {place}"
    text = f"2 ranks done, 1 failed, 1 rank waiting for them; next: {again} (does what failed again)"
    assert (status, printed) == (1, f"{text}\n")
    assert "rank 1 of 4: failed: no space" in more.splitlines()
    assert "rank 2 of 4" not in more
    status, printed, more = run("--json")
    assert json.loads(printed) == {
        "plan": str(place), "done": [0, 3], "failed": [{"rank": 1, "reason": "no space"}], "next": again,
    }  # fmt: skip
    fail.clear()
    assert run("--quiet") == (0, f"2 ranks done, 0 failed; next: camtrace finish {place}\n", "")


def test_work__some_ranks_by_number(run, fail, place):
    fail[0] = "gone"
    status, printed, more = run("--rank", "0-1", "--json")
    assert (status, more.splitlines()) == (1, ["rank 0 of 4: failed: gone", "rank 1 of 4: done"])
    assert json.loads(printed) == {
        "plan": str(place), "done": [1], "failed": [{"rank": 0, "reason": "gone"}], "next": f"camtrace status {place}",
    }  # fmt: skip
    assert run("--rank", "1,3", "--quiet")[0] == 0
    for text, message in (("4", "the plan has ranks 0 to 3"), ("x", "give numbers, such as 3, 0-7 or 2,5")):
        status, _, more = run("--rank", text)
        assert (status, message in more) == (2, True)


@pytest.mark.parametrize("engine", ["slurm", "ray"])
def test_work__engines_get_the_missing_ranks_of_each_stage(run, fail, place, monkeypatch, engine):
    Markers(place, PLAN.name).finish(1, Finished({}, 1, 0, 1.0))
    submissions = []

    def submit(submission):
        submissions.append((submission.ranks, submission.first))
        for rank in submission.ranks if engine == "ray" else ():
            if rank != 3:
                Markers(place, PLAN.name).finish(rank, Finished({}, 1, 0, 1.0))
        return f"submission {len(submissions)}"

    monkeypatch.setitem(ENGINES, engine, submit)
    status, printed, more = run("--engine", engine, "--json")
    record, lines = json.loads(printed), more.splitlines()
    assert [line for line in lines if line.startswith("submission")] == ["submission 1", "submission 2"]
    if engine == "slurm":
        assert (status, submissions) == (0, [((0,), True), ((2, 3), False)])
        assert record == {"plan": str(place), "done": [1], "failed": [], "next": f"camtrace status {place}"}
    else:
        assert (status, submissions) == (1, [((0,), True), ((2, 3), True)])
        assert f"2 ranks done, 1 failed; next: camtrace work {place} (does what failed again)" in lines
        assert record["failed"] == [{"rank": 3, "reason": ""}]
        assert record["done"] == [0, 1, 2]
        assert "ranks      4: 3 done, 0 running, 0 failed, 0 killed, 1 waiting" in more


def test_work__several_processes_get_the_command_that_serves_ranks(run, fail, place, monkeypatch):
    calls = []

    def run_locally(command, ranks, workers, *, cpus, on_rank):
        calls.append((command[1:], list(ranks), workers, cpus))
        for rank in ranks:
            Markers(place, PLAN.name).finish(rank, Finished({}, 1, 0, 1.0))
        return {}

    monkeypatch.setattr(work, "run_locally", run_locally)
    monkeypatch.setenv("CAMTRACE_CPUS", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert run("--at-once", "3", "--cpus", "2")[0] == 0
    serving = ["-m", "camtrace", "work", str(place), "--serve"]
    assert calls == [(serving, [0, 1], 3, 2), (serving, [2, 3], 3, 2)]
    assert run("--at-once", "1")[1].startswith("done already")
