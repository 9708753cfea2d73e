"""Parts of a sample with doubles of its calls: counts of months, windows and their turns, outages."""

from itertools import pairwise
from types import SimpleNamespace

import pytest

from builders.flickrexif.api.client import FlickrUnavailable
from builders.flickrexif.api.search_results import rank
from builders.flickrexif.search import sample as module
from builders.flickrexif.search.plan import Slice
from builders.flickrexif.search.read_slice import SliceReading
from builders.flickrexif.search.strata import stratum_at, turns_of
from tests.support.flickr_samples import DAY, FEBRUARY, JANUARY, MARCH, NOW, Sampling, plan_of, result


@pytest.fixture
def sampling(tmp_path, monkeypatch):
    made = Sampling(tmp_path / "state", monkeypatch, module)
    yield made
    made.state.close()


def test_count__of_months_and_again_of_those_that_seem_empty(sampling):
    """The parts of March: 14 days, one second less than a day, a day, a day whose first answer was empty before."""
    parts = [MARCH, MARCH + 14 * DAY, MARCH + 15 * DAY - 1, MARCH + 16 * DAY - 1, MARCH + 17 * DAY - 1]
    sampling.month("2011-12", JANUARY - 31 * DAY, JANUARY, total=750, windows=3, each=7, opened=2)
    sampling.month("2012-01", JANUARY, FEBRUARY)
    sampling.month("2012-02", FEBRUARY, MARCH)
    for start, end in pairwise(parts):
        sampling.month(f"part {start}", start, end)
    sampling.state.rows("UPDATE strata SET doubted = ?, trusted = 2 WHERE start = ?", NOW - 100, parts[3])
    first, second, third, fourth = [f"count part {start}" for start in parts[:4]]
    sampling.totals = {"count 2012-01": [0, 5000], "count 2012-02": [2500], first: [500], second: [0],
                       third: [0, 0], fourth: [0]}  # fmt: skip
    sampling.of(plan_of(300))._count()
    made = [call for call in sampling.calls if call != "tick"]
    assert sampling.calls == [part for call in made for part in (call, "tick")]
    assert {call[1] for call in made} == {"client"}
    assert [call[3:] for call in made] == [
        ("count 2012-01", 0), ("count 2012-02", 1), (first, 2), (second, 3), (third, 4),
        ("count 2012-01", 601),  # ten minutes after its answer
        (third, 605), (fourth, 606),
    ]  # fmt: skip
    assert [made[i][2] for i in (0, 2, 6)] == [
        Slice("2012-01", JANUARY, FEBRUARY, (4, 7)), Slice(f"part {parts[0]}", parts[0], parts[1], (4, 7)),
        Slice(f"part {parts[2]}", parts[2], parts[3], (4, 7)),
    ]  # fmt: skip
    # 300 photos of three months and a half: 85.7 of a month, 42.9 of a half; a quarter more is stored
    assert sampling.strata("total, windows, each, opened, doubted, trusted") == [
        (750, 3, 7, 2, None, 0), (5000, 20, 6, 0, None, 0), (2500, 10, 11, 0, None, 0), (500, 2, 27, 0, None, 0),
        (0, 0, 0, 0, None, 0), (0, 0, 0, 0, None, 1), (0, 0, 0, 0, None, 3),
    ]  # fmt: skip
    sampling.calls.clear()
    sampling.of(plan_of(3000))._count()  # all are counted, and cut once
    assert sampling.calls == []
    assert sampling.strata("each")[:3] == [(7,), (6,), (11,)]


