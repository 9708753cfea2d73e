"""Plans of runs without a run: shares of ranks, facts, machines, and which notes and units are those of a plan."""

import hashlib
import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.bank import hash_of_block, key_hash
from benchmark.cluster import finish as finish_module
from benchmark.cluster import plan as plan_module
from benchmark.cluster import read_request, task_ranks, work
from benchmark.cluster.finish import finish, machines
from benchmark.cluster.plan import Frozen, apportioned
from benchmark.cluster.plan_form import TaskUnit, check_plan
from benchmark.cluster.planned_run import encoder_facts, packages_of, photo_facts
from benchmark.cluster.task_ranks import planned_tasks
from benchmark.cluster.task_work import folder_of
from benchmark.options import RunOptions
from benchmark.scoring import PassTimes
from benchmark.tasks import all_tasks
from builders.cluster import Finished, FinishOptions, StorageFolder
from builders.errors import DataError, UsageError
from builders.photos import PhotoSet
from tests.benchmark.cluster.test_request import KEY, plan_with


def test_apportioned__no_other_shares_have_a_shorter_longest_rank():
    rng = np.random.default_rng(0)
    for _ in range(200):
        n = int(rng.integers(1, 4))
        seconds = [float(s) for s in rng.choice([0.5, 1, 3, 9, 20], n)]
        most = [int(m) for m in rng.integers(1, 5, n)]
        count = int(rng.integers(0, 9))
        shares = apportioned(seconds, most, count)
        assert all(1 <= share <= limit for share, limit in zip(shares, most, strict=True))
        allowed = max(n, min(count, sum(most)))
        assert sum(shares) == allowed
        every = itertools.product(*(range(1, limit + 1) for limit in most))
        longest = [max(np.divide(seconds, other)) for other in every if sum(other) <= allowed]
        assert max(np.divide(seconds, shares)) == min(longest)


def changed(key=None, **notes):
    return plan_with(**({"keys": {"0/a": key, "0/b": KEY}} if key else {}), **notes)


def with_encoder(**more):
    return {**KEY, "encoder": {**KEY["encoder"], **more}}


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        (plan_with(), ""),
        (plan_with("score"), ""),
        (plan_with("x" * 50), f"the kind {'x' * 40!r} is none that is planned"),
        (changed(with_encoder(dimension=1)), ""),
        (changed(with_encoder(dimension=(1 << 24) - 1)), ""),
        *((changed(with_encoder(dimension=d)), "has no dimension") for d in (0, 1 << 24, True, 1.5, "8")),
        (changed(with_encoder(id=7)), "names no encoder or photos"),
        (changed({**KEY, "photos": {"bytes": None}}), "names no encoder or photos"),
        (plan_with(keys={"-1/a": KEY}), "a key of '-1/a', which it does not have"),
        (plan_with(keys={"x/a": KEY}), "ValueError"),
        (plan_with(inputs={"0/a": [1], "0/b": None}), "the input of '0/a' has no size"),
        (plan_with(inputs={"0/a": [1, 2.0], "0/b": None}), "the input of '0/a' has no size"),
        (plan_with(inputs={"0/a": [1, 2], "0/b": [True, 2]}), "the input of '0/b' has no size"),
        (plan_with(inputs={"0/a": [1, 2, 3], "0/b": None}), "the input of '0/a' has no size"),
        (plan_with(device=0), "its encoders have no names"),
        (plan_with(runtimes={"a": None}), "its encoders have no names"),
        (plan_with(groups=[["a", 5]]), "its encoders have no names"),
        (plan_with(bytes={}), "it has no hashes of photos"),
        (plan_with(answers=[]), "it has no hashes of photos"),
        (plan_with(answers={}), ""),
        *((plan_with(units=[unit]), "") for unit in ("0/0/0", "0/0/99", "task 0 0 0/1 knn/jpeg", "task 0 1 4/5 a/b")),
        *(
            (plan_with(units=["0/0/0", unit]), f"it has no unit {unit!r}")
            for unit in (
                *("task 0 0 1/1 knn/jpeg", "task 0 0 1/0 knn/jpeg", "task 0 0 -1/2 knn/jpeg", "task 0 -1 0/0 knn/jpeg"),
                *("task 1 0 0/0 knn/jpeg", "task 0 0 0/0 knn", "task 0 0 0/0 a/..b", "1/0/0", "0/-1/0", "0/0/-1"),
            )
        ),
        (plan_with(units=["task 0 2 0/0 knn/jpeg"]), "IndexError"),
        (plan_with("build", sizes={"a": 0}), "the sizes of its shards are no numbers"),
        (plan_with("build", sizes={"a": 1.0}), "the sizes of its shards are no numbers"),
        (plan_with("build", sizes=[1]), "the sizes of its shards are no numbers"),
        (plan_with("build", sizes={}), ""),
        (plan_with("build", sizes="absent"), ""),
    ],
)  # fmt: skip
def test_check_plan__every_note_and_unit(plan, problem):
    kinds = ("score", "sweep", "embed", "build")
    if not problem:
        return check_plan(plan, kinds)
    with pytest.raises(DataError) as error:
        check_plan(plan, kinds)
    assert str(error.value).startswith("the plan of out is none that camtrace wrote (")
    assert problem in str(error.value)
    return None


