"""Ranks that fetch, without servers: the plan whole, lists and rows by hand, what is imported and removed."""

import argparse
import asyncio
import hashlib
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from builders.cluster import Finished, FinishOptions, Plan, RankPlan, StorageFolder, write_plan
from builders.errors import DataError, UsageError
from builders.flickrexif.fetch import cluster as module
from builders.flickrexif.fetch.cluster import FetchRanks
from builders.flickrexif.fetch.rank_work import (
    FetchWork,
    _PlanTarget,
    describe_list,
    fact_name,
    list_names,
    list_path,
    read_rows,
    rows_path,
)
from builders.flickrexif.fetch.transfer import FetchCounts, FetchPlan, FetchRequest, FileRow
from tests.builders.flickrexif.test_funnel import file, fill

PLAN = FetchPlan(connections=8, per_host=6)


def photo(id, **changed):
    urls = {"o": [f"https://a.net/{id}_o.jpg", 4, 3], "l": [f"https://a.net/{id}_l.jpg", 2, 1]}
    return {"id": id, "owner": "1@N00", "source": "search", "urls": json.dumps(urls), "rank": 0, "selected": 1,
            **changed}  # fmt: skip


def ranks_of(state, plan=PLAN):
    return FetchRanks(argparse.Namespace(state=state.folder), plan)


def planned(state, folder, count=None, plan=PLAN):
    return ranks_of(state, plan).planned(StorageFolder(str(folder)), 60.0, count)


def request(id, size="o", spent=()):
    return [id, size, f"https://a.net/{id}_{size}.jpg", None, list(spent)]


def test_plan__lists_ranks_and_estimate(state, tmp_path):
    """250 photos to fetch are three units; of two ranks the first has two of them."""
    fill(state, "photos", *(photo(id) for id in range(1, 256)), photo(300, selected=0))
    stored = {"size": "o", "url": "u", "path": "files/1.jpg", "sha256": "aa"}
    fill(state, "files", *({**file(id, "ok", size=1000 * id), **stored} for id in range(1, 4)), file(4, "failed"),
         file(5, "gone", "no such size"))  # fmt: skip
    result = planned(state, tmp_path / "plan", 2)
    lists = [[request(id) for id in range(first, last)] for first, last in ((6, 106), (106, 256))]
    data = ["".join(json.dumps(each) + "\n" for each in one).encode() for one in lists]
    names = [hashlib.sha256(one).hexdigest()[:16] for one in data]
    assert result == {
        "ranks": (RankPlan((f"{names[0]}/0",), 100), RankPlan((f"{names[1]}/0", f"{names[1]}/1"), 150)),
        "facts": {
            f"the list {names[0]}": f"100 photos to fetch, {names[0]}",
            f"the list {names[1]}": f"150 photos to fetch, {names[1]}",
        },
        "estimate": {"seconds": None, "bytes": 2000 * 250, "items": "photos to fetch"},
        "files": {f"lists/{name}.jsonl": one for name, one in zip(names, data, strict=True)},
    }
    assert (tmp_path / "plan").stat().st_mode & 0o777 == 0o700
    assert len(planned(state, tmp_path / "plan")["ranks"]) == 3  # six at most, and three units
    assert state.value("SELECT count(*) FROM files") == 5


def test_plan__of_what_failed_with_a_limit(state, tmp_path):
    fill(state, "photos", *(photo(id) for id in range(1, 6)))
    fill(state, "files", file(1, "failed"), {**file(2, "gone", "too large"), "size": "o"})
    both = replace(PLAN, sizes=("o", "l"), retry_failed=True, limit=3)
    result = planned(state, tmp_path / "plan", plan=both)
    (data,) = result["files"].values()
    assert [json.loads(line) for line in data.splitlines()] == [request(1), request(2, "l", ["o"]), request(3)]
    assert result["estimate"]["bytes"] is None
    (data,) = planned(state, tmp_path / "plan", plan=replace(both, retry_failed=False))["files"].values()
    assert [json.loads(line) for line in data.splitlines()] == [request(3), request(4), request(5)]


def test_plan__refusals(state, tmp_path):
    with pytest.raises(UsageError) as error:
        planned(state, tmp_path / "plan", 7)
    assert "--connections" in str(error.value)
    with pytest.raises(DataError) as error:
        planned(state, tmp_path / "plan", 6)
    assert str(state.folder) in str(error.value)
    assert not (tmp_path / "plan").exists()
    with state.exclusive("fetch"), pytest.raises(UsageError, match="another 'fetch' is running"):
        planned(state, tmp_path / "plan")