@pytest.mark.parametrize(("opened", "each"), [(0, 5), (0, 14), (3, 5), (6, 14)])
def test_open_window__stores_the_photos_of_its_turns(sampling, opened, each):
    """Four photos of a single owner, of which one is in the state, and 60 of others in a window of 20 on average."""
    sampling.month("2012-01", JANUARY, FEBRUARY, total=80, windows=4, each=each, opened=opened, doubted=NOW - 600,
                   trusted=1)  # fmt: skip
    sampling.month("2012-02", FEBRUARY, MARCH, total=80, windows=4, each=each)
    sampling.photo(999, owner="1@N01")
    plan = plan_of(per_user_month=3)
    sample, stratum = sampling.of(plan), stratum_at(sampling.state, JANUARY)
    start, end = stratum.next_window(3)
    photos = [result(id, "1@N01") for id in (1, 2, 3, 4)] + [result(id) for id in range(100, 160)]
    sampling.readings[start] = SliceReading(70, tuple(photos))
    assert sample._open_window(stratum) is True
    assert sampling.calls == [("read", "client", Slice("2012-01", start, end, (4, 7), 20.0), f"window {start}"), "tick"]
    order = sorted((p.id for p in photos), key=lambda id: rank(id, 3))
    order.remove([id for id in order if id < 5][-1])  # the fourth of the owner
    first, many = {0: 0, 3: 0, 6: 3}[opened], {5: 1, 14: 3}[each]
    turn = dict(zip(order, turns_of(63, 20.0, start, 3), strict=True))
    wanted = {id: t for id, t in turn.items() if first <= t < first + many}
    of_owner = [id for id in wanted if id < 5][:2]  # the cap has room for two more
    wanted = {id: t for id, t in wanted.items() if id >= 5 or id in of_owner}
    rows = sampling.state.rows("SELECT id, turn, selected, source, rank FROM photos WHERE id != 999")
    assert {row[0]: row[1] for row in rows} == wanted
    assert {row[0]: row[4] for row in rows} == {id: rank(id, 3) for id in wanted}
    assert {tuple(row)[2:4] for row in rows} == {(0, "search")}
    assert sampling.strata("opened, doubted, trusted") == [(opened + 1, None, 1), (0, None, 0)]
    assert sample._steps == 1


@pytest.mark.parametrize(
    ("since", "doubtful", "read", "after"),
    [
        (None, True, True, (4, NOW, 0)), (None, False, True, (5, None, 0)),  # after: opened, doubted, trusted
        (0, True, False, (4, NOW, 0)), (599, False, False, (4, NOW - 599, 0)),
        (600, True, True, (5, None, 1)), (600, False, True, (5, None, 0)),
        (-1, True, True, (5, None, 1)),  # the clock was set back
    ],
)  # fmt: skip
def test_open_window__an_empty_response_is_read_again_ten_minutes_later(sampling, since, doubtful, read, after):
    doubted = None if since is None else NOW - since
    sampling.month("2012-01", JANUARY, FEBRUARY, total=80, windows=4, each=5, opened=4, doubted=doubted)
    sample, stratum = sampling.of(plan_of()), stratum_at(sampling.state, JANUARY)
    sampling.readings[stratum.next_window(3)[0]] = SliceReading(0, doubtful=doubtful)
    stored = after[0] == 5
    assert sample._open_window(stratum) is stored
    assert [call if call == "tick" else call[0] for call in sampling.calls] == ["read", "tick"] * read
    assert sampling.strata("opened, doubted, trusted") == [after]
    assert sample._steps == int(stored)


def test_next__photos_that_are_ready_by_turn_and_rank(sampling):
    """Of eight windows six have been opened twice: photos up to turn 2 are ready, as two turns are stored at once."""
    sampling.month("2012-01", JANUARY, FEBRUARY, total=8000, windows=8, each=10, opened=14)
    ready = {"turn": 1, "selected": 0, "uploaded": JANUARY}
    for id, changed in enumerate(
        [{"turn": 2, "rank": 0}, {"rank": 9}, {"rank": 8}, {"rank": 8}, {"turn": 0, "rank": 99}, {"turn": 3},
         {"selected": 1}, {"source": "fill"}, {"uploaded": JANUARY - 1}, {"uploaded": FEBRUARY}, {"month": "2012-02"}],
        start=1,
    ):  # fmt: skip
        sampling.photo(id, **{**ready, **changed})
    sample = sampling.of(plan_of())
    sample._open = {JANUARY: stratum_at(sampling.state, JANUARY)}
    assert sample._next(JANUARY, 9) == [5, 3, 4, 2, 1]
    assert sample._next(JANUARY, 2) == [5, 3]
    assert sampling.calls == []


def test_next__opens_windows_until_one_has_photos_and_drops_a_month_that_has_no_more(sampling):
    sampling.month("2012-01", JANUARY, FEBRUARY, total=20, windows=4, each=5)
    sample = sampling.of(plan_of())
    sample._open = {JANUARY: stratum_at(sampling.state, JANUARY)}
    windows = [stratum_at(sampling.state, JANUARY).next_window(3)[0]]
    for opened in (1, 2, 3):
        sampling.state.rows("UPDATE strata SET opened = ?", opened)
        windows.append(stratum_at(sampling.state, JANUARY).next_window(3)[0])
    sampling.state.rows("UPDATE strata SET opened = 0")
    sampling.readings = {start: SliceReading(0) for start in windows}
    sampling.readings[windows[1]] = SliceReading(2, (result(7), result(8)))
    assert sorted(sample._next(JANUARY, 1)) == [min((7, 8), key=lambda id: rank(id, 3))]
    assert sample._open[JANUARY].opened == 2
    sampling.state.rows("UPDATE photos SET selected = 1")
    assert sample._next(JANUARY, 5) == []
    assert sample._open == {}
    assert [call[3] for call in sampling.calls if call != "tick"] == [f"window {start}" for start in windows]


