"""Markers of ranks by state and time, and the folder of a plan by its addresses."""

from __future__ import annotations

import io
import json
import os
import socket
from dataclasses import asdict, replace
from importlib import metadata
from types import SimpleNamespace

import pytest

from builders.cluster import Finished, Markers, Plan, RankFiles, RankPlan, StorageFolder, read_plan, write_plan
from builders.cluster import serve as serve_ranks
from builders.cluster.engines.executors import EngineOptions, Submission
from builders.cluster.engines.local import SHARE, ranks_here, run_locally, use_cpus
from builders.cluster.machine import installed_version, machine_facts, version_facts, versioned_packages, versions_here
from builders.cluster.markers import Failed, Running, host
from builders.cluster.plan import _sources, retire_plan
from builders.cluster.rank_files import refuse_other_versions
from builders.cluster.storage import upload_files
from builders.cluster.worker import check_facts, work_ranks
from builders.errors import DataError, UsageError
from builders.files import temporary_path

PLAN = Plan("count", ("count",), "out", tuple(RankPlan((str(n),), 10) for n in range(4)), {"the moon": "full"})
NAME = PLAN.name


@pytest.fixture
def place(tmp_path):
    place = StorageFolder.of(tmp_path / "plan")
    write_plan(PLAN, place)
    return place


@pytest.fixture
def clock(monkeypatch):
    """The time, which tests set."""
    now = [1000.0]
    monkeypatch.setattr("builders.cluster.markers.time.time", lambda: now[0])
    return now


def files_of(place):
    return (place / "ranks").names()


def test_markers__of_each_state_by_a_single_listing(place, clock):
    markers = Markers(place, NAME)
    markers.beat(0, 900.0, 950.0, 7)
    markers.fail(1, "no space")
    markers.fail(2, "no space", "n2")
    markers.finish(3, Finished({"a": "b"}, 1, 2, 3.5, "n3", {"python": "3"}))
    states = markers.all()
    assert states.running == {0: Running(host(), os.getpid(), 900.0, 1000.0, 950.0, 7)}
    assert states.failed == {1: Failed("no space", host(), 1000.0), 2: Failed("no space", "n2", 1000.0)}
    assert states.done == {3: Finished({"a": "b"}, 1, 2, 3.5, "n3", {"python": "3"})}
    assert markers.done(3) == states.done[3]
    assert markers.done(0) is None
    for name in ("x.done.json", "00000.done.txt", "00000.other.json", "00000.json", "00001.done.json"):
        place.write(f"ranks/{name}", b"{}")
    assert markers.all() == states
    assert Markers(place, "other").all().done == {}


def test_markers__the_later_of_running_and_failed_counts_and_done_always(place, clock):
    markers = Markers(place, NAME)
    for rank, (failed_at, beaten_at) in enumerate(((1000.0, 1001.0), (1001.0, 1000.0), (1000.0, 1000.0))):
        clock[0] = failed_at
        markers.fail(rank, "x")
        clock[0] = beaten_at
        markers.beat(rank, 0.0, 0.0, 0)
    states = markers.all()
    assert (sorted(states.running), sorted(states.failed)) == ([0, 2], [0, 1, 2])
    for rank in range(3):
        place.write(f"ranks/{rank + 5:05d}.done.json", place.read(f"ranks/{rank:05d}.failed.json"))
    markers.place.write("00000.done.json", signed(markers, Finished({}, 1, 0, 1.0)))
    assert (list(markers.all().done), sorted(markers.all().running), sorted(markers.all().failed)) == ([0], [2], [1, 2])


def signed(markers, value):
    markers._write("99999.done.json", asdict(value))
    data = markers.place.read("99999.done.json")
    markers.place.remove("99999.done.json")
    return data


def test_markers__that_other_states_replace(place):
    markers = Markers(place, NAME)
    markers.beat(0, 0.0, 0.0, 1)
    markers.fail(0, "x")
    assert files_of(place) == ["00000.failed.json"]
    markers.beat(0, 0.0, 0.0, 1)
    markers.finish(0, Finished({}, 1, 0, 1.0))
    assert files_of(place) == ["00000.done.json"]
    markers.set_back(0, "lost", "n5")
    assert files_of(place) == ["00000.failed.json"]
    assert (markers.all().failed[0].host, markers.all().failed[0].reason) == ("n5", "lost")
    markers.beat(1, 0.0, 0.0, 1)
    markers.finish(2, Finished({}, 1, 0, 1.0))
    markers.sweep()
    assert files_of(place) == ["00002.done.json"]
    markers.beat(2, 0.0, 0.0, 1)
    markers.fail(2, "y")
    markers.beat(2, 0.0, 0.0, 1)
    markers.clear(2)
    assert files_of(place) == ["00002.done.json"]


