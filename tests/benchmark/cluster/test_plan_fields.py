"""Every field of the plan of a run or a build, and how a build is finished, with doubles of all that is measured."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmark.cluster import build, plan
from benchmark.cluster.build import ShardRanks
from benchmark.cluster.plan import Frozen, RunRanks, planned_fields
from benchmark.cluster.request import Request
from benchmark.cluster.task_ranks import PlannedTask
from benchmark.options import RunOptions
from benchmark.scoring import PassTimes
from builders.cluster import FinishOptions, Plan, RankPlan, StorageFolder
from builders.errors import EncoderError, UsageError

KEY = {"encoder": {"library": "timm", "dimension": 8}}


def frozen_of(spec, number, **more):
    times = PassTimes(making_s=4.0, forward_s=2.0 if spec == "a" else 5.0, bank_bytes=1_000_000)
    size = (224, 192) if spec == "a" else None
    answers = [{"key": f"answers of {spec}", "views": ["v"]}] if spec == "b" and not number else []
    return Frozen({**KEY, "of": f"{number}/{spec}"}, f"runtime of {spec}", times, size, answers)


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """A run of three encoders, of which one fails, on two photo sets of 130 and 10 photos; calls are recorded."""
    calls: list = []
    sets = [
        SimpleNamespace(photos=[f"{name} {i}" for i in range(count)], tasks=("t",))
        for name, count in (("x", 130), ("y", 10))
    ]
    run = SimpleNamespace(
        sets=sets,
        specs=("a", "bad", "b"),
        options=RunOptions(cache=tmp_path, verify_bytes=True, workers=2, memory=123),
        loading={"device": "cpu"},
        groups=lambda: [["a", "bad"], ["b"], ["bad"]],
    )

    class Hashes:
        def __init__(self, photos, cache, verify):
            calls.append(("hashes", len(photos), cache, verify))
            self.count = len(photos)

        def bytes_hash(self):
            return f"bytes of {self.count}"

        def block_hashes(self, size):
            return [f"blocks of {size}"]

    def freeze(spec, encoder, job, bytes_hash, given, device):
        calls.append(("freeze", spec, encoder, sets.index(job), bytes_hash, given.loading, device))
        if spec == "bad" and job is sets[1]:
            raise EncoderError("it has no weights")
        return frozen_of(spec, sets.index(job))

    @contextmanager
    def budget(limit):
        calls.append(("memory", limit))
        yield

    def load(spec, **loading):
        calls.append(("load", spec, loading))
        return f"encoder {spec}"

    def tasks(given, specs, keys, device):
        calls.append(("tasks", specs, sorted(keys), device))
        return [PlannedTask(0, 0, SimpleNamespace(name="probe/jpeg", run_part=None), 30.0)]

    def of(request, output, **chosen):
        calls.append(("run", request, output, chosen))
        return run

    monkeypatch.setattr(plan, "PlannedRun", SimpleNamespace(of=of))
    monkeypatch.setattr(plan, "replace", lambda given, loading: SimpleNamespace(**{**vars(given), "loading": loading}))
    monkeypatch.setattr(plan, "print_cells", lambda photos: calls.append(("cells", len(photos))))
    monkeypatch.setattr(plan, "PhotoHashes", Hashes)
    monkeypatch.setattr(plan, "memory_budget", budget)
    monkeypatch.setattr(plan, "load_encoder", load)
    monkeypatch.setattr(plan, "_freeze", freeze)
    monkeypatch.setattr(plan, "planned_tasks", tasks)
    monkeypatch.setattr(plan, "version_facts", lambda packages: {"versions": packages})
    monkeypatch.setattr(plan, "codec_canary", lambda: "canary")
    monkeypatch.setattr(plan, "photo_facts", lambda photos: {f"photos {photos[0]}": str(len(photos))})
    monkeypatch.setattr(plan, "encoder_facts", lambda spec, photos, key: {f"{spec} on {photos[0]}": key["of"]})
    monkeypatch.setattr(plan, "answer_facts", lambda spec, photos, keys: {f"answers {spec}": keys} if keys else {})
    monkeypatch.setattr(plan, "_block_bytes", lambda given, name, frozen: 1000 * len(name))
    monkeypatch.setattr(plan, "_devices", lambda request: ("cuda", "cpu"))
    return calls


REQUEST = Request("sweep", ("sweep",), "out")


def test_planned_fields__all_of_them(measured, capsys, tmp_path):
    fields = planned_fields(REQUEST, 3.0, None)
    # blocks of 64 photos: 130 are three. Seconds of each group: 4 / 2 workers, and 2 or 5.
    assert [(rank.units, rank.size) for rank in fields["ranks"][:3]] == [
        (("0/0/0",), 64), (("0/0/1", "0/0/2"), 66), (("1/0/0",), 10),
    ]  # fmt: skip
    assert [unit for rank in fields["ranks"][:-1] for unit in rank.units] == [
        "0/0/0", "0/0/1", "0/0/2", "1/0/0", "0/1/0", "0/1/1", "0/1/2", "1/1/0",
    ]  # fmt: skip
    assert fields["ranks"][-1].units == ("task 0 0 0/0 probe/jpeg",)
    packages = ["torch", "torchvision", "numpy", "scipy", "numba", "pillow", "timm"]
    assert fields["facts"] == {
        "versions": packages, "the codec canary": "canary", "photos x 0": "130", "photos y 0": "10",
        "a on x 0": "0/a", "a on y 0": "1/a", "b on x 0": "0/b", "b on y 0": "1/b", "answers b": ["answers of b"],
    }  # fmt: skip
    names = ["0/a", "1/a", "0/b", "1/b"]
    assert fields["notes"] == {
        "device": "cuda",
        "groups": [["a"], ["b"]],
        "runtimes": {"a": "runtime of a", "b": "runtime of b"},
        "keys": {name: {**KEY, "of": name} for name in names},
        "inputs": {name: (224, 192) if "a" in name else None for name in names},
        "answers": {"0/b": [{"key": "answers of b", "views": ["v"]}]},
        "bytes": [["blocks of 64"], ["blocks of 64"]],
        "left_out": {"bad": "it has no weights"},
    }
    assert fields["estimate"] == {
        "seconds": 2 * (2 + 2) + 2 * (2 + 5) + 30.0,
        "bytes": 12_000,
        "items": "items: photos x groups of encoders, and tasks",
        "disk": [
            "4.0 MB more of banks in the cache of 'finish'; its --remove-blocks then removes the files of blocks",
            "up to 1.0 MB of a bank in TMPDIR for each rank of tasks, for a while",
        ],
    }
    assert capsys.readouterr().err.splitlines()[-1] == "camtrace: bad: left out of the ranks: it has no weights"
    loading = {"device": "cpu", "runtime": "torch"}  # measured on the CPU for ranks on GPUs
    freezes = [
        ("freeze", spec, f"encoder {spec}", number, f"bytes of {count}", loading, "cuda")
        for spec in ("a", "bad", "b") for number, count in ((0, 130), (1, 10))
    ]  # fmt: skip
    assert measured == [
        ("run", REQUEST, Path("unused"), {"device": "cpu"}),
        ("cells", 130), ("cells", 10),
        ("hashes", 130, tmp_path, True), ("hashes", 10, tmp_path, True), ("memory", 123),
        *(call for k, spec in enumerate(("a", "bad", "b"))
          for call in (("load", spec, loading), *freezes[2 * k : 2 * k + 2])),
        ("memory", 123), ("tasks", ["a", "b"], sorted(names), "cpu"),
    ]  # fmt: skip


def test_planned_fields__of_banks_alone_have_no_tasks(measured, monkeypatch):
    monkeypatch.setattr(plan, "_devices", lambda request: ("cpu", "cpu"))
    fields = planned_fields(Request("embed", ("embed",), "out"), 3.0, 1)
    assert not [call for call in measured if call[0] == "tasks"]
    assert {call[5]["device"] for call in measured if call[0] == "freeze"} == {"cpu"}
    assert not any("runtime" in call[5] for call in measured if call[0] == "freeze")
    assert [rank.size for rank in fields["ranks"]] == [130, 10, 130, 10]
    assert fields["estimate"]["seconds"] == 22.0
    assert fields["estimate"]["items"] == "items: photos x groups of encoders"
    assert len(fields["estimate"]["disk"]) == 1
    planned: list = []
    monkeypatch.setattr(plan, "planned_fields", lambda *given: planned.append(given))
    RunRanks(REQUEST).planned(StorageFolder("x"), 60.0, 4)
    assert planned == [(REQUEST, 60.0, 4)]


def test_planned_fields__no_encoder_left_names_the_first_reason(measured, monkeypatch):
    def freeze(spec, *_):
        raise EncoderError(f"no {spec}")

    monkeypatch.setattr(plan, "_freeze", freeze)
    with pytest.raises(EncoderError) as error:
        planned_fields(REQUEST, 3.0, None)
    assert str(error.value) == "no encoder is left to be planned (no a)"


@pytest.fixture
def shards(monkeypatch):
    """A build of two shard jobs; what is called is recorded."""
    calls: list = []
    jobs = [
        SimpleNamespace(config="jpeg", split="train", items_per_shard=50),
        SimpleNamespace(config="jpeg", split="val", items_per_shard=20),
    ]
    estimates = {"train": (1000, 0.5), "val": (200, 0.25)}

    class Work:
        def __init__(self, given, output):
            calls.append(("work", given, output))
            self.facts = lambda units: {"rows": units}
            self.run = "run"

        def units(self):
            return [("jpeg/train/0", 50), ("jpeg/train/1", 10), ("jpeg/val/0", 20)]

    def estimated(job):
        size, seconds = estimates[job.split]
        return SimpleNamespace(total_bytes=size, seconds_per_item=seconds)

    monkeypatch.setattr(build, "ShardWork", Work)
    monkeypatch.setattr(build, "estimate_space", estimated)
    monkeypatch.setattr(build, "require_space", lambda *given: calls.append(("space", *given)))
    monkeypatch.setattr(build, "claim_folder", lambda folder: calls.append(("claim", folder)))
    monkeypatch.setattr(build, "gather_shards", lambda *given: calls.append(("gather", *given)))
    monkeypatch.setattr(build, "hand_over_folder", lambda *given: calls.append(("hand over", *given)))
    monkeypatch.setattr(build, "push_built_folder", lambda *given, **how: calls.append(("push", *given, how)))
    monkeypatch.setattr(build, "notice", lambda text: calls.append(("notice", text)))
    monkeypatch.setattr(build, "time", SimpleNamespace(perf_counter=iter([10.0, 13.4]).__next__))
    return SimpleNamespace(calls=calls, jobs=jobs, status=0, folders=[])


def request_for(shards, output, *, guarded=None, makes_shards=True):
    def parsed(folder):
        shards.folders.append(folder)

        def run(args):
            shards.calls.append(("run", args))
            return shards.status

        def jobs(args, sizes):
            shards.calls.append(("jobs", sizes))
            return shards.jobs

        args = argparse.Namespace(output=folder, run=run)
        if makes_shards:
            args.jobs = jobs
        if guarded is not None:
            args.guarded = guarded
        return args

    return SimpleNamespace(output=str(output), parsed=parsed)


def test_shard_ranks__every_field_of_a_plan(shards, tmp_path):
    place = StorageFolder.of(tmp_path / "out")
    fields = ShardRanks(request_for(shards, tmp_path / "out", guarded=b"record")).planned(place, 100.0, 2)
    assert fields == {
        "ranks": (RankPlan(("jpeg/train/0",), 50), RankPlan(("jpeg/train/1", "jpeg/val/0"), 30)),
        "facts": {"rows": ["jpeg/train/0", "jpeg/train/1", "jpeg/val/0"]},
        "notes": {"sizes": {"jpeg/train": 50, "jpeg/val": 20}},
        "estimate": {"seconds": 25 + 5 + 5, "bytes": 1200, "items": "photos"},
        "files": {"duplicates.json.gz": b"record"},
    }
    folder = tmp_path / "out"
    assert shards.calls == [
        ("jobs", None), ("space", folder, 1200), ("claim", folder), ("work", shards.jobs, place),
    ]  # fmt: skip
    by_time = ShardRanks(request_for(shards, "memory://x/out")).planned(place, 30.0, None)
    assert [rank.size for rank in by_time["ranks"]] == [50, 30]
    assert by_time["files"] == {}
    assert shards.folders == [folder, Path(tempfile.gettempdir()) / "camtrace-plan"]
    assert not [call for call in shards.calls[4:] if call[0] in ("space", "claim")]  # a store has room
    with pytest.raises(UsageError) as error:
        ShardRanks(request_for(shards, tmp_path / "out", makes_shards=False)).planned(place, 30.0, None)
    assert str(error.value) == "this build is not made of shards that ranks could write; run it on one machine"


PLAN = Plan("build", (), "", (), {}, {"sizes": {"jpeg/train": 7}})


def plan_to(output):
    return Plan(PLAN.kind, PLAN.argv, str(output), (), {}, PLAN.notes)


@pytest.mark.parametrize(("push", "status"), [(None, 0), ("me/x", 0), ("me/x", 1)])
def test_shard_ranks__a_build_on_this_disk_is_finished_by_the_plain_command(shards, tmp_path, push, status):
    shards.status = status
    storage = StorageFolder.of(tmp_path / "p")
    storage.write("duplicates.json.gz", b"of the plan")
    ranks = ShardRanks(request_for(shards, tmp_path / "out", guarded=b"other"))
    how = FinishOptions(None, push, True)
    assert ranks.finish(plan_to(tmp_path / "out"), {}, storage, how) == status
    (_, args), *rest = shards.calls
    assert (args.output, args.guarded) == (tmp_path / "out", b"of the plan")
    pushed = [("push", tmp_path / "out", "me/x", {"public": True})] if push and not status else []
    assert rest == [("notice", "every shard was verified in 3 s"), *pushed]


@pytest.mark.parametrize("here", [True, False])
def test_shard_ranks__a_build_elsewhere_is_gathered_and_handed_over(shards, tmp_path, here):
    output = StorageFolder.of("memory://x/out")
    how = FinishOptions(tmp_path / "here" if here else None, None, False)
    ranks = ShardRanks(request_for(shards, output))
    assert ranks.finish(plan_to(output), {}, StorageFolder.of(tmp_path / "p"), how) == 0
    names = [call[0] for call in shards.calls]
    assert names == ["jobs", "gather", "run", "notice", *([] if here else ["hand over"])]
    folder = shards.calls[2][1].output
    assert shards.calls[0] == ("jobs", {"jpeg/train": 7})
    assert shards.calls[1] == ("gather", shards.jobs, output, folder)
    assert (folder == tmp_path / "here") is here
    if not here:
        assert shards.calls[-1] == ("hand over", folder, output)
        assert not folder.exists()


@pytest.mark.parametrize("output", ["memory://x/out", ""])
def test_build_work__facts_and_work_of_the_shards_of_the_plan(shards, tmp_path, output):
    output = output or str(tmp_path / "out")
    storage = StorageFolder.of(tmp_path / "p")
    work = ShardRanks(request_for(shards, output, guarded=b"")).open(plan_to(output), storage)
    assert (work.device, work.run, work.facts(["u"])) == ("cpu", "run", {"rows": ["u"]})
    assert shards.calls == [("jobs", {"jpeg/train": 7}), ("work", shards.jobs, StorageFolder.of(output))]
    work.close()
