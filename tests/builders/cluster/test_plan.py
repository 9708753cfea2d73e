"""Plans, markers and storage folders, with a kind of work that needs no photos."""

import hashlib
import json
import time
import zlib
from dataclasses import replace

import pytest

from builders.cluster import (
    Finished,
    Markers,
    Plan,
    RankFiles,
    RankPlan,
    StorageFolder,
    cut,
    download_files,
    progress,
    read_plan,
    refuse_other_versions,
    state_text,
    upload_files,
    work_ranks,
    write_plan,
)
from builders.errors import DataError, UsageError

PLAN = Plan("count", ("count", "OUTPUT"), "out", tuple(RankPlan((str(n),), 10) for n in range(3)), {"the moon": "full"})


class Counting:
    """Work that writes a file for each unit."""

    device = "cpu"

    def __init__(self, place, moon="full", stop=()):
        self.place, self.moon, self.stop, self.ran = place, moon, stop, []

    def facts(self, units):
        return {"the moon": self.moon}

    def run(self, units, tick):
        from builders.cluster import RankResult

        self.ran += units
        if units[0] in self.stop:
            raise ZeroDivisionError("no more numbers\nsecond line")
        self.place.write(f"{units[0]}.txt", units[0].encode())
        tick(10)
        return RankResult({f"{units[0]}.txt": "hash"}, failures=1)

    def close(self):
        pass


@pytest.fixture
def place(tmp_path):
    place = StorageFolder.of(tmp_path / "plan")
    write_plan(PLAN, place)
    return place


@pytest.mark.parametrize(("units", "count"), [(1, 1), (7, 3), (10, 10), (10, 25), (1000, 64)])
def test_cut__every_unit_once_in_order(units, count):
    given = [(str(n), 5, 1 + n % 3) for n in range(units)]
    ranks = cut(given, 60.0, count)
    assert [unit for rank in ranks for unit in rank.units] == [name for name, _, _ in given]
    assert sum(rank.size for rank in ranks) == 5 * units
    assert len(ranks) == min(units, count)
    longest = max(sum(1 + int(unit) % 3 for unit in rank.units) for rank in ranks)
    assert longest <= 2 * units / len(ranks) + 3


@pytest.mark.parametrize(
    ("costs", "sizes"),
    [
        ((100.0, 1.0, 1.0, 1.0), [1, 1, 2]),
        ((1.0, 1.0, 1.0, 100.0), [2, 1, 1]),
        ((1.0, 100.0, 1.0, 1.0), [1, 1, 2]),
        ((0.0, 0.0, 0.0, 0.0), [2, 1, 1]),
    ],
)
def test_cut__no_rank_is_empty_however_unequal_units_are(costs, sizes):
    """A measurement on a busy machine may give one of a few units nearly all of the time."""
    ranks = cut([(str(i), 1, cost) for i, cost in enumerate(costs)], 60.0, 3)
    assert [len(rank.units) for rank in ranks] == sizes


def test_cut__by_time_gives_costly_units_separate_ranks():
    ranks = cut([("a", 1, 10.0), ("b", 1, 5.0), ("c", 1, 2.0), ("d", 1, 2.0)], 10.0)
    assert [rank.units for rank in ranks] == [("a",), ("b", "c", "d")]


def test_plan__is_read_as_it_was_written_and_never_changed(place):
    read, there = read_plan(str(place))
    assert (read, there) == (PLAN, place)
    assert read_plan(f"{place}/plan.json")[0].name == PLAN.name
    write_plan(PLAN, place)
    with pytest.raises(UsageError, match="holds another plan"):
        write_plan(replace(PLAN, output="elsewhere"), place)


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"format": 9}', '{"format": 1, "kind": "x"}', '{"format": 1, "ranks": 3}']
)
def test_plan__untrusted(tmp_path, text):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(DataError):
        read_plan(str(tmp_path))


def test_work__only_what_is_missing(place):
    work = Counting(place, stop=("1",))
    reported = []
    failed = work_ranks(
        PLAN, place, [0, 1, 2], lambda: work, on_rank=lambda rank, reason: reported.append((rank, reason))
    )
    assert failed == {1: "ZeroDivisionError: no more numbers"}
    assert reported == [(0, ""), (1, failed[1]), (2, "")]
    now = progress(PLAN, place)
    assert (now.done, now.missing, now.running) == ([0, 2], [1], [])
    assert "failed on" in state_text(now, place)
    again = Counting(place)
    assert work_ranks(PLAN, place, [0, 1, 2], lambda: again) == {}
    assert again.ran == ["1"]
    done = Markers(place, PLAN.name).all()
    assert not done.failed
    assert {rank: (f.items, f.failures, f.files) for rank, f in done.done.items()} == {
        n: (10, 1, {f"{n}.txt": "hash"}) for n in range(3)
    }
    assert state_text(progress(PLAN, place), place).endswith(f"next: camtrace finish {place}")