def test_host__is_the_node_of_slurm_or_this_machine(monkeypatch):
    monkeypatch.setenv("SLURMD_NODENAME", "n7")
    assert host() == "n7"
    monkeypatch.delenv("SLURMD_NODENAME")
    assert host() == socket.gethostname()


def test_read_plan__by_folder_file_and_name(place, monkeypatch):
    folder = place.folder
    for address in (f"{folder}", f"{folder}/", f"{folder}/plan.json", f"file://{folder}"):
        assert read_plan(address)[0] == PLAN
    monkeypatch.chdir(folder)
    for address in ("plan.json", ".", "./plan.json"):
        plan, there = read_plan(address)
        assert (plan, there.folder.resolve()) == (PLAN, folder)
    for address in (f"{folder}/none", "other/plan.json"):
        with pytest.raises(DataError, match=rf"^{address}: no plan is there; 'camtrace plan' makes one"):
            read_plan(address)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "a plan of format 2, this camtrace reads 1"),
        ({"kind": "absent"}, r"no plan of camtrace \(KeyError: 'kind'\)"),
        ({"ranks": [{"units": ["a"]}]}, r"no plan of camtrace \(KeyError: 'size'\)"),
        ({"ranks": [{"units": ["a"], "size": "x"}]}, r"no plan of camtrace \(ValueError"),
        ({"ranks": [{"units": ["a"], "size": 1, "needs": "0"}]}, "a rank needs one that comes after it"),
        ({"facts": []}, r"no plan of camtrace \(AttributeError"),
        ({"notes": 5}, r"no plan of camtrace \(TypeError"),
    ],
)
def test_read_plan__of_another_form(place, change, message):
    raw = json.loads(place.read("plan.json"))
    place.write("plan.json", json.dumps({k: v for k, v in {**raw, **change}.items() if v != "absent"}).encode())
    with pytest.raises(DataError, match=message):
        read_plan(str(place))


def test_plan__its_name_follows_from_all_of_it_and_its_size_from_its_ranks():
    others = [
        replace(PLAN, kind="x"),
        replace(PLAN, argv=("x",)),
        replace(PLAN, output="x"),
        replace(PLAN, ranks=PLAN.ranks[1:]),
        replace(PLAN, facts={}),
        replace(PLAN, notes={"x": 1}),
        replace(PLAN, estimate={"x": 1}),
        replace(PLAN, ranks=(*PLAN.ranks[:3], replace(PLAN.ranks[3], needs="0"))),
    ]
    names = {plan.name for plan in (PLAN, *others)}
    assert len(names) == 9
    assert {len(name) for name in names} == {16}
    assert replace(PLAN, facts=dict(PLAN.facts)).name == NAME
    assert (PLAN.size, others[3].size) == (40, 30)


def test_code_version__follows_from_code_tables_and_templates(tmp_path):
    """And from nothing else in the folder of a package."""
    package = tmp_path / "package"
    counted = ["a.py", "b.yaml", "sub/c.html.jinja", "sub/deep/d.py", "z.jinja"]
    for name in [*counted, "e.txt", "f.pyc", "g.yml", "node_modules/h.py", "sub/node_modules/i.yaml", "j.json"]:
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(name)
    assert _sources(package) == sorted(package / name for name in counted)


def test_retire_plan__leaves_the_output_alone(place):
    Markers(place, NAME).finish(0, Finished({}, 1, 0, 1.0))
    Markers(place, NAME).fail(1, "x")
    place.write("banks/a", b"1")
    retire_plan(place)
    assert place.all_names() == ["banks/a"]
    write_plan(replace(PLAN, kind="other"), place)


def test_storage__addresses_and_names(tmp_path):
    texts = {f"file://{tmp_path}/x/": f"{tmp_path}/x", "/": "/", "s3://b/run/": "s3://b/run", "a//": "a"}
    assert {address: str(StorageFolder.of(address)) for address in texts} == texts
    assert StorageFolder.of("s3://b/run").folder is None
    assert StorageFolder.of(tmp_path).folder == tmp_path
    assert StorageFolder.of("s3://b/run").path("x/y") == "s3://b/run/x/y"
    place = StorageFolder.of(tmp_path)
    for name in ("b", "a", "sub/c", "sub/deep/d"):
        place.write(name, name.encode())
    (tmp_path / "link").symlink_to(tmp_path / "sub")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    assert place.names() == ["a", "b"]
    assert place.all_names() == ["a", "b", "sub/c", "sub/deep/d"]
    assert (place / "none").names() == (place / "none").all_names() == []
    upload_files(tmp_path, StorageFolder.of(tmp_path / "copy"))
    assert StorageFolder.of(tmp_path / "copy").all_names() == ["a", "b", "sub/c", "sub/deep/d"]
    temporary_path(tmp_path / "sub" / "x").touch()  # also of a process that lives: none may write there
    place.sweep()
    assert not list(tmp_path.rglob("*.tmp"))


