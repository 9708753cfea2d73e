"""Fetching: byte identity, refusals, and retries."""

import asyncio
import hashlib
import json

import pytest

from builders.errors import UsageError
from builders.flickrexif.fetch.fetch import fetch
from builders.flickrexif.fetch.transfer import FetchPlan
from builders.flickrexif.store.tombstones import forget
from builders.untrusted import AddressRefused
from builders.untrusted.addresses import GuardedBackend
from tests.support.flickr import PLAN, Faults, add, serving
from tests.support.flickr_answers import IMAGE, JPEG, answering
from tests.support.flickr_world import World

WORLD = World(count=400, burst=0)


def rows(state):
    return {row["photo_id"]: row for row in state.rows("SELECT * FROM files")}


@pytest.mark.slow
def test_fetch__bytes_are_the_servers_and_failures_have_classes(state):
    faults = Faults(busy=0.05, broken=0.05, html=0.05, slow=0.02, cut=0.05, slow_s=0.05)
    with serving(WORLD, faults) as flickr:
        add(state, flickr, range(WORLD.count))
        counts = fetch(state, PLAN)
        assert flickr.agents == {PLAN.user_agent}
    files = rows(state)
    assert len(files) == WORLD.count
    for at in range(WORLD.count):
        row = files[int(WORLD.ids[at])]
        if WORLD.no_original(at):
            assert (row["status"], row["error_class"]) == ("gone", "no such size")
        elif WORLD.deleted(at) or WORLD.silent_placeholder(at):
            assert (row["status"], row["error_class"], row["path"]) == ("gone", "unavailable", None)
        else:
            true = WORLD.file(at, "o")
            assert (row["status"], row["size"], row["content_type"]) == ("ok", "o", "image/jpeg")
            assert row["sha256"] == hashlib.sha256(true).hexdigest()
            assert state.path_of(row["path"]).read_bytes() == true
    ok = sum(row["status"] == "ok" for row in files.values())
    assert (counts.fetched, sum(counts.failures.values())) == (ok, WORLD.count - ok)
    on_disk = [p for p in (state.folder / "files").rglob("*") if p.is_file()]
    assert len(on_disk) == ok


def test_fetch__second_run_makes_no_requests(state):
    with serving(WORLD) as flickr:
        add(state, flickr, range(60))
        fetch(state, PLAN)
        before = dict(flickr.attempts)
        fetch(state, PLAN)
        assert dict(flickr.attempts) == before


@pytest.mark.slow
def test_fetch__sizes_in_order_of_preference_and_the_choice_is_stored(state):
    with serving(WORLD) as flickr:
        add(state, flickr, range(WORLD.count))
        fetch(state, FetchPlan(**{**PLAN.__dict__, "sizes": ("o", "l")}))
    files = rows(state)
    positions = [at for at in range(WORLD.count) if WORLD.no_original(at)]
    assert positions
    for at in positions:
        row = files[int(WORLD.ids[at])]
        assert (row["size"], row["sha256"]) == ("l", hashlib.sha256(WORLD.file(at, "l")).hexdigest())
    with pytest.raises(UsageError, match="size"):
        FetchPlan(sizes=("xxl",))


def test_fetch__transient_failures_wait_for_retry_failed_permanent_ones_are_final(state):
    alive = [at for at in range(100) if WORLD.kind[at] > 0.25]
    dead = next(at for at in range(WORLD.count) if WORLD.deleted(at))
    with serving(WORLD, Faults(broken=1.0, times=2)) as flickr:
        add(state, flickr, [*alive[:5], dead])
        once = FetchPlan(**{**PLAN.__dict__, "attempts": 2})
        fetch(state, once)
        assert {row["status"] for row in rows(state).values()} == {"failed"}
        assert {row["error_class"] for row in rows(state).values()} == {"http 502"}
        fetch(state, once)
        assert sum(flickr.attempts.values()) == 12
        fetch(state, FetchPlan(**{**once.__dict__, "retry_failed": True}))
        assert {row["status"] for row in rows(state).values()} == {"ok", "gone"}
        before = sum(flickr.attempts.values())
        fetch(state, FetchPlan(**{**once.__dict__, "retry_failed": True}))
        assert sum(flickr.attempts.values()) == before