def test_work__refuses_a_machine_that_differs_before_it_works(place):
    work = Counting(place, moon="new")
    (reason,) = work_ranks(PLAN, place, [1], lambda: work).values()
    assert "moon" in reason
    assert work.ran == []


def test_markers__of_another_plan_or_damaged_do_not_count(place):
    markers = Markers(place, PLAN.name)
    markers.finish(0, Finished({"a": "b"}, 1, 0, 2.0, "here"))
    assert Markers(place, "another").done(0) is None
    path = place.folder / "ranks/00000.done.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "items": 2}))
    assert markers.done(0) is None


@pytest.mark.parametrize("address", ["folder", "memory://places"])
def test_storage_folder__files(tmp_path, address):
    place = StorageFolder.of(address if "://" in address else tmp_path / address) / "deeper"
    assert place.names() == []
    assert place.read("a") is None
    place.write("a", b"1")
    place.write("a", b"2")
    (tmp_path / "file").write_bytes(b"3")
    place.put(tmp_path / "file", "below/b")
    place.get("below/b", tmp_path / "back" / "b")
    assert (tmp_path / "back" / "b").read_bytes() == b"3"
    assert (place.read("a"), place.names(), (place / "below").names()) == (b"2", ["a"], ["b"])
    with pytest.raises(DataError, match="is not there"):
        place.get("c", tmp_path / "c")
    place.remove("a")
    place.remove("a")
    assert place.names() == []
    assert not list(tmp_path.rglob("*.tmp"))


def test_storage_folder__refuses_repositories_and_says_what_an_address_needs():
    with pytest.raises(UsageError, match="commit"):
        StorageFolder.of("hf://datasets/me/photos")
    assert str(StorageFolder.of("hf://buckets/me/photos/")) == "hf://buckets/me/photos"
    with pytest.raises(UsageError):
        StorageFolder.of("nonsense://x").read("y")


def test_upload_files__leaves_temporary_files_and_downloads_the_rest(tmp_path):
    for name in ("a.json", "ranks/b.json", "ranks/c.json.tmp"):
        (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / name).write_text(name)
    place = StorageFolder.of(tmp_path / "store")
    upload_files(tmp_path / "from", place)
    assert sorted(place.all_names()) == ["a.json", "ranks/b.json"]
    download_files(place, tmp_path / "back")
    assert (tmp_path / "back/ranks/b.json").read_text() == "ranks/b.json"
    upload_files(tmp_path / "absent", place)


def test_status__a_later_process_with_the_number_of_a_rank_is_not_the_rank(place, monkeypatch):
    markers, long_ago = Markers(place, PLAN.name), time.time() - 90_000
    markers.beat(0, long_ago, long_ago, 4)  # this process, which was not there then
    assert progress(PLAN, place).gone == [0]


def test_plan__stages_and_ranks_that_lack_others(place):
    ranks = tuple(RankPlan((str(n),), 1, needs) for n, needs in enumerate(("", "", "0-1", "", "1,2")))
    plan = replace(PLAN, ranks=ranks)
    assert plan.stages(range(5)) == [[0, 1, 3], [2], [4]]
    assert plan.stages([4, 3]) == [[3], [4]]
    assert (plan.lacking(4, {2}), plan.lacking(2, {0, 1}), plan.lacking(0, ())) == ([1], [], [])
    other = StorageFolder.of(place.folder.with_name("staged"))
    write_plan(plan, other)
    assert read_plan(str(other))[0] == plan
    text = (other.folder / "plan.json").read_text().replace('"1,2"', '"1,4"')
    (other.folder / "plan.json").write_text(text)
    with pytest.raises(DataError):
        read_plan(str(other))


def signed(**content):
    """A marker of the plan whose checksum fits."""
    raw = {"plan": PLAN.name, **content}
    return json.dumps({**raw, "crc32": zlib.crc32(json.dumps(raw, sort_keys=True).encode())}).encode()


