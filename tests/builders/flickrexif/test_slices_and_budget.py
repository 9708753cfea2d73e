"""Slices of a search, licences, and the budget of calls on a simulated clock."""

import bisect
import contextlib
import fcntl
import random
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.errors import RemoteError, UsageError
from builders.exif import acquisition_from_tags
from builders.flickrexif import LICENCES
from builders.flickrexif.api.call_budget import CallBudget
from builders.flickrexif.api.exif_answers import dumps, entries_from_response, loads
from builders.flickrexif.api.licences import PERMISSIVE, check_with_flickr, chosen_licences
from builders.flickrexif.api.search_results import month_of, search_result
from builders.flickrexif.search.plan import MIN_SLICE_S, SearchPlan, Slice, gaps, months, searchable_end, split
from tests.support.clocks import SimulatedClock
from tests.support.flickr_world import World, licences_answer


@given(st.integers(0, 2**31), st.integers(1, 40 * 86400), st.integers(1, 8))
def test_split__parts_cover_the_slice_once(start, length, count):
    whole = Slice("2012-01", start, start + length, tuple(range(count)), 0.0)
    parts = split(whole, 9000)
    if length >= 2 * MIN_SLICE_S:
        first, second = parts
        assert (first.start, first.end, second.end) == (whole.start, second.start, whole.end)
        assert min(p.end - p.start for p in parts) >= MIN_SLICE_S
        assert all(p.licences == whole.licences for p in parts)
    elif count > 1:
        assert sorted(p.licences[0] for p in parts) == list(range(count))
        assert {(p.start, p.end) for p in parts} == {(whole.start, whole.end)}
    else:
        assert parts == []


@given(st.integers(0, 1000), st.integers(0, 1000), st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000))))
def test_gaps__are_exactly_the_uncovered_seconds(start, end, covered):
    open_seconds = {t for a, b in gaps(start, end, covered) for t in range(a, b)}
    assert open_seconds == set(range(start, end)) - {t for a, b in covered for t in range(a, b)}


@pytest.mark.parametrize(
    ("now", "end"),
    [
        (10 * 86400, 9 * 86400),
        (10 * 86400 + 0.9, 9 * 86400),
        (11 * 86400 - 1, 10 * 86400 - 1),
        (11 * 86400 + 1, 10 * 86400),
    ],
)
def test_searchable_end__photos_of_the_last_day_are_left_to_a_later_search(now, end):
    """Flickr's index may not have them; the plan ends after ten days."""
    state, plan = SimpleNamespace(clock=SimpleNamespace(now=lambda: now)), SearchPlan(0, 10 * 86400, 5, (4,))
    assert searchable_end(state, plan) == end


def test_months__cover_leap_years_and_clip():
    parts = months(1328054400 - 10, 1330560000 + 5)  # around February 2012, which has 29 days
    assert [m for m, _, _ in parts] == ["2012-01", "2012-02", "2012-03"]
    assert parts[1][2] - parts[1][1] == 29 * 86400
    assert all(month_of(start) == month_of(end - 1) == month for month, start, end in parts)


def test_budget__never_more_than_the_limit_in_any_hour_across_restarts(tmp_path):
    clock, made, rng = SimulatedClock(), [], random.Random(0)
    for run in range(6):  # each run is a new process
        budget = CallBudget(tmp_path / "budget.json", clock, 3600)
        for _ in range(1500 + 300 * run):
            budget.take()
            made.append(clock.now())
            clock.sleep(rng.choice((0.0, 0.01, 0.3)))
        clock.sleep(rng.choice((0.0, 5.0, 400.0)))
    most = max(bisect.bisect_left(made, t + 3600) - i for i, t in enumerate(made))
    assert most <= 3600
    hours = (made[-1] - made[0]) / 3600
    assert len(made) / hours > 3300  # and the budget is used


