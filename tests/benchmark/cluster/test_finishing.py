"""``finish`` of a run, with doubles of merging and scoring: where results go, what is said, which blocks go."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from benchmark.cluster import finish
from benchmark.options import RunOptions
from builders.cluster import FinishOptions, Plan, RankPlan, StorageFolder
from tests.benchmark.cluster.test_rank_work import NOTES


@pytest.fixture
def finishing(monkeypatch, tmp_path):
    """``finish`` with doubles of merging, scoring and the stores; calls are recorded."""
    calls: list = []
    args = SimpleNamespace(run=lambda args: calls.append(("run", args.by_ranks.outcomes)) or state.status)
    state = SimpleNamespace(calls=calls, status=0, outcomes={("k", "t"): "entry"})
    run = SimpleNamespace(args=args, options=RunOptions(cache=tmp_path / "cache"))
    monkeypatch.setattr(finish, "_run_here", lambda plan, folder: calls.append(("folder", folder)) or run)
    monkeypatch.setattr(finish, "merge", lambda plan, files, run: calls.append(("merge", files.wait_s)) or 1234)
    monkeypatch.setattr(finish, "copy_outcomes", lambda plan, files, cache: state.outcomes)
    monkeypatch.setattr(finish, "machines", lambda plan, done: ("machine",))
    monkeypatch.setattr(finish, "ByRanks", lambda outcomes, machines: SimpleNamespace(outcomes=(outcomes, machines)))
    monkeypatch.setattr(finish, "notice", lambda text: calls.append(text))
    monkeypatch.setattr(finish, "download_files", lambda place, folder: calls.append(("down", str(place))))
    monkeypatch.setattr(finish, "upload_files", lambda folder, place: calls.append(("up", str(place))))
    monkeypatch.setattr(finish, "push_folder_of_results", lambda *given, **how: calls.append(("push", *given, how)))
    state.verified = f"1,234 files of blocks were verified; banks in {tmp_path / 'cache'}"
    return state


def planned_to(output, kind="sweep", units=("task 0 0 0/0 a/b", "task 0 0 0/2 a/b", "0/0/0")):
    return Plan(kind, ("sweep",), str(output), (RankPlan(tuple(units), 1),), {}, NOTES)


def test_finish__on_this_disk(finishing, tmp_path):
    how = FinishOptions(None, "me/x", True, wait_s=7)
    assert finish.finish(planned_to(tmp_path / "out"), {}, StorageFolder.of(tmp_path / "p"), how) == 0
    assert finishing.calls == [
        ("folder", tmp_path / "out"), ("merge", 7), finishing.verified,
        ("run", (finishing.outcomes, ("machine",))), ("push", tmp_path / "out", "me/x", {"public": True}),
    ]  # fmt: skip


@pytest.mark.parametrize("count", [1, 3])
def test_finish__tasks_that_failed_in_ranks_are_counted(finishing, tmp_path, count):
    finishing.outcomes, finishing.status = {}, 1
    units = [f"task 0 0 0/0 a/{i}" for i in range(count)]
    how = FinishOptions(None, None, False, remove_blocks=True)
    assert finish.finish(planned_to(tmp_path / "out", units=units), {}, StorageFolder.of(tmp_path / "p"), how) == 1
    noun = "1 task" if count == 1 else "3 tasks"
    assert finishing.calls[3] == f"{count} of {noun} failed in ranks and are tried here"
    assert finishing.calls[-1][0] == "run"  # blocks stay where scoring failed


@pytest.mark.parametrize("here", [True, False])
def test_finish__of_an_output_in_a_store(finishing, tmp_path, here):
    how = FinishOptions(tmp_path / "here" if here else None, None, False)
    finish.finish(planned_to("memory://x/out"), {}, StorageFolder.of(tmp_path / "p"), how)
    names = [call if isinstance(call, str) else call[0] for call in finishing.calls]
    if here:
        assert names == ["folder", "merge", finishing.verified, "run"]
        assert finishing.calls[0] == ("folder", tmp_path / "here")
    else:
        assert names == [
            "down", "folder", "merge", finishing.verified, "run", "up", "results were copied to memory://x/out",
        ]  # fmt: skip
        assert not finishing.calls[1][1].exists()


def test_finish__of_banks_alone_scores_nothing_and_may_remove_blocks(finishing, tmp_path):
    storage = StorageFolder.of(tmp_path / "p")
    paths = ("banks/1/a.npz", "banks/b.npz", "outcomes/k/t/parts/0.npz", "outcomes/k/t/key.json", "ranks/0.json")
    for path in paths:
        storage.write(path, b"1")
    how = FinishOptions(None, None, False, remove_blocks=True)
    assert finish.finish(planned_to(tmp_path / "out", "embed", ("0/0/0",)), {}, storage, how) == 0
    assert [call for call in finishing.calls if call[0] == "run"] == []
    assert storage.all_names() == ["outcomes/k/t/key.json", "ranks/0.json"]
    assert finishing.calls[-1] == (f"2 files of blocks were removed from {storage}; their content is in the cache")