def test_task_unit__its_text_is_read_back():
    for unit in (TaskUnit(0, 2, "knn/jpeg", 1, 3), TaskUnit(10, 0, "a task/with words", 0, 0)):
        assert TaskUnit.of(unit.text) == unit
        assert TaskUnit.names_one(unit.text)
    assert not TaskUnit.names_one("0/0/0")
    assert not TaskUnit.names_one("tasks 0")
    assert folder_of({"a": 1}, "knn/jpeg") == f"outcomes/{key_hash({'a': 1})}/knn--jpeg"


@pytest.mark.parametrize(("count", "at"), [(1, [0]), (5, [0, 1, 2, 3, 4]), (9, [0, 1, 2, 3, 4, 5, 6, 8]), (80, None)])
def test_photo_facts__the_list_and_bytes_of_a_few_photos(count, at):
    photos = PhotoSet.of_bytes("toy", {f"{i}": f"photo {i}".encode() for i in range(count)})
    facts = photo_facts(photos)
    at = at or [0, 11, 22, 33, 45, 56, 67, 79]
    digests = [hashlib.sha256(f"photo {i}".encode()).digest() for i in at]
    assert facts == {
        "the photos of toy": f"{count}, {photos.question_hash()}",
        f"the bytes of {len(at)} photos of toy": hash_of_block(digests),
    }


def test_photo_facts__of_a_source_with_a_fingerprint():
    photos = PhotoSet.of_bytes("toy", {"a": b"x"})
    source = SimpleNamespace(fingerprint=lambda: 77)
    assert photo_facts(replace(photos, source=source)) == {
        "the photos of toy": f"1, {photos.question_hash()}",
        "what toy is made of": "77",
    }


def test_encoder_facts__weights_preprocessing_runtime_and_the_whole_key():
    photos = PhotoSet.of_bytes("toy", {"a": b"x"})
    key = {"encoder": {"weights_sha256": "w" * 64, "preprocessing": {"size": 4}, "dtype": "float16", "library": "timm"}}
    facts = encoder_facts("me/net", photos, key)
    assert facts == {
        "the weights of me/net": "w" * 16,
        "the preprocessing of me/net": key_hash({"size": 4})[:16],
        "the runtime of me/net": "torch, float16",
        "everything that decides the embeddings of me/net on toy": key_hash(key),
    }
    by_onnx = {"encoder": {**key["encoder"], "runtime": {"name": "onnxruntime"}}}
    assert encoder_facts("me/net", photos, by_onnx)["the runtime of me/net"] == "onnxruntime, float16"