def test_fetch__loopback_is_refused_by_default(state):
    with serving(WORLD) as flickr:
        add(state, flickr, range(5))
        fetch(state, FetchPlan(**{**PLAN.__dict__, "allow_loopback": False, "sizes": ("l",)}))
        assert flickr.attempts == {}
    assert {(r["status"], r["error_class"]) for r in rows(state).values()} == {("gone", "bad url")}  # by its port
    with pytest.raises(AddressRefused):
        asyncio.run(GuardedBackend().connect_tcp("127.0.0.1", 80))


def test_fetch__another_hash_than_the_published_one_is_refused(state):
    with serving(WORLD) as flickr:
        at = next(at for at in range(100) if WORLD.kind[at] > 0.5)
        add(state, flickr, [at])
        with state.transaction() as db:
            db.execute("UPDATE photos SET expected_sha256 = ?", ("0" * 64,))
        fetch(state, PLAN)
    assert [(r["status"], r["error_class"]) for r in rows(state).values()] == [("gone", "changed")]
    assert not any(p.is_file() for p in (state.folder / "files").rglob("*"))


def test_forget__deletes_rows_and_bytes_even_of_files_without_a_row(state):
    with serving(WORLD) as flickr:
        add(state, flickr, range(100))
        fetch(state, PLAN)
        victim = next(row for row in rows(state).values() if row["status"] == "ok")
        stray = state.path_of(victim["path"]).with_name(f"{victim['photo_id']}_l.jpg")
        stray.write_bytes(b"x")  # a run that is killed between rename and record leaves this
        done = forget(state, photos=[str(victim["photo_id"])])
        assert (done.photos, done.files) == (1, 2)
        assert not state.path_of(victim["path"]).exists()
        assert not stray.exists()
        assert state.value("SELECT count(*) FROM files WHERE photo_id = ?", victim["photo_id"]) == 0
        owner = state.value("SELECT owner FROM photos LIMIT 1")
        reference = state.value("SELECT count(*) FROM photos WHERE owner = ?", owner)
        assert forget(state, owners=[owner]).photos == reference
        assert state.value("SELECT count(*) FROM photos WHERE owner = ?", owner) == 0
    with pytest.raises(UsageError, match="NSID"):
        forget(state, owners=["somebody"])
    with pytest.raises(UsageError, match="--photo x1"):
        forget(state, photos=["x1"])


def test_fetch__a_failure_belongs_to_the_requested_size(state):
    positions = [at for at in range(WORLD.count) if WORLD.no_original(at)]
    assert positions
    larger = FetchPlan(**{**PLAN.__dict__, "sizes": ("o", "l")})
    again = FetchPlan(**{**larger.__dict__, "retry_failed": True})
    with serving(WORLD) as flickr:
        add(state, flickr, positions)
        fetch(state, PLAN)
        assert {row["error_class"] for row in rows(state).values()} == {"no such size"}
        fetch(state, larger)
        assert flickr.attempts == {}
        fetch(state, again)
        assert {(row["status"], row["size"]) for row in rows(state).values()} == {("ok", "l")}
        assert sum(flickr.attempts.values()) == len(positions)


def test_fetch__a_size_that_failed_permanently_is_not_requested_again(state):
    states = []

    def sizes():
        return FetchPlan(**{**PLAN.__dict__, "sizes": ("o", "l"), "retry_failed": True})

    with answering((404, {}, b""), (404, {}, b""), (200, IMAGE, JPEG)) as url:
        with state.transaction() as db:
            db.execute(
                "INSERT INTO photos (id, owner, source, urls, rank, selected) VALUES (5, '1@N00', 'search', ?, 0, 1)",
                (json.dumps({"o": [url, 1, 1], "l": [url.replace("_o", "_b"), 1, 1]}),),
            )
        for _ in range(3):
            fetch(state, sizes())
            states.append(tuple(rows(state)[5][name] for name in ("status", "size", "error_class")))
    # the third response, a photo, is never requested: both sizes have failed permanently
    assert states == [("gone", "o", "gone"), ("gone", "l,o", "gone"), ("gone", "l,o", "gone")]