@pytest.mark.parametrize(
    ("plan", "ranks", "share"), [(PLAN, 3, (2, 2)), (PLAN, 4, (2, 1)), (PLAN, 1, (8, 6)), (PLAN, 9, (1, 1))]
)
def test_open__each_rank_has_its_share_of_the_limits(state, plan, ranks, share):
    storage = StorageFolder("memory://x")
    of_all = Plan("build", (), "", tuple(RankPlan((), 0) for _ in range(ranks)), {})
    work = ranks_of(state, plan).open(of_all, storage)
    assert (work._storage, work._plan) == (storage, replace(plan, connections=share[0], per_host=share[1]))
    assert work.device == "cpu"


FINISH = FinishOptions(None, None, False)


def finished(state, folder, monkeypatch):
    """Finish a plan of two ranks whose files are imported by a double."""
    ranks = (RankPlan(("aa/0", "aa/1"), 150), RankPlan(("bb/0",), 50))
    plan = Plan("build", (), str(folder), ranks, {})
    done = {0: Finished({"rows/aa-00000.jsonl": "1"}, 1, 0, 0.0), 1: Finished({"rows/bb-00000.jsonl": "2"}, 1, 0, 0.0)}
    calls = []
    counts = FetchCounts(3, 2_500_000)
    monkeypatch.setattr(module, "import_files", lambda *given: calls.append(given) or counts)
    monkeypatch.setattr(module, "remove_taken_down", lambda state: calls.append("taken down"))
    storage = StorageFolder(str(folder))
    return plan, lambda how=FINISH: ranks_of(state).finish(plan, done, storage, how), calls, storage