def test_storage__a_store_of_objects_gets_no_folder_and_another_one_does(tmp_path, monkeypatch):
    calls = []

    class Store:
        def __getattr__(self, name):
            return lambda *given, **more: calls.append((name, given, more))

    monkeypatch.setattr("builders.cluster.storage.open_store", lambda address: (Store(), "bucket/run/a"))
    (tmp_path / "file").write_bytes(b"2")
    for address in ("s3://bucket/run", "hf://buckets/me/run", "sftp://bucket/run"):
        place = StorageFolder.of(address)
        place.write("a", b"1")
        place.put(tmp_path / "file", "a")
    written = [("pipe_file", ("bucket/run/a", b"1"), {}), ("put_file", (str(tmp_path / "file"), "bucket/run/a"), {})]
    folder = ("makedirs", ("bucket/run",), {"exist_ok": True})
    assert calls == [*written, *written, folder, written[0], folder, written[1]]


PACKAGES = [("s3", "s3fs"), ("gs", "gcsfs"), ("az", "adlfs"), ("x", r"fsspec\[x\]")]


@pytest.mark.parametrize(
    ("protocols", "makes"),
    [("s3 s3a gs gcs abfs abfss az adl hf oss oci", False), ("sftp memory hdfs smb file webhdfs", True)],
)
def test_storage__a_misspelt_bucket_is_not_made_in_any_store_of_objects(protocols, makes):
    for protocol in protocols.split():
        made = []
        files = SimpleNamespace(makedirs=lambda path, exist_ok, made=made: made.append((path, exist_ok)))
        StorageFolder(f"{protocol}://bucket/run")._make_folder(files, "bucket/run/ranks/00000.done.json")
        assert made == ([("bucket/run/ranks", True)] if makes else [])


@pytest.mark.parametrize(("protocol", "package"), PACKAGES)
def test_storage__names_the_package_that_an_address_needs(monkeypatch, protocol, package):
    def absent(address):
        raise ImportError("no module")

    monkeypatch.setattr("builders.cluster.storage.open_store", absent)
    with pytest.raises(UsageError, match=rf"(?s){protocol}://b.*{package}|{package}.*{protocol}://b"):
        StorageFolder.of(f"{protocol}://b").read("a")


def test_rank_files__a_late_file_is_waited_for_on_disks_alone(place, monkeypatch):
    slept, notices = [], []
    monkeypatch.setattr("builders.cluster.rank_files.time.sleep", slept.append)
    monkeypatch.setattr("builders.cluster.rank_files.notice", notices.append)
    moments = iter(range(100))
    monkeypatch.setattr("builders.cluster.rank_files.time.monotonic", lambda: next(moments))
    done = {1: Finished({"banks/a": "0" * 64}, 1, 0, 1.0, "n1")}
    with pytest.raises(DataError, match=r"banks/a: is not there after 3 s: rank 1 on n1 made it\. 'camtrace work"):
        RankFiles(PLAN, place, done, 3).read("banks/a")
    assert slept == [1.0, 1.0]
    assert notices == [f"{place}/banks/a of rank 1 on n1 is not there; waiting up to 3 s for it"]
    assert Markers(place, NAME).all().failed[1].reason == "1 file of it lost or damaged: banks/a"
    store = StorageFolder.of("memory://late")
    with pytest.raises(DataError, match="banks/a: is not there: rank 1 on n1 made it"):
        RankFiles(PLAN, store, done, 3).read("banks/a")
    with pytest.raises(DataError, match="banks/b: no rank of the plan has written it; plan again"):
        RankFiles(PLAN, place, done, 3).read("banks/b")
    assert len(notices) == 1
    some = {1: Finished({"banks/a": "", "banksx/b": "", "c": ""}, 1, 0, 1.0)}
    assert RankFiles(PLAN, place, some).paths("banks") == ["banks/a"]