@pytest.mark.parametrize(
    ("library", "packages"),
    [
        ("transformers", ["transformers"]),
        ("timm", ["timm"]),
        ("open_clip", ["open_clip_torch"]),
        ("checkpoint", ["open_clip_torch", "timm", "transformers"]),
        ("onnx", ["onnxruntime"]),
        ("onnxruntime", ["onnxruntime"]),
        ("openvino", ["openvino"]),
        ("callable", []),
    ],
)
def test_packages_of__by_the_name_in_keys(library, packages):
    usual = ["torch", "torchvision", "numpy", "scipy", "numba", "pillow"]
    for encoder in ({"library": library}, {"library": "callable", "runtime": {"name": library}}):
        assert packages_of([{"encoder": encoder}, {"encoder": encoder}]) == [*usual, *packages]


def finished(host, seconds, **machine):
    return Finished({}, 1, 0, seconds, host, machine)


def test_machines__ranks_of_equal_ones_are_an_entry(monkeypatch):
    notices = []
    monkeypatch.setattr(finish_module, "notice", notices.append)
    both = {"python": "3.11", "numpy": "2.1"}
    cpu, gpu = {"device": "cpu", **both}, {"device": "H100", **both}
    done = {
        4: finished("n1", 1.0004, **cpu),
        0: finished("n1", 2.0, **cpu),
        1: finished("n1", 3.0, **cpu),
        2: finished("n2", 4.0, **cpu),
        3: finished("n1", 5.0, **gpu),
    }
    of_all = {"python": "3.11", "versions": {"numpy": "2.1"}}
    assert [dict(record) for record in machines(plan_with(), done)] == [
        {"ranks": "0-1,4", "host": "n1", "device": "cpu", "seconds": 6.0, **of_all},
        {"ranks": "2", "host": "n2", "device": "cpu", "seconds": 4.0, **of_all},
        {"ranks": "3", "host": "n1", "device": "H100", "seconds": 5.0, **of_all},
    ]
    assert notices == []
    other = {5: finished("n3", 1.0, numpy="2.1+x", torch="2.9"), 6: finished("n4", 1.0)}
    records = machines(plan_with(), {**done, **other})
    assert (records[3]["device"], records[3]["python"], records[4]["versions"]) == ("", "", {})
    assert notices == [
        "ranks have different builds of numpy: 2.1 (ranks 3), 2.1+x (ranks 5),  (ranks 6); results record them",
        "ranks have different builds of torch:  (ranks 6), 2.9 (ranks 5); results record them",
    ]


@pytest.mark.parametrize("how", [{"push_to": "me/x"}, {"output": "x"}])
def test_finish__of_embeddings_writes_no_results(how, tmp_path):
    options = FinishOptions(**{"output": None, "push_to": None, "public": False, **how})
    with pytest.raises(UsageError, match="'embed' fills banks and writes no results; plan 'sweep' to have some"):
        finish(plan_with("embed"), {}, StorageFolder.of(tmp_path), options)


def job(*tasks):
    return SimpleNamespace(tasks=tuple(tasks), photos="photos")


def test_planned_tasks__those_that_ranks_can_compute_measured_once_for_each_dimension(monkeypatch):
    measured = []

    def times(tasks, photos, dimension, options, device):
        measured.append(([task.name for task in tasks], photos, dimension, options, device))
        seconds = {"probe/jpeg": None, "knn/jpeg": dimension}
        return {name: SimpleNamespace(seconds=seconds[name]) for name in seconds if name in measured[-1][0]}

    monkeypatch.setattr(task_ranks, "task_times", times)
    monkeypatch.setattr(task_ranks, "replace", lambda job, tasks: SimpleNamespace(tasks=tasks, photos=job.photos))
    known = all_tasks()
    tasks = [known["probe/jpeg"], known["knn/jpeg"], replace(known["probe/sharpening"]), known["answers/jpeg"]]
    tasks.append(replace(known["probe/resizing"], run=len))  # a task of a user under a name of the registry
    run = SimpleNamespace(args=SimpleNamespace(), sets=[job(*tasks), job(known["knn/jpeg"])], options="options")
    keys = {
        f"{number}/{spec}": {"encoder": {"dimension": dimension}}
        for number in (0, 1)
        for spec, dimension in (("a", 8), ("b", 16), ("c", 8))
    }
    planned = planned_tasks(run, ["a", "b", "c"], keys, "cuda")
    names = ["probe/jpeg", "knn/jpeg", "probe/sharpening"]
    assert [(of[0], of[2], of[4]) for of in measured] == [
        (names, 8, "cuda"), (names, 16, "cuda"), (["knn/jpeg"], 8, "cuda"), (["knn/jpeg"], 16, "cuda"),
    ]  # fmt: skip
    assert [(task.number, task.encoder, task.task.name, task.seconds) for task in planned] == [
        *((0, encoder, name, seconds) for encoder, dimension in enumerate((8, 16, 8))
          for name, seconds in zip(names, (0.0, dimension, 0.0), strict=True)),
        *((1, encoder, "knn/jpeg", dimension) for encoder, dimension in enumerate((8, 16, 8))),
    ]  # fmt: skip
    run.args.eraser = "folder"
    assert planned_tasks(run, ["a"], keys, "cpu") == []


