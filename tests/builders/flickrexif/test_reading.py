"""Reading one slice of a search page by page, and one photo of a page: both sides of every bound."""

import pytest

from builders.flickrexif.search.plan import MAX_PAGES, MIN_SLICE_S, PER_PAGE, SPLIT_ABOVE, Slice
from builders.flickrexif.search.read_slice import LONG_S, MANY, doubtful, read_slice, read_whole

START = 1_330_000_000
SHORT = Slice("2012-02", START, START + MIN_SLICE_S, (4, 5))
"""Cannot be halved; it can be cut by licence."""
SHORTEST = Slice("2012-02", START, START + MIN_SLICE_S, (4,))
"""Cannot be cut at all."""


def entry(number: int, **fields) -> dict:
    """A photo of a search, uploaded in the first second of ``SHORT``."""
    return {"id": str(number), "owner": "1@N00", "license": "4", "dateupload": str(START), **fields}


class Pages:
    """A client whose search has these pages, each a reported total and entries; the last one again and again."""

    def __init__(self, *pages):
        self.pages, self.calls = pages, []

    def call(self, method, subject, **parameters):
        self.calls.append({"method": method, "subject": subject, **parameters})
        total, entries = self.pages[min(parameters["page"], len(self.pages)) - 1]
        return {"photos": {"total": str(total), "photo": entries}}


def full(page: int) -> list[dict]:
    """A page with as many new photos as fit."""
    return [entry(1 + (page - 1) * PER_PAGE + i) for i in range(PER_PAGE)]


@pytest.mark.parametrize(
    ("pages", "calls_made", "photos", "complete"),
    [
        # a short page is the last one where the total says so, with exactly as many results as pages asked for hold
        (((PER_PAGE - 1, full(1)[:-1]),), 1, PER_PAGE - 1, True),
        (((PER_PAGE, full(1)[:-1]),), 1, PER_PAGE - 1, True),
        (((PER_PAGE + 1, full(1)[:-1]), (PER_PAGE + 1, [])), 2, PER_PAGE - 1, True),
        # a full page never is, whatever the total
        (((PER_PAGE, full(1)), (PER_PAGE, [])), 2, PER_PAGE, True),
        # nor is one with nothing new followed
        (((3000, full(1)), (3000, full(1))), 2, PER_PAGE, True),
        # the largest of the totals counts
        (((900, full(1)), (400, full(2)[:10]), (0, [])), 2, PER_PAGE + 10, True),
        (((1600, full(1)), (400, full(2)[:10]), (0, [])), 3, PER_PAGE + 10, True),
        # an empty one is the end
        (((0, []),), 1, 0, True),
        (((1, [entry(1)]),), 1, 1, True),
    ],
)
def test_read_slice__last_page(pages, calls_made, photos, complete):
    client = Pages(*pages)
    reading = read_slice(client, SHORTEST, "x")
    assert (len(client.calls), len(reading.photos), reading.complete) == (calls_made, photos, complete)
    assert reading.total == max(total for total, _ in pages[:calls_made])


def test_read_slice__more_results_than_flickr_returns_are_split_or_incomplete():
    pages = [(2000, full(page)) for page in range(1, MAX_PAGES + 1)]
    reading = read_slice(Pages(*pages), SHORTEST, "x")
    assert (len(reading.photos), reading.complete, reading.doubtful) == (MAX_PAGES * PER_PAGE, False, False)
    cut = read_slice(Pages(*pages), SHORT, "x")
    assert [part.licences for part in cut.parts] == [(4,), (5,)]
    assert [part.estimate for part in cut.parts] == [MAX_PAGES * PER_PAGE / 2] * 2
    assert cut.photos == ()
    # a total that grows past what one search gives is believed
    grown = [*pages[:-1], (9000, full(MAX_PAGES))]
    assert [part.estimate for part in read_slice(Pages(*grown), SHORT, "x").parts] == [4500, 4500]