def test_versions__of_the_machine_and_of_the_plan(monkeypatch):
    versions = {"numpy": "2.1+cpu", "pillow": "11.0"}

    def version(name):
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr("builders.cluster.machine.metadata.version", version)
    facts = {**version_facts(["pillow", "numpy", "torch"]), "the code": "1"}
    assert facts == {"the version of pillow": "11.0", "the version of numpy": "2.1", "the code": "1"}
    assert versioned_packages(facts) == ["pillow", "numpy"]
    assert (installed_version("numpy"), installed_version("torch")) == ("2.1+cpu", "")
    with_torch = {**facts, "the version of torch": "2.9"}
    del facts["the code"]
    assert versions_here(with_torch) == {**facts, "the version of torch": "not installed"}
    here = machine_facts(with_torch, "cuda")
    assert here.pop("python").count(".") == 2
    assert here == {"device": "cuda", "pillow": "11.0", "numpy": "2.1+cpu", "torch": "not installed"}


def test_refuse_other_versions__one_rank_and_machines_that_say_nothing(place):
    plan = replace(PLAN, facts={"the version of numpy": "2.1"})
    same = {0: Finished({}, 1, 0, 1.0, "n0"), 1: Finished({}, 1, 0, 1.0, "n1", {"numpy": "2.1"})}
    refuse_other_versions(plan, same, place)
    with pytest.raises(DataError, match=r"rank 2 ran on n2 with numpy 2\.2, the plan has 2\.1\. 'camtrace work"):
        refuse_other_versions(plan, {2: Finished({}, 1, 0, 1.0, "n2", {"numpy": "2.2"})}, place)


def test_check_facts__the_first_that_differs_is_named():
    check_facts(PLAN, {})
    check_facts(PLAN, {"the moon": "full"})
    for facts, words in (
        ({"the moon": "new"}, "the moon here: new; of the plan: full"),
        ({"a": "1", "b": "2"}, "a here: 1; of the plan: none"),
    ):
        with pytest.raises(DataError, match=rf"^{host()}: {words}\. Nothing was made"):
            check_facts(PLAN, facts)


@pytest.mark.parametrize("rank", [-1, 4])
def test_work_ranks__of_no_rank_of_the_plan(place, rank):
    with pytest.raises(DataError, match=rf"^rank {rank}: the plan has ranks 0 to 3"):
        work_ranks(PLAN, place, [rank], lambda: None)


@pytest.mark.parametrize(
    ("ranks", "tasks", "shares"),
    [
        ((0, 1, 2, 3, 4), 2, ["0,2,4", "1,3"]),
        ((0, 1, 2), None, ["0", "1", "2"]),
        ((0, 1, 2), 9, ["0", "1", "2"]),
        ((4, 5, 6), 1, ["4-6"]),
    ],
)
def test_shares__neighbours_go_to_different_tasks(ranks, tasks, shares):
    assert Submission(StorageFolder("p"), ranks, EngineOptions(tasks=tasks)).shares() == shares


@pytest.mark.parametrize(("text", "count"), [("3", 3), ("1", 1), ("0", 1), ("x", 1), ("-2", 1), ("", 1), (None, 1)])
def test_ranks_here__by_the_environment(monkeypatch, text, count):
    monkeypatch.delenv(SHARE, raising=False)
    if text is not None:
        monkeypatch.setenv(SHARE, text)
    assert ranks_here() == count


def test_use_cpus__threads_that_the_user_set_stay():
    for before, threads in (({}, "3"), ({"OMP_NUM_THREADS": "1"}, "1")):
        environment = dict(before)
        use_cpus(3, environment)
        assert environment == {"CAMTRACE_CPUS": "3", "OMP_NUM_THREADS": threads}


def test_serve__runs_each_rank_that_is_read():
    answers, ran = io.StringIO(), []
    serve_ranks(lambda rank: ran.append(rank) or ("bad" if rank == 7 else ""), ["3\n", "7\n"], answers)
    assert ran == [3, 7]
    assert [json.loads(line) for line in answers.getvalue().splitlines()] == [
        {"rank": 3, "reason": ""},
        {"rank": 7, "reason": "bad"},
    ]


def test_run_locally__a_killed_process_is_named_by_its_signal_and_every_rank_is_reported(tmp_path):
    script = tmp_path / "rank"
    script.write_text(
        '#!/bin/sh\nwhile read n; do if [ "$n" = 2 ]; then kill -9 $$; fi; '
        'echo "{\\"reason\\": \\"$CAMTRACE_RANKS_HERE\\"}"; done\n'
    )
    script.chmod(0o755)
    reported = {}
    failed = run_locally([str(script)], [0, 2, 4], 1, on_rank=reported.__setitem__)
    assert failed == reported == {0: "1", 2: "its process was killed (SIGKILL; out of memory?)", 4: "1"}