FROZEN = Frozen({"photos": {"count": 70}}, "torch", PassTimes(making_s=8.0, forward_s=3.0, bank_bytes=10**6), None, [])


@pytest.mark.parametrize(("workers", "seconds"), [(0, 14.0), (1, 14.0), (4, 8.0)])
def test_seconds__encoders_of_a_group_share_views(workers, seconds):
    run = SimpleNamespace(options=RunOptions(workers=workers))
    slow = replace(FROZEN, times=PassTimes(making_s=6.0, forward_s=3.0))
    assert plan_module._seconds(run, [["x"], ["a", "b"]], {"0/a": FROZEN, "0/b": slow}, 0, 1) == seconds


def test_disk__banks_of_finish_and_of_ranks_of_tasks():
    frozen = {"0/a": FROZEN, "0/b": replace(FROZEN, times=PassTimes(bank_bytes=3 * 10**6))}
    lines = plan_module._disk(SimpleNamespace(), frozen, tasks=True)
    assert lines[0].startswith("4.0 MB more of banks in the cache of 'finish'")
    assert lines[1] == "up to 3.0 MB of a bank in TMPDIR for each rank of tasks, for a while"
    assert plan_module._disk(SimpleNamespace(), frozen, tasks=False) == lines[:1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "unknown kind of plan ''"),
        (("list",), "unknown kind of plan 'list'"),
        *(
            (("sweep", word), f"{word.partition('=')[0]} does not go with a plan: ")
            for word in ("--fresh", "--dry-run")
        ),
        *((("sweep", word), "does not go with a plan: ") for word in ("--config=x", "--push-to", "--push-to=me/x")),
        (("build",), "unknown build command ''"),
        (("build", "fold"), "unknown build command 'fold'"),
    ],
)
def test_read_request__what_cannot_be_planned(words, message):
    with pytest.raises(UsageError) as error:
        read_request(words)
    assert message in str(error.value)


def test_read_request__the_output_becomes_a_placeholder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words, rest, output in (
        (("sweep", "-o", "out", "-m", "a"), ("-o", "OUTPUT", "-m", "a"), f"{tmp_path}/out"),
        (("sweep", "--output=s3://b/out"), ("--output", "OUTPUT"), "s3://b/out"),
        (("embed", "-m", "a"), ("-m", "a", "--output", "OUTPUT"), None),
    ):
        request = read_request(words)
        assert (request.kind, request.words) == (words[0], (words[0], *rest))
        assert output in (None, request.output)
        assert request.parsed(tmp_path / "here").output == tmp_path / "here"
    assert request.output.startswith(f"{tmp_path}/")


def test_code__is_that_of_the_plan(monkeypatch):
    monkeypatch.setattr(work, "code", lambda: "1.0 (abc)")
    inner = SimpleNamespace(run=1, close=2, device="cpu", facts=lambda units: {"the moon": units})
    assert work._WithCode(inner).facts(["a"]) == {"the code of camtrace": "1.0 (abc)", "the moon": ["a"]}
    assert work.absolute("s3://b/x") == "s3://b/x"
    assert work.absolute("x").startswith("/")
