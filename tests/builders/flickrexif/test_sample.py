"""Samples from a test server with a simulated clock: even over months whenever stopped, and as long as forecast."""

import re
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from builders.errors import UsageError
from builders.flickrexif.api.call_budget import CallBudget, budget_file
from builders.flickrexif.api.client import Credentials, FlickrClient
from builders.flickrexif.api.licences import PERMISSIVE
from builders.flickrexif.cli.steps import main
from builders.flickrexif.search.forecast import forecast
from builders.flickrexif.search.plan import SearchPlan
from builders.flickrexif.search.search import pilot, search
from builders.flickrexif.search.status import status_text
from builders.flickrexif.search.strata import PER_TURN, Stratum, turns_of, windows_of
from builders.flickrexif.store.store import State
from tests.builders.flickrexif.test_search import expected_ids
from tests.support.clocks import SimulatedClock
from tests.support.flickr import KEY, SECRET, Faults, serving
from tests.support.flickr_world import DAYS, START, World

END = START + DAYS * 86400
PER_HOUR = 3600
WORLD = World(count=9000, burst=600, owners=3000, skew=0.5)
PHOTOS = 480


class Halt(Exception):
    """Ends a run at any point."""


def client_of(state, flickr, halt_after=None):
    budget = CallBudget(state.path_of("budget.json"), state.clock, PER_HOUR)
    client = FlickrClient(
        Credentials(KEY), state.record_call, state.clock, budget,
        user_agent="test", url=flickr.api_url, first_wait_s=0.001,
    )  # fmt: skip
    if halt_after is not None:
        call, made = client.call, Counter()

        def counted(*arguments, **options):
            made["calls"] += 1
            if made["calls"] > halt_after:
                raise Halt
            return call(*arguments, **options)

        client.call = counted
    return client


def plan_of(photos=PHOTOS, **options):
    options_of_search = {"start": START, "end": END, "per_user_month": 5, "licences": PERMISSIVE, **options}
    return SearchPlan(photos=photos, **options_of_search)


def opened(path):
    return State(path, create=True, clock=SimulatedClock())


def run(state, flickr, plan, halt_after=None, connections=1):
    search(state, client_of(state, flickr, halt_after), plan, connections=connections)


def photos_with_exif(state):
    """Ids of photos with Exif, and their number in each month."""
    rows = state.rows("SELECT id, month FROM photos WHERE selected = 1 AND exif_status = 'ok'")
    return {row[0] for row in rows}, Counter(row[1] for row in rows)


