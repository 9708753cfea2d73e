"""Ranks that fetch, without servers: the plan whole, lists and rows by hand, what is imported and removed."""

import argparse
import hashlib
import json
from dataclasses import replace

import pytest

from builders.cluster import Plan, RankPlan, StorageFolder, write_plan
from builders.errors import DataError, UsageError
from builders.flickrexif.fetch.cluster import FetchRanks
from builders.flickrexif.fetch.transfer import FetchPlan
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
    with state.exclusive("fetch"), pytest.raises(UsageError, match="'fetch'"):
        planned(state, tmp_path / "plan")


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