SOUND = {"files": {"banks/a": "0"}, "items": 1, "failures": 0, "seconds": 1.5, "host": "n", "machine": {"numpy": "2"}}


@pytest.mark.parametrize(
    "lie",
    [
        *({"files": {path: "0"}} for path in ("../x", "/etc/x", "a/../../x", "plan.json", "ranks/00001.done.json", "")),
        *({"files": value} for value in ([], ["banks/a"], {"banks/a": 5}, None)),
        *({"files": {path: "0"}} for path in ("banks/a\x1b[2J", "a\n", "a/./b", "a//b", "a/", "ranks", "/")),
        *({"items": value} for value in ("1", None, 10**20, 10**15, -(10**15), 1.5)),
        *({"seconds": value} for value in ("1", float("nan"), [], 1e15)),
        {"host": 5},
        {"machine": {"numpy": {}}},
    ],
    ids=str,
)
def test_markers__whose_values_no_rank_writes_do_not_count(place, lie):
    """Files of a rank that is set back are removed: none may lie elsewhere."""
    place.write("ranks/00000.done.json", signed(**SOUND))
    assert Markers(place, PLAN.name).done(0) == Finished(**SOUND)
    place.write("ranks/00000.done.json", signed(**{**SOUND, **lie}))
    assert Markers(place, PLAN.name).done(0) is None
    assert not Markers(place, PLAN.name).all().done


def test_work__a_rank_is_done_after_those_that_it_needs(place):
    ranks = tuple(RankPlan((str(n),), 1, needs) for n, needs in enumerate(("", "0", "1")))
    plan, work = replace(PLAN, ranks=ranks), Counting(place)
    assert work_ranks(plan, place, [1], lambda: work) == {
        1: "0 of the 1 ranks that it needs are done; first do 0, then it again"
    }
    assert work.ran == []
    assert not Markers(place, plan.name).all().failed
    assert work_ranks(plan, place, [0, 1, 2], lambda: work) == {}
    assert work.ran == ["0", "1", "2"]


def test_rank_files__names_rank_and_host_and_sets_back_every_rank_with_a_bad_file(place):
    markers, hashes = Markers(place, PLAN.name), {}
    for rank, host in enumerate(("n1", "n2", "n3")):
        place.write(f"banks/{rank}", host.encode())
        hashes[rank] = {f"banks/{rank}": hashlib.sha256(host.encode()).hexdigest()}
        markers.finish(rank, Finished(hashes[rank], 1, 0, 1.0, host))
    files = RankFiles(PLAN, place, markers.all().done, 0)
    assert (files.read("banks/1"), files.paths("banks")) == (b"n2", ["banks/0", "banks/1", "banks/2"])
    place.write("banks/1", b"another")
    place.remove("banks/2")
    with pytest.raises(DataError) as error:
        files.read("banks/1")
    assert str(place) in str(error.value)
    states = markers.all()
    assert (list(states.done), {rank: failed.host for rank, failed in states.failed.items()}) == (
        [0],
        {1: "n2", 2: "n3"},
    )
    assert place.read("banks/1") is None
    with pytest.raises(DataError):
        files.read("banks/9")


def test_refuse_other_versions__sets_ranks_back_that_ran_with_others(place):
    """Of ranks 0 to 2 the first ran with the versions of the plan, the others not; rank 1 has two wrong ones."""
    plan = replace(PLAN, facts={"the version of numpy": "2.1", "the version of pillow": "11.0", **PLAN.facts})
    markers = Markers(place, plan.name)
    versions = ({"numpy": "2.1+cpu"}, {"numpy": "2.0", "pillow": "10.0"}, {"pillow": "not installed"})
    for rank, machine in enumerate(versions):
        place.write(f"{rank}.txt", b"made")
        markers.finish(rank, Finished({f"{rank}.txt": "hash"}, 1, 0, 1.0, f"n{rank}", machine))
    with pytest.raises(DataError) as error:
        refuse_other_versions(plan, markers.all().done, place)
    first = "rank 1 ran on n1 with numpy 2.0, the plan has 2.1"
    assert str(first) in str(error.value)
    states = markers.all()
    assert list(states.done) == [0]
    assert {rank: (failed.host, failed.reason) for rank, failed in states.failed.items()} == {
        1: ("n1", first),
        2: ("n2", "rank 2 ran on n2 with pillow not installed, the plan has 11.0"),
    }
    assert [place.read(f"{rank}.txt") for rank in range(3)] == [b"made", None, None]
    refuse_other_versions(plan, states.done, place)