def test_select__without_exif_calls_requests_none(sampling):
    for id in (1, 2, 3):
        sampling.photo(id)
    sample = sampling.of(plan_of(with_exif=False))
    sample._select([3, 1])
    assert (sampling.calls, sample._steps) == ([], 2)
    assert [row[0] for row in sampling.state.rows("SELECT id FROM photos WHERE selected = 1")] == [1, 3]
    sample = sampling.of(plan_of())
    sample._select([2])
    assert (sampling.calls, sample._steps) == ([("exif", [2])], 1)


def test_request_exif__five_photos_in_a_row_without_an_answer_end_the_run(sampling):
    for id in range(1, 30):
        sampling.photo(id)
    sampling.statuses = dict.fromkeys([*range(1, 5), *range(6, 10), *range(11, 20)], "failed")
    sample = sampling.of(plan_of())
    sample._request_exif([1, 2])
    sample._request_exif([3, 4, 5])  # an answer among the last five
    assert sample._failures_in_a_row == 0
    sample._request_exif([6, 7, 8, 9])
    assert sample._failures_in_a_row == 4
    with pytest.raises(FlickrUnavailable) as error:
        sample._request_exif([10, 11, 12, 13, 14, 15])  # the answer to the first was before the last five
    assert (error.value.error_class, str(error.value).split(" (")[0]) == (
        "photos.getExif without an answer", "Flickr gave no usable answer in 10 attempts",
    )  # fmt: skip
    sampling.statuses[20] = "hidden"  # an answer, too
    sample._request_exif([16, 17, 18, 19, 20])
    assert sample._failures_in_a_row == 0


def test_count_photos__with_exif_alone_where_it_is_requested(sampling):
    sampling.month("2012-01", JANUARY, FEBRUARY, total=8000, windows=8, each=10)
    good = {"selected": 1, "exif_status": "ok"}
    for id, changed in enumerate(
        [{}, {"uploaded": FEBRUARY - 1}, {"exif_status": "empty"}, {"exif_status": None}, {"selected": 0},
         {"selected": -1}, {"source": "fill"}, {"month": "2012-02"}, {"uploaded": JANUARY - 1}, {"uploaded": FEBRUARY}],
        start=1,
    ):  # fmt: skip
        sampling.photo(id, **{**good, **changed})
    stratum = stratum_at(sampling.state, JANUARY)
    assert sampling.of(plan_of())._count_photos(stratum) == 2
    assert sampling.of(plan_of(with_exif=False))._count_photos(stratum) == 4


def test_wait__until_the_first_doubted_window_may_be_read_again(sampling):
    for start, doubted in ((JANUARY, NOW - 100), (FEBRUARY, NOW - 300), (MARCH, None)):
        sampling.month("m", start, start + 28 * DAY, total=10, windows=1, each=5, doubted=doubted)
    sample = sampling.of(plan_of(empty_again_s=400.0))
    sample._open = {start: stratum_at(sampling.state, start) for start in (JANUARY, FEBRUARY, MARCH)}
    sample._photos = {JANUARY: 1, FEBRUARY: 1, MARCH: 1}
    assert sample._all_doubted(2) is False  # March is not
    del sample._open[MARCH]
    assert [sample._all_doubted(level) for level in (1, 2)] == [False, True]  # both have one photo
    sample._wait()
    assert sampling.state.clock.now() == NOW + 100
    sampling.state.clock.sleep(1000)
    sample._wait()
    assert sampling.state.clock.now() == NOW + 1100
    sample._open = {}
    assert sample._all_doubted(2) is False


def test_under_cap__the_lowest_ranks_of_each_owner():
    photos = [result(id, f"{id % 2}@N00") for id in range(1, 20)]
    for cap in (1, 3, 50):
        plan = SimpleNamespace(seed=8, per_user_month=cap)
        ranked = sorted(range(1, 20), key=lambda id: rank(id, 8))
        wanted = {id for parity in (0, 1) for id in [i for i in ranked if i % 2 == parity][:cap]}
        assert [p.id for p in module._under_cap(tuple(photos), plan)] == [id for id in ranked if id in wanted]