def evenness(months, number=24):
    """p-value of a chi-square test against equally many photos in each month."""
    assert len(months) <= number
    return chisquare([*months.values(), *[0] * (number - len(months))]).pvalue


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A dry run, then the search to its end: (state, forecast, calls of the dry run, seconds of the search)."""
    with serving(WORLD) as flickr, opened(tmp_path_factory.mktemp("sample") / "state") as state:
        predicted = pilot(state, client_of(state, flickr), plan_of(), connections=1)
        before, clock = state.value("SELECT count(*) FROM calls"), state.clock.now()
        run(state, flickr, plan_of())
        yield state, predicted, before, state.clock.now() - clock


@pytest.mark.slow
def test_sample__has_the_requested_photos_evenly_over_months(whole):
    state, *_ = whole
    photos, months = photos_with_exif(state)
    assert len(photos) == PHOTOS
    assert evenness(months) > 0.5
    assert max(months.values()) - min(months.values()) <= 1
    per_owner = state.rows("SELECT count(*) FROM photos WHERE selected = 1 GROUP BY owner, month")
    assert max(row[0] for row in per_owner) <= 5


@pytest.mark.slow
def test_forecast__of_the_dry_run_is_within_a_tenth_of_the_search(whole):
    state, predicted, before, seconds = whole
    assert state.value("SELECT count(*) FROM photos WHERE exif_status IS NOT NULL") >= 100
    took = state.value("SELECT count(*) FROM calls") - before
    assert predicted.calls == pytest.approx(took, rel=0.1)
    assert predicted.seconds(PER_HOUR) == pytest.approx(seconds, rel=0.1)
    assert predicted.files == pytest.approx(state.value("SELECT count(*) FROM photos WHERE selected = 1"), rel=0.1)
    assert forecast(state, PHOTOS).calls == 0
    text = predicted.to_text(PER_HOUR)
    assert re.search(rf"^photos +{PHOTOS}  \d+ are here; Flickr reports \d,\d+ in 24 months$", text, re.M)
    assert "at 3,600 calls an hour" in text
    assert "0.40 bytes a pixel (assumed until files are fetched)" in text


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_sample__stopped_early_is_as_even_and_goes_on_to_the_same_photos(whole, tmp_path, share):
    state, *_ = whole
    all_calls = state.value("SELECT count(*) FROM calls")
    with serving(WORLD) as flickr:
        with opened(tmp_path / "state") as stopped:
            with pytest.raises(Halt):
                run(stopped, flickr, plan_of(), halt_after=round(share * all_calls), connections=3)
            assert evenness(photos_with_exif(stopped)[1]) > 0.5
            assert 0.25 * share < len(photos_with_exif(stopped)[0]) / PHOTOS < 1.2 * share
        with opened(tmp_path / "state") as resumed:
            run(resumed, flickr, plan_of(), connections=3)
            assert photos_with_exif(resumed)[0] == photos_with_exif(state)[0]
        assert set(flickr.exif_calls.values()) == {1}


@pytest.mark.slow
def test_sample__can_grow_until_it_contains_all_photos_that_the_cap_allows(tmp_path):
    world = World(count=600, burst=0, owners=100)
    with serving(world) as flickr, opened(tmp_path / "state") as state:
        run(state, flickr, plan_of(100))
        first = photos_with_exif(state)[0]
        run(state, flickr, plan_of(130))
        assert len(photos_with_exif(state)[0]) == 130
        assert first < photos_with_exif(state)[0]
        run(state, flickr, plan_of(10_000))  # more than Flickr has: every photo, up to the cap
        everything = set(expected_ids(world, START, END, 10**6))
        selected = {row[0] for row in state.rows("SELECT id FROM photos WHERE selected = 1")}
        assert selected <= everything
        of_owner = Counter()
        for id in everything:
            at = world.index(id)
            of_owner[world.nsid(at), np.datetime64(int(world.uploaded[at]), "s").astype("M8[M]")] += 1
        assert len(selected) == sum(min(5, n) for n in of_owner.values())
        assert set(flickr.exif_calls.values()) == {1}
        run(state, flickr, plan_of(None))  # and then all of it, by the cap of whole months
        selected = {row[0] for row in state.rows("SELECT id FROM photos WHERE selected = 1")}
        assert selected == expected_ids(world, START, END, 5)


def test_sample__of_a_state_whose_search_was_begun_without_is_refused(tmp_path):
    with serving(World(count=300, burst=0)) as flickr, opened(tmp_path / "state") as state:
        run(state, flickr, plan_of(None, with_exif=False))
        with pytest.raises(UsageError, match="begun without --limit"):
            run(state, flickr, plan_of(10))


def test_sample__part_of_a_month_gets_photos_in_proportion(tmp_path):
    with serving(World(count=20_000, burst=0)) as flickr, opened(tmp_path / "state") as state:
        run(state, flickr, plan_of(100, end=START + (31 + 29 + 7) * 86400, with_exif=False))
        rows = state.rows("SELECT month, count(*) FROM photos WHERE selected = 1 GROUP BY month")
        counts = {row[0]: row[1] for row in rows}
        assert sum(counts.values()) == 100
        assert counts["2012-03"] == pytest.approx(100 / 9, abs=2)


def test_sample__empty_responses_are_repeated_later_and_then_accepted(tmp_path):
    world = World(count=3000, burst=0, skew=0.0)
    in_march = (world.uploaded >= START + 60 * 86400) & (world.uploaded < START + 91 * 86400)
    world.__dict__["licence"] = np.where(in_march, 0, world.licence)
    with serving(world) as flickr, opened(tmp_path / "state") as state:
        true, searches = flickr.search, []

        def overloaded(query):
            searches.append((query["min_upload_date"], state.clock.now()))
            answer = true(query)
            first = sum(start == searches[-1][0] for start, _ in searches) == 1
            return {**answer, "total": "0", "photo": []} if first and len(searches) % 4 == 0 else answer

        flickr.search = overloaded
        run(state, flickr, plan_of(120, with_exif=False, end=START + 120 * 86400))
        times = {}
        for start, at in searches:
            times.setdefault(start, []).append(at)
        again = [at for at in times.values() if len(at) > 1]
        assert len(again) >= 3
        assert all(at[1] - at[0] >= 600 for at in again)
        assert state.value("SELECT count(*) FROM photos WHERE selected = 1") == 120
        assert "1 empty answers taken on trust" in status_text(state)
        months = state.rows("SELECT month FROM photos WHERE selected = 1 GROUP BY month")
        assert [row[0] for row in months] == ["2012-01", "2012-02", "2012-04"]


@pytest.mark.parametrize("expected", [40.0, 250.0])
def test_turns__every_photo_is_equally_likely_for_every_size_of_window(expected):
    for count in (1, 7, 60, 900):
        firsts = [sum(turn == 0 for turn in turns_of(count, expected, w, seed=3)) for w in range(1500)]
        assert np.mean(firsts) == pytest.approx(PER_TURN * count / expected, abs=0.06)
        assert max(firsts) - min(firsts) <= 1
        turns = turns_of(count, expected, 5, seed=3)
        assert turns == sorted(turns)
        assert turns[-1] <= expected / PER_TURN


def test_stratum__opens_every_window_once_in_seeded_order_and_covers_the_month():
    windows, each = windows_of(12_000, 100)
    assert (windows, each) == (48, PER_TURN)
    spans = [Stratum("2012-01", START, START + 31 * 86400, 12_000, windows, each, n).next_window(0) for n in range(48)]
    assert spans != sorted(spans)
    assert sorted(spans)[0][0] == START
    assert all(a[1] == b[0] for a, b in zip(sorted(spans), sorted(spans)[1:], strict=False))
    assert sorted(spans)[-1][1] == START + 31 * 86400
    other = [Stratum("2012-01", START, START + 31 * 86400, 12_000, windows, each, n).next_window(1) for n in range(48)]
    assert spans != other


def test_cli__dry_run_then_search_then_status(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FLICKR_API_KEY", KEY)
    monkeypatch.setenv("FLICKR_API_SECRET", SECRET)
    state = ["--state", str(tmp_path / "state")]
    with serving(World(count=3000, burst=0), Faults(busy=0.02, html=0.02)) as flickr:
        months = ["--from", "2012-03-01", "--to", "2012-08-31", "--calls-per-hour", "100000000"]
        options_of_search = [*state, *months, "--api-url", flickr.api_url, "--first-wait", "0.01", "--photos", "120"]
        assert main(["search", *options_of_search, "--dry-run"]) == 0
        out = capsys.readouterr().out
        assert re.search(r"^calls +\d+  0 count months, \d+ search, \d+ ask for Exif, \d+ try again$", out, re.M)
        made = int(re.search(r"^(\d+) calls made so far", out, re.M)[1])
        assert made >= 106
        assert main(["search", *options_of_search]) == 0
        assert budget_file(KEY).is_file()
        assert set(flickr.exif_calls.values()) == {1}
    capsys.readouterr()
    assert main(["status", *state, "--calls-per-hour", "3600"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^sample requested +120  120 are here, 20 to 20 in a month, \d+ slices opened$", out, re.M)
    assert re.search(r"^still needed +0  nothing left \(at 3,600 calls an hour\)$", out, re.M)
    assert " 0.0 h left" not in out
