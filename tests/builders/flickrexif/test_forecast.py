"""Forecasts by hand: shares of months, windows, sizes of files, calls that are left, and their lines of text."""

import json
from dataclasses import replace

import pytest

from builders.flickrexif.search import forecast as module
from builders.flickrexif.search.forecast import Forecast, calls_left
from builders.flickrexif.search.plan import PER_PAGE

WHOLE = Forecast(
    target=1000,
    everything=False,
    photos=600,
    months=12,
    available=50_000,
    count_calls=2,
    search_calls=30,
    exif_calls=300,
    retries=28,
    measured=True,
    megapixels=2.0,
    bytes_per_pixel=0.5,
    bytes_measured=True,
    files=900,
)


@pytest.mark.parametrize(
    ("changed", "last"),
    [
        ({"exif_calls": 399}, "about 999 can be had"),
        ({"exif_calls": 400}, "fetched)"),
        ({"measured": False}, "fetched)"),
        ({"bytes_measured": False, "measured": False}, "(assumed until files are fetched)"),
        ({"everything": True}, "leaves out what is known when months are read whole"),
    ],
)
def test_forecast__the_last_line_says_what_limits_it(changed, last):
    text = replace(WHOLE, **changed).to_text(180.0)
    assert text.endswith(last)
    assert ("at most; " in text) is bool(changed.get("everything"))


def photo(state, id, urls, status="ok", selected=1, source="search"):
    with state.transaction() as db:
        db.execute(
            "INSERT INTO photos (id, owner, source, urls, rank, selected, exif_status) VALUES (?, 'a', ?, ?, ?, ?, ?)",
            (id, source, json.dumps(urls), id, selected, status),
        )


@pytest.mark.parametrize(
    ("stored", "listed", "with_exif", "exif_calls"),
    [
        (0, 0, True, 0), (1, 0, True, 2000),  # no slice has been read to its end, and a dry run has stored photos
        (7, 0, True, 2000), (7, 5, True, 2000), (5, 5, True, 2000), (1, 5, True, 400), (0, 5, True, 0),
        (7, 5, False, 0),
    ],
)  # fmt: skip
def test_calls_left__no_more_exif_calls_than_results(state, stored, listed, with_exif, exif_calls):
    for id in range(stored):
        photo(state, id, {}, status="ok")
    photo(state, 99, {}, status="ok", source="import")
    state.set("with_exif", with_exif)
    with state.transaction() as db:
        db.executemany(
            'INSERT INTO slices (start, "end", month, licences, root, status, estimate, found)'
            " VALUES (0, 1, 'm', '4', 1, ?, ?, ?)",
            [("pending", 2000, None), ("done", 0, listed)],
        )
    assert calls_left(state) == 1 + 1.25 * 2000 / PER_PAGE + exif_calls


def month(state, start, total, windows, opened, each=5, days=28):
    with state.transaction() as db:
        db.execute(
            'INSERT INTO strata (start, "end", month, total, windows, each, opened) VALUES (?, ?, ?, ?, ?, ?, ?)',
            (start, start + days * 86400, f"m{start}", total, windows, each, opened),
        )


def called(state, *calls):
    """Record calls: (method, subject, attempt)."""
    with state.transaction() as db:
        db.executemany("INSERT INTO calls VALUES (0, ?, ?, ?, 'ok', 0)", calls)


def test_forecast__of_everything_is_what_windows_of_all_months_admit(state):
    """Of four photos that were checked three have Exif; a window admits half of its photos."""
    state.set("with_exif", True)
    month(state, 0, 1000, 4, 2)
    with state.transaction() as db:
        db.execute("INSERT INTO strata (start, \"end\", month) VALUES (9, 10, 'x')")  # not counted
    for id, status in enumerate(("ok", "ok", "ok", "empty", "failed")):
        photo(state, id, {"o": ["u", 10, 10]} if id < 4 else {}, status=status)
    with state.transaction() as db:
        db.execute("UPDATE photos SET turn = 0")
    called(state, *[("photos.getExif", "photo", attempt) for attempt in (1, 1, 2, 3)])
    made = module.forecast(state, None)
    assert (made.everything, made.photos, made.months, made.available, made.count_calls) == (True, 3, 2, 1000, 1)
    assert (made.target, made.exif_calls, made.search_calls) == (375, 500 - 4, 3)  # 500 photos, two pages and a half
    assert made.retries == 1 + 3 + 496  # each call is made twice, on average
    assert made.files == round(500 * 0.8)
    state.set("with_exif", False)
    made = module.forecast(state, None)
    assert (made.photos, made.target, made.exif_calls, made.files) == (5, 500, 0, 400)
    state.set("with_exif", True)
    made = module.forecast(state, 3)
    assert (made.everything, made.target, made.exif_calls, made.search_calls) == (False, 3, 0, 0)