def test_budget__reads_and_writes_under_a_lock_that_other_processes_see(tmp_path):
    path, locked = full_bucket(tmp_path / "budget.json"), []

    class Probe(FrozenClock):
        def now(self):
            locked.append(True)
            with open(path) as other, contextlib.suppress(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
                locked[-1] = False
            return super().now()

    CallBudget(path, Probe()).take()
    CallBudget(path, Probe()).pause(1)
    assert locked
    assert all(locked)


class FrozenClock:
    """A clock that stands still and fails instead of waiting."""

    def now(self):
        return 1_600_000_000.0

    def sleep(self, seconds):
        raise TimeoutError


def full_bucket(path):
    """A bucket that is full at the time of ``FrozenClock``."""
    CallBudget(path, SimulatedClock()).pause(0)
    return path


def test_budget__a_new_or_damaged_file_is_an_empty_bucket(tmp_path):
    clock, path = SimulatedClock(), tmp_path / "budget.json"
    for content in (None, b"", b"{", b"[]", b'{"tokens": null}'):
        if content is not None:
            path.write_bytes(content)
        before = clock.now()
        for _ in range(10):
            CallBudget(path, clock).take()
        assert clock.now() - before >= 10, content
    assert path.stat().st_mode & 0o777 == 0o600


def test_budget__a_clock_that_is_set_back_adds_no_tokens_and_no_long_wait(tmp_path):
    clock = SimulatedClock()
    budget = CallBudget(tmp_path / "budget.json", clock, 120)
    for _ in range(3):
        budget.take()
    clock.at -= 86400
    before = clock.at
    for _ in range(2):
        budget.take()
    assert 30 < clock.at - before < 120


def test_budget__pause_outlives_the_run(tmp_path):
    clock = SimulatedClock()
    CallBudget(tmp_path / "budget.json", clock).pause(120)
    before = clock.now()
    CallBudget(tmp_path / "budget.json", clock).take()
    assert clock.now() - before == pytest.approx(120)


def test_chosen_licences__permissive_by_default_and_flags_for_the_rest():
    assert PERMISSIVE == (4, 5, 7, 8, 9, 10, 11, 12)
    assert chosen_licences() == PERMISSIVE
    assert chosen_licences(non_commercial=True) == (1, 2, 4, 5, 7, 8, 9, 10, 11, 12, 14, 15)
    assert set(chosen_licences(non_commercial=True, no_derivatives=True)) == set(LICENCES) - {0}
    with pytest.raises(UsageError, match="--non-commercial"):
        chosen_licences(["cc-by-nc-2.0"])
    with pytest.raises(UsageError):
        chosen_licences(["0"], non_commercial=True, no_derivatives=True)
    with pytest.raises(UsageError, match=r"'cc-by-4\.0'"):
        chosen_licences(["cc-by-40"])


def test_check_with_flickr__refuses_another_licence_of_the_same_id():
    answer = {"licenses": licences_answer()}
    check_with_flickr(answer, LICENCES)
    other = {"licenses": {"license": [dict(e, url="https://creativecommons.org/licenses/by-nc/4.0/deed.en")
                                      if e["id"] == 11 else e for e in licences_answer()["license"]]}}  # fmt: skip
    with pytest.raises(RemoteError, match="by licence 11"):
        check_with_flickr(other, PERMISSIVE)
    check_with_flickr(other, (4, 12))


@pytest.mark.parametrize("id", [1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16])
def test_check_with_flickr__compares_the_terms_of_every_creative_commons_licence(id):
    """Its address with another scheme, language or end is the same; other terms, another version or none are not."""
    name = LICENCES[id].url.removeprefix("https://creativecommons.org/").removesuffix("/")
    kind, terms, version = name.split("/")
    for same in (f"http://creativecommons.org/{name}", f"https://creativecommons.org/{name}/deed.de"):
        check_with_flickr({"licenses": {"license": [{"id": str(id), "url": same}]}}, (id,))
    swapped = "licenses" if kind == "publicdomain" else "publicdomain"
    paths = (f"{kind}/{terms}/3.0", f"{kind}/other/{version}", f"{swapped}/{terms}/{version}")
    others = ("", "https://example.org/", *(f"https://creativecommons.org/{path}/" for path in paths))
    for other in others:
        with pytest.raises(RemoteError) as raised:
            check_with_flickr({"licenses": {"license": [{"id": id, "url": other}]}}, (id,))
        assert str(other) in str(raised.value)


def test_entries__trusted_spaces_first_private_tags_never():
    world = World(count=50)
    entries = entries_from_response({"photo": world.exif_answer(3)})
    spaces = [space for space, _ in entries]
    assert spaces == sorted(spaces, key=["IFD0", "ExifIFD", "XMP-tiff"].index)
    assert not {tag for _, tag in entries} & {"Artist", "SerialNumber", "GPSLatitude", "Software"}
    shot, taken = world.shot(3), acquisition_from_tags(loads(dumps(entries)))
    assert (taken.make, taken.model) == (shot.make, shot.model)
    assert taken.exposure_s is not None
    assert (taken.exposure_s.numerator, taken.exposure_s.denominator) == shot.exposure
    assert taken.flash_fired == bool(shot.flash)


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda x: st.dictionaries(
    st.sampled_from(["id", "owner", "license", "dateupload", "media", "url_o", "title"]), x, max_size=6)))  # fmt: skip
def test_search_result__never_raises(entry):
    assert search_result(entry) is None or search_result(entry).id > 0
