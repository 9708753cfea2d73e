"""Searches of a test server: recall, the cap, no repeated call, and slices that are too large for Flickr."""

import collections

import numpy as np
import pytest

from builders.errors import UsageError
from builders.flickrexif.api.call_budget import CallBudget
from builders.flickrexif.api.client import Credentials, FlickrClient, FlickrUnavailable
from builders.flickrexif.api.clock import SystemClock
from builders.flickrexif.api.licences import PERMISSIVE
from builders.flickrexif.api.search_results import month_of, rank
from builders.flickrexif.search.plan import MAX_RESULTS, SearchPlan
from builders.flickrexif.search.search import search
from builders.flickrexif.search.status import status_text
from builders.flickrexif.store.store import State
from builders.flickrexif.store.tombstones import forget
from tests.support.flickr import KEY, SECRET, Faults, serving
from tests.support.flickr_world import BURST_START, DAYS, START, World

END = START + DAYS * 86400
MONTH = 1333238400, 1335830400  # April 2012
YEAR = START, START + 366 * 86400
SOME_FAULTS = Faults(busy=0.03, broken=0.03, html=0.03, code=0.03)


def expected_ids(world, start, end, cap, seed=0, licences=PERMISSIVE):
    """Photos that the cap allows, computed without slices and pages."""
    by_owner = collections.defaultdict(list)
    for at in world.results(start, end - 1, licences):
        by_owner[world.nsid(at), month_of(int(world.uploaded[at]))].append(int(world.ids[at]))
    return {id for ids in by_owner.values() for id in sorted(ids, key=lambda i: (rank(i, seed), i))[:cap]}


def run(state, flickr, start=MONTH[0], end=MONTH[1], cap=2, **options):
    clock = SystemClock()
    budget = CallBudget(state.path_of("budget.json"), clock, 10**8)
    client = FlickrClient(
        Credentials(KEY, SECRET), state.record_call, clock, budget,
        user_agent="test", url=flickr.api_url, first_wait_s=0.001,
    )  # fmt: skip
    plan = {"per_user_month": cap, "licences": PERMISSIVE, "empty_again_s": 0.01, **options}
    search(state, client, SearchPlan(start=start, end=end, **plan), connections=2)


def selected(state):
    return {row[0] for row in state.rows("SELECT id FROM photos WHERE selected = 1")}


@pytest.mark.slow
def test_search__finds_every_photo_that_the_cap_allows_in_a_large_world(state):
    world = World()
    assert world.count >= 20_000
    with serving(world, SOME_FAULTS) as flickr:
        run(state, flickr, START, END, cap=3, with_exif=False)
        assert selected(state) == expected_ids(world, START, END, 3)
        assert flickr.deepest <= MAX_RESULTS
        assert flickr.exif_calls == {}
    total_listed = state.value("SELECT sum(found) FROM slices WHERE status = 'done'")
    assert total_listed == len(world.results(START, END - 1, PERMISSIVE))
    assert state.value("SELECT count(*) FROM slices WHERE instr(licences, ',') = 0") > 0  # the burst: cut by licence
    assert state.value("SELECT count(*) FROM slices WHERE status = 'truncated'") == 0


@pytest.mark.slow
def test_search__requests_each_photo_once_and_a_second_run_requests_nothing(state):
    world = World()
    with serving(world, SOME_FAULTS) as flickr:
        run(state, flickr)
        assert set(flickr.exif_calls) | {
            int(world.ids[at]) for at in range(world.count) if world.deleted(at)
        } >= selected(state)
        assert set(flickr.exif_calls.values()) == {1}
        assert set(flickr.exif_calls) <= expected_ids(world, *MONTH, 2)
        before = sum(flickr.calls.values())
        run(state, flickr)
        assert sum(flickr.calls.values()) == before
    for id, status in state.rows("SELECT id, exif_status FROM photos"):
        at = world.index(id)
        rare = {"gone": world.deleted(at), "hidden": world.hidden_exif(at), "empty": world.no_exif(at)}
        true = next((name for name, is_so in rare.items() if is_so), "ok")
        assert status == true


def test_search__span_may_grow_and_months_stay_whole(state, tmp_path):
    world = World()
    with serving(world) as flickr:
        middle = (MONTH[0] + MONTH[1]) // 2
        run(state, flickr, MONTH[0], middle, with_exif=False)
        run(state, flickr, MONTH[0], MONTH[1], with_exif=False)
    assert selected(state) == expected_ids(world, *MONTH, 2)


def test_search__cap_does_not_depend_on_the_order_of_results(tmp_path):
    world = World()
    with serving(world) as flickr, State(tmp_path / "a", create=True) as a, State(tmp_path / "b", create=True) as b:
        run(a, flickr, with_exif=False)
        run(b, flickr, with_exif=False, each_licence=True)
        assert selected(a) == selected(b) == expected_ids(world, *MONTH, 2)
        with State(tmp_path / "c", create=True) as c:
            run(c, flickr, with_exif=False, seed=1)
            assert selected(c) == expected_ids(world, *MONTH, 2, seed=1) != selected(a)