def test_finish__imports_once_and_removes_what_names_people(state, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "plan"
    plan, finish, calls, storage = finished(state, folder, monkeypatch)
    state.set("fetches by ranks", ["another"])
    for name in (
        "lists/aa.jsonl",
        "lists/bb.jsonl",
        "rows/aa-00000.jsonl",
        "files/1.jpg",
        "incoming/1.jpg",
        "plan.json",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    assert finish() == 0
    assert calls[0] == "taken down"
    given_state, given_storage, files = calls[1]
    assert (given_state.folder, given_storage) == (state.folder, storage)
    assert files == {"rows/aa-00000.jsonl": "1", "rows/bb-00000.jsonl": "2"}
    assert state.setting("fetches by ranks") == ["another", plan.name]
    assert [path.name for path in folder.iterdir()] == ["plan.json"]
    assert capsys.readouterr().out == "3 photos fetched (2.5 MB), 0 failed\n"
    assert finish() == 0
    assert (len(calls), capsys.readouterr().out) == (2, "the state has it already\n")
    for how in (replace(FINISH, output=tmp_path), replace(FINISH, push_to="a/b")):
        with pytest.raises(UsageError) as error:
            finish(how)
        assert "camtrace build flickrexif build" in str(error.value)


def test_finish__of_an_object_store_removes_lists_and_rows(state, tmp_path, monkeypatch):
    _, finish, _, storage = finished(state, f"memory://{tmp_path.name}", monkeypatch)
    for name in ("lists/aa.jsonl", "lists/bb.jsonl", "rows/aa-00000.jsonl", "rows/aa-00001.jsonl",
                 "rows/bb-00000.jsonl", "plan.json"):  # fmt: skip
        storage.write(name, b"x")
    finish()
    assert list(storage.all_names()) == ["plan.json"]


def test_plan__that_is_imported_makes_room_for_the_next(state, tmp_path):
    fill(state, "photos", photo(1))
    folder = tmp_path / "plan"
    result = planned(state, folder)
    plan = Plan("build", (), str(folder), result["ranks"], result["facts"])
    write_plan(plan, StorageFolder(str(folder)))
    planned(state, folder)
    assert (folder / "plan.json").is_file()
    state.set("fetches by ranks", [plan.name])
    planned(state, folder)
    assert not (folder / "plan.json").is_file()


def row(id, status="ok", path="default", **changed):
    path = f"files/00/00/{id}_o.jpg" if path == "default" else path
    return FileRow(id, "o", "u", status, path, "aa", 9, "image/jpeg", 1, None, None, 5.0)._replace(**changed)


def as_lines(*rows):
    return "".join(json.dumps(each) + "\n" for each in rows).encode()


def test_names__of_lists_and_rows():
    assert (rows_path("ab/7"), list_path("ab"), fact_name("ab")) == (
        "rows/ab-00007.jsonl",
        "lists/ab.jsonl",
        "the list ab",
    )
    assert list_names(["a/0", "b/0", "a/1"]) == ["a", "b"]
    data = b"x\n" * 1234
    assert describe_list(data) == f"1,234 photos to fetch, {hashlib.sha256(data).hexdigest()[:16]}"


def test_read_rows__of_fetched_photos_alone():
    rows = [row(1), row(2, "gone", None), row(3, path="files/12/34/3_6k.png")]
    assert list(read_rows(as_lines(*rows), "w")) == rows
    for data in (b"{}\n", b"[1]\n", as_lines(row("1")), as_lines([*row(1), 1])):
        with pytest.raises(DataError) as error:
            list(read_rows(data, "w"))
        assert str(error.value)
    for path in (7, "a.jpg", "/files/00/00/1_o.jpg", "files/0/00/1_o.jpg", "files/00/00/../1_o.jpg", "files/00/00/1_o"):
        with pytest.raises(DataError) as error:
            list(read_rows(as_lines(row(1, path=path)), "w"))
        assert str(error.value) == "w: a row names a file elsewhere"


def test_work__reads_its_units_and_their_facts(tmp_path):
    storage = StorageFolder(str(tmp_path))
    data = as_lines(*[request(id, spent=["l"]) for id in range(250)])
    storage.write("lists/aa.jsonl", data)
    work = FetchWork(storage, PLAN)
    assert work.facts(["aa/0", "aa/2"]) == {"the list aa": describe_list(data)}
    for number, ids in ((0, range(100)), (1, range(100, 200)), (2, range(200, 250))):
        assert work._requests(f"aa/{number}") == [
            FetchRequest(id, "o", f"https://a.net/{id}_o.jpg", None, ("l",)) for id in ids
        ]
    with pytest.raises(DataError) as error:
        work._requests("bb/0")
    assert str(tmp_path) in str(error.value)
    for line in (b"7\n", b'["x", 1, 2, 3, []]\n', b"[1, 2]\n", b"[1, 2, 3, 4, 5]\n"):
        storage.write("lists/bb.jsonl", line)
        with pytest.raises(DataError) as error:
            work._requests("bb/0")
        assert str(tmp_path) in str(error.value)


def test_plan_target__of_an_object_store_has_a_folder_of_its_own_until_it_is_closed():
    puts, written = [], {}
    storage = SimpleNamespace(
        folder=None, read=lambda name: None, write=written.__setitem__,
        put=lambda file, path: puts.append((file.read_bytes(), path)),
    )  # fmt: skip
    target = _PlanTarget(storage, {"aa/0": [FetchRequest(4, "o", "u", None)]}, lambda many: None)
    arrived = target.temporary("4.jpg")
    arrived.write_bytes(b"four")
    asyncio.run(target.save(row(4), arrived))
    assert puts == [(b"four", "files/00/00/4_o.jpg")]
    assert written == {"rows/aa-00000.jsonl": as_lines(row(4))}
    target.close()
    assert not arrived.parent.exists()
    target.close()


def test_plan_target__units_that_are_complete_are_not_fetched_again(tmp_path):
    storage, ticks = StorageFolder(str(tmp_path)), []
    units = {
        f"aa/{n}": [FetchRequest(id, "o", "u", None) for id in ids] for n, ids in enumerate([(1, 2), (4, 3), (5,)])
    }
    whole = as_lines(row(1), row(2, "gone", None))
    storage.write("rows/aa-00000.jsonl", whole)
    storage.write("rows/aa-00001.jsonl", as_lines(row(3), row(7)))  # of other photos
    storage.write("rows/aa-00002.jsonl", b"no rows\n")
    target = _PlanTarget(storage, units, ticks.append)
    assert (target.total(), [r.id for r in target.requests()], target.failures) == (3, [4, 3, 5], 1)
    assert target.files == {"rows/aa-00000.jsonl": hashlib.sha256(whole).hexdigest()}
    arrived = target.temporary("4.jpg")
    assert arrived.parent == tmp_path / "incoming"
    arrived.write_bytes(b"four")
    asyncio.run(target.save(row(4), arrived))
    assert (tmp_path / "files/00/00/4_o.jpg").read_bytes() == b"four"
    assert (storage.read("rows/aa-00001.jsonl"), ticks) == (as_lines(row(3), row(7)), [1])
    asyncio.run(target.save(row(3, "failed", None, error_class="timeout"), None))
    written = as_lines(row(3, "failed", None, error_class="timeout"), row(4))  # by id
    assert storage.read("rows/aa-00001.jsonl") == written
    assert target.files["rows/aa-00001.jsonl"] == hashlib.sha256(written).hexdigest()
    assert (target.failures, ticks, list(target.files)) == (2, [1, 1], ["rows/aa-00000.jsonl", "rows/aa-00001.jsonl"])
    assert (target.counts.fetched, target.counts.failures) == (1, {"timeout": 1})
    target.close()
