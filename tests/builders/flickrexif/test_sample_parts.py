"""Parts of a sample with doubles of its calls: counts of months, windows and their turns, outages."""

from itertools import pairwise

import pytest

from builders.flickrexif.search import sample as module
from builders.flickrexif.search.plan import Slice
from builders.flickrexif.search.strata import stratum_at
from tests.support.flickr_samples import DAY, FEBRUARY, JANUARY, MARCH, NOW, Sampling, plan_of


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