def test_search__one_licence_with_nearly_4000_in_five_minutes_is_read_to_its_end(state):
    world = World(count=4200, burst=4200, owners=4200)
    world.__dict__["licence"] = np.where(np.arange(4200) < 3900, 4, 0)
    with serving(world) as flickr:
        run(state, flickr, BURST_START - 60, BURST_START + 200, with_exif=False)
        assert flickr.deepest == MAX_RESULTS
    assert selected(state) == expected_ids(world, BURST_START - 60, BURST_START + 200, 2)


def test_search__more_results_than_flickr_returns_are_recorded(state):
    world = World(count=5000, burst=5000, owners=5000)
    world.__dict__["licence"] = np.full(5000, 4)
    with serving(world) as flickr:
        run(state, flickr, BURST_START - 60, BURST_START + 200, cap=1, with_exif=False)
        assert flickr.deepest == MAX_RESULTS
    assert [tuple(r) for r in state.rows("SELECT found FROM slices WHERE status = 'truncated'")] == [(MAX_RESULTS,)]


def test_search__forgotten_photos_and_owners_do_not_come_back(state):
    world = World()
    first = int(world.ids[world.results(*MONTH, PERMISSIVE)[0]])
    owner = world.nsid(world.results(*MONTH, PERMISSIVE)[5])
    forget(state, photos=[str(first)], owners=[owner])
    with serving(world) as flickr:
        run(state, flickr, with_exif=False)
    owners = {row[0] for row in state.rows("SELECT owner FROM photos")}
    assert first not in selected(state)
    assert owner not in owners
    assert len(owners) > 100


def test_search__another_plan_for_the_same_state_is_refused(state):
    with serving(World(count=100)) as flickr:
        run(state, flickr, with_exif=False)
        with pytest.raises(UsageError, match="--per-user-month 2"):
            run(state, flickr, cap=3)


@pytest.mark.slow
def test_search__stops_if_the_service_is_down_and_stores_photos_so_far(state):
    with serving(World(), Faults(broken=1.0, times=100)) as flickr, pytest.raises(FlickrUnavailable):
        run(state, flickr)
    with serving(World()) as flickr:
        run(state, flickr)
    assert selected(state) == expected_ids(World(), *MONTH, 2)


@pytest.mark.slow
def test_search__photos_without_a_response_are_requested_again_by_the_next_run(state):
    world = World(count=3000, burst=0)
    with serving(world) as flickr:
        flickr.fault = lambda name: "broken" if "getExif" in name and "0'" in name else None
        run(state, flickr)
        failed = state.value("SELECT count(*) FROM photos WHERE exif_status = 'failed'")
        assert failed > 0
        del flickr.fault
        requests = flickr.calls["flickr.photos.getExif"]
        run(state, flickr)
        assert flickr.calls["flickr.photos.getExif"] == requests + failed
    assert state.value("SELECT count(*) FROM photos WHERE exif_status = 'failed'") == 0


def overloaded(flickr, first_page):
    """Make the test server send an empty response to the first request of each first page, or of each later page."""
    true, requests = flickr.search, collections.Counter()

    def search(query):
        key = query["min_upload_date"], query["max_upload_date"], query["page"]
        requests[key] += 1
        empty = (query["page"] == "1") == first_page and requests[key] == 1
        return {**true(query), "total": "0", "photo": []} if empty else true(query)

    flickr.search = search
    return requests


@pytest.mark.slow
@pytest.mark.parametrize("first_page", [True, False])
def test_search__slices_with_empty_or_short_responses_are_read_again_later(state, first_page):
    world = World(count=21_000, burst=0)  # months of more than a page
    with serving(world) as flickr:
        requests = overloaded(flickr, first_page)
        run(state, flickr, *YEAR, cap=2, with_exif=False)
        again = sum(count > 1 for count in requests.values())
    assert again >= 12
    assert selected(state) == expected_ids(world, *YEAR, 2)
    assert "taken on trust" not in status_text(state)


def test_search__a_slice_that_stays_empty_is_accepted_and_counted(state):
    world = World(count=2000, burst=0)
    may = MONTH[1] + 31 * 86400
    world.__dict__["licence"] = np.where((world.uploaded >= MONTH[1]) & (world.uploaded < may), 0, world.licence)
    clock = []
    with serving(world) as flickr:
        requests = overloaded(flickr, first_page=None)
        run(state, flickr, MONTH[0], may + 30 * 86400, empty_again_s=0.3)
        clock = [row[0] for row in state.rows("SELECT at FROM calls WHERE method = 'photos.search' ORDER BY at")]
    assert sorted(requests.values()) == [1, 1, 2]
    assert clock[-1] - clock[1] >= 0.3
    assert "1 empty slices taken on trust" in status_text(state)
    assert selected(state) == expected_ids(world, MONTH[0], may + 30 * 86400, 2)
    run_before = state.value("SELECT count(*) FROM calls")
    with serving(world) as flickr:
        run(state, flickr, MONTH[0], may + 30 * 86400)
    assert state.value("SELECT count(*) FROM calls") == run_before


def test_search__resumes_after_a_kill_while_a_slice_is_doubted(state):
    world = World(count=2000, burst=0)
    with serving(world) as flickr:
        overloaded(flickr, first_page=True)
        state.clock.sleep = lambda seconds: (_ for _ in ()).throw(KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            run(state, flickr, empty_again_s=60)
        assert "1 of them came back empty and are requested again" in status_text(state)
        del state.clock.sleep
        run(state, flickr, empty_again_s=0.01)
    assert selected(state) == expected_ids(world, *MONTH, 2)