@pytest.mark.parametrize(("total", "parts"), [(SPLIT_ABOVE, 0), (SPLIT_ABOVE + 1, 2)])
def test_read_slice__is_cut_at_once_above_the_margin(total, parts):
    client = Pages((total, full(1)), (total, []))
    assert len(read_slice(client, SHORT, "x").parts) == parts
    assert len(client.calls) == 2 - bool(parts)


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"dateupload": str(START - 1)}, False),
        ({"dateupload": str(START)}, True),
        ({"dateupload": str(START + MIN_SLICE_S - 1)}, True),
        ({"dateupload": str(START + MIN_SLICE_S)}, False),
        ({"license": "5"}, True),
        ({"license": "1"}, False),
    ],
)
def test_read_slice__filters_photos_outside_the_slice(fields, count):
    assert len(read_slice(Pages((1, [entry(1, **fields)])), SHORT, "x").photos) == count


DAY = Slice("2012-02", START, START + LONG_S, (4,))
NEARLY = Slice("2012-02", START, START + LONG_S - 1, (4,))


@pytest.mark.parametrize(
    ("piece", "total", "photos", "stopped", "doubted"),
    [
        (SHORTEST, 0, 0, True, False),
        (SHORTEST, 1, 0, True, True),
        (SHORTEST, 1, 1, True, False),
        (DAY, 0, 0, True, True),
        (NEARLY, 0, 0, True, False),
        (DAY, 0, 1, True, False),
        (Slice("2012-02", START, START + 1, (4,), MANY), 0, 0, True, True),
        (Slice("2012-02", START, START + 1, (4,), MANY - 0.5), 0, 0, True, False),
        # with fewer than half of the results, or nine tenths where the last page was empty
        (SHORTEST, MANY - 1, 1, True, False),
        (SHORTEST, MANY, 0.9 * MANY - 1, True, True),
        (SHORTEST, MANY, 0.9 * MANY, True, False),
        (SHORTEST, MANY, 0.5 * MANY - 1, False, True),
        (SHORTEST, MANY, 0.5 * MANY, False, False),
    ],
)
def test_doubtful__both_sides_of_every_bound(piece, total, photos, stopped, doubted):
    assert doubtful(piece, total, photos, stopped=stopped) is doubted


def test_read_slice__photos_outside_the_slice_are_a_response_too():
    """Of an outage there are none at all; those of another licence or second were read, and are left out."""
    others = [entry(i, license="1") if i % 2 else entry(i, dateupload=str(START - 1)) for i in range(1, MANY)]
    for entries in (others, [*others, entry(99)]):
        reading = read_slice(Pages((MANY, entries)), SHORTEST, "x")
        assert (reading.complete, reading.doubtful) == (True, False)
        assert [photo.id for photo in reading.photos] == [99] * (len(entries) == MANY)


def test_read_whole__a_photo_of_two_parts_is_one():
    class Twice(Pages):
        def call(self, method, subject, **parameters):
            whole = parameters["license"] == "4,5"
            entries = [] if whole else [entry(1, license=parameters["license"]), entry(2, license="4")]
            return {"photos": {"total": SPLIT_ABOVE + 1 if whole else 2, "photo": entries}}

    reading = read_whole(Twice(), SHORT, "x")
    assert [(photo.id, photo.licence) for photo in reading.photos] == [(1, 5), (2, 4)]
    assert (reading.total, reading.complete, reading.parts) == (SPLIT_ABOVE + 1, True, ())


class Halves:
    """A search of a slice of ten minutes: the first half has one photo, the second more than Flickr gives out, or
    nothing although something was reported."""

    def __init__(self, late: str):
        self.late = late

    def call(self, method, subject, *, min_upload_date, max_upload_date, page, **_):
        if max_upload_date - min_upload_date >= MIN_SLICE_S:
            return {"photos": {"total": SPLIT_ABOVE + 1, "photo": []}}
        if min_upload_date == START:
            return {"photos": {"total": 1, "photo": [entry(1)]}}
        entries = [dict(e, dateupload=str(START + MIN_SLICE_S)) for e in full(page)] if self.late == "many" else []
        return {"photos": {"total": 2000, "photo": entries}}


@pytest.mark.parametrize(
    ("late", "photos", "complete", "doubted"),
    [("many", MAX_PAGES * PER_PAGE, False, False), ("none", 1, True, True)],
)
def test_read_whole__is_complete_if_all_parts_are_and_doubtful_if_one_is(late, photos, complete, doubted):
    reading = read_whole(Halves(late), Slice("2012-02", START, START + 2 * MIN_SLICE_S, (4,)), "x")
    assert (len(reading.photos), reading.complete, reading.doubtful) == (photos, complete, doubted)
    assert reading.total == SPLIT_ABOVE + 1
