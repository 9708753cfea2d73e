"""Forecasts by hand: shares of months, windows, sizes of files, calls that are left, and their lines of text."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from builders.flickrexif.search import forecast as module
from builders.flickrexif.search.forecast import FILE_BYTES_PER_PIXEL, Forecast, calls_left
from builders.flickrexif.search.plan import PER_PAGE
from builders.flickrexif.search.strata import MONTH_S, Stratum, turns_of, windows_of

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


def stratum(total=100, windows=4, each=5, opened=0, share=1.0):
    return Stratum("2012-04", 0, round(share * MONTH_S), total, windows, each, opened)


def test_forecast__sums_and_text():
    assert (WHOLE.calls, WHOLE.bytes) == (360, 9e8)
    assert WHOLE.to_text(180.0).splitlines() == [
        "photos            1,000  600 are here; Flickr reports 50,000 in 12 months",
        "calls               360  2 count months, 30 search, 300 ask for Exif, 28 try again",
        "hours               2.0  at 180 calls an hour",
        "gigabytes           0.9  900 originals of 2.0 megapixels, 0.50 bytes a pixel (measured on what was fetched)",
        "Flickr has too few photos under these licences: about 900 can be had",
    ]


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


def test_shares__months_give_alike_and_others_supply_what_one_lacks():
    months = [stratum(10), stratum(100), stratum(100), stratum(100, share=0.5)]
    assert module._shares(months, 70, 1.0) == pytest.approx([10, 24, 24, 12])
    assert module._shares(months, 28, 0.5) == pytest.approx([5, 9.2, 9.2, 4.6])
    assert module._shares(months, 1000, 0.5) == pytest.approx([5, 50, 50, 50])
    assert module._shares([], 10, 1.0) == []


@pytest.mark.parametrize(
    ("photos", "each", "windows"), [(10, 5, 2.0), (20, 5, 4.0), (20.1, 5, 8), (40, 5, 8), (40.1, 5, 12), (41, 15, 4)]
)
def test_windows__each_once_and_then_again_for_later_turns(photos, each, windows):
    assert module._windows(stratum(each=each), photos, 5.0) == windows


def test_stratum__turns_of_windows():
    assert (stratum().turns, stratum(each=6).turns, stratum(each=0).turns) == (1, 2, 1)
    assert (stratum().expected, stratum(windows=0).expected) == (25.0, 0.0)
    assert [stratum(opened=n, each=6).last_turn for n in (0, 1, 4, 5)] == [-1, 0, 1, 2]
    assert stratum(windows=0).last_turn == -1
    # 25 photos of a window, five at a turn, two turns when it is opened: three passes over the four windows
    assert [stratum(opened=n, each=10).exhausted for n in (11, 12)] == [False, True]
    assert stratum(opened=4, each=25).exhausted  # all 25 at one opening of each window
    assert stratum(windows=0).exhausted
    assert (stratum(share=0.25).weight, stratum(share=2.0).weight) == (0.25, 1.0)
    assert (turns_of(0, 5.0, 0, 0), windows_of(0, 20), windows_of(-1, 20)) == ([], (0, 0), (0, 0))


def photo(state, id, urls, status="ok", selected=1, source="search"):
    with state.transaction() as db:
        db.execute(
            "INSERT INTO photos (id, owner, source, urls, rank, selected, exif_status) VALUES (?, 'a', ?, ?, ?, ?, ?)",
            (id, source, json.dumps(urls), id, selected, status),
        )


def test_file_sizes__of_originals_and_of_fetched_files(state):
    assert module._file_sizes(state) == (0.0, FILE_BYTES_PER_PIXEL, False, 1.0)
    photo(state, 1, {"o": ["u", 2000, 1000], "l": ["u", 200, 100]})
    photo(state, 2, {"o": ["u", 4000, 1000]})
    photo(state, 3, {"l": ["u", 100, 100]})
    photo(state, 4, {"o": ["u", 9000, 9000]}, selected=0)
    photo(state, 5, {"o": ["u", 0, 0]})
    assert module._file_sizes(state) == (2.0, FILE_BYTES_PER_PIXEL, False, 0.75)
    with state.transaction() as db:
        db.executemany(
            "INSERT INTO files (photo_id, size, status, bytes, attempts, at) VALUES (?, ?, ?, ?, 1, 0)",
            [(1, "l", "ok", 10_000), (3, "l", "ok", 20_000), (2, "o", "failed", 7), (5, "o", "ok", 9)],
        )
    assert module._file_sizes(state) == (2.0, 1.0, True, 0.75)


def test_calls_left__of_a_search_by_pages(state):
    assert calls_left(state) == 0
    for id in range(4):
        photo(state, id, {}, status=None)
    with state.transaction() as db:
        db.executemany(
            'INSERT INTO slices (start, "end", month, licences, root, status, estimate, found)'
            " VALUES (0, 1, 'm', '4', ?, ?, ?, ?)",
            [(1, "pending", 4 * PER_PAGE, 0), (0, "pending", 0, 0), (1, "done", 0, 8)],
        )
    # four photos without Exif, two slices, five pages of them, and Exif of every second result as until now
    assert calls_left(state) == 4 + 2 + 5 + 2 * PER_PAGE
    state.set("with_exif", False)
    assert calls_left(state) == 2 + 5


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


def test_window_calls__of_windows_and_their_turns(state):
    """Two months of four windows, of which six have been opened: twelve photos at their first turn, two a window."""
    assert module._window_calls(state, 30, 20) == (0, 20)
    month(state, 0, 100, 4, 2)
    month(state, 10**7, 100, 4, 6)  # its second pass has begun: each of its windows counts once
    for id in range(12):
        photo(state, id, {}, selected=id < 3)
    photo(state, 12, {}, source="import")
    with state.transaction() as db:
        db.execute("UPDATE photos SET turn = 0")
    photo(state, 13, {}, selected=0)  # of a later turn
    # no call is recorded: one a window. 15 photos of each month are two passes over its four windows
    assert module._window_calls(state, 30, 20) == ((8 - 2) + (8 - 6), 20)
    called(state, *[("photos.search", "window 7", 1)] * 12, ("photos.search", "window 7", 2))
    called(state, ("photos.search", "count 2012-04", 1), ("photos.getExif", "window 7", 1))
    assert module._window_calls(state, 30, 40) == (12, 30 - 3)  # 1.5 calls a window; three photos are selected
    assert module._window_calls(state, 10, 5) == (1, 5)  # 2.5 windows of each month, of which two and six were opened
    assert module._window_calls(state, 2, 5) == (0, 0)  # more are selected than that
    # a window admits two of five photos: a month has at most 40, and 80 are five passes over each
    assert module._window_calls(state, 1000, 1000) == (round(1.5 * (20 - 2 + 20 - 6)), 80 - 3)


def test_window_calls__before_any_window_has_been_read(state):
    month(state, 0, 100, 4, 0)
    called(state, ("photos.search", "window 7", 1))
    assert module._window_calls(state, 20, 20) == (4, 20)  # five photos of each
    assert module._window_calls(state, 200, 300) == (20, 100)


def test_window_calls__a_window_never_admits_more_than_its_photos(state):
    month(state, 0, 20, 1, 1)
    for id in range(20):
        photo(state, id, {}, selected=0)
    with state.transaction() as db:
        db.execute("UPDATE photos SET turn = 0")
    assert module._window_calls(state, 100, 100) == (0, 20)


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


def test_forecast__without_any_answer(state):
    made = module.forecast(state, 100)
    assert (made.photos, made.exif_calls, made.search_calls, made.retries, made.measured) == (0, 100, 0, 0, False)
    assert module.forecast(state, None).target == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "nothing left"), (0, "nothing left"), (0.1, "under a minute left"), (59.9, "under a minute left"),
     (60, "about 1 min left"), (5399, "about 90 min left"), (5400, "about 1.5 h left")],
)  # fmt: skip
def test_time_left__in_words(seconds, words):
    assert module.time_left(seconds) == words


def test_search_progress__shows_calls_and_the_time_left_at_most_once_a_second(state, monkeypatch):
    now, shown = [100.0], []
    bar = SimpleNamespace(disable=False, n=0, total=0, format_dict={"rate": None}, close=lambda: shown.append("closed"))
    bar.set_postfix_str = lambda text: shown.append((bar.n, bar.total, text))
    monkeypatch.setattr(module, "progress_bar", lambda **options: bar)
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    called(state, ("photos.search", "count", 1))  # by an earlier run
    for id in range(120):
        photo(state, id, {}, status=None)
    with module.SearchProgress(state, 2.0) as progress:
        called(state, ("photos.search", "count", 1))
        now[0] += 0.5
        progress.show()
        now[0] += 0.5
        progress.show()
        bar.format_dict = {"rate": 0.1}  # slower than the budget
        now[0] += 1
        progress.show()
        with state.transaction() as db:
            db.execute(
                'INSERT INTO slices (start, "end", month, licences, root, status, estimate)'
                " VALUES (0, 1, 'm', '4', 1, 'pending', 0)"
            )
        now[0] += 1
        progress.show()
        bar.disable = True
        now[0] += 1
        progress.show()
    assert shown == [
        (0, 120, "about 4 min left"),
        (1, 121, "about 4 min left"),
        (1, 121, "about 20 min left"),
        (1, 122, "1 months to count first"),
        "closed",
    ]


def test_months_to_count__of_a_search_and_of_a_sample(state):
    with state.transaction() as db:
        db.executemany(
            'INSERT INTO slices (start, "end", month, licences, root, status, estimate)'
            " VALUES (0, 1, ?, '4', ?, ?, 0)",
            [("a", 1, "pending"), ("a", 1, "pending"), ("b", 0, "pending"), ("c", 1, "done"), ("d", 1, "pending")],
        )
    assert module.months_to_count(state) == 2
    state.set("photos_wanted", 10)
    assert module.months_to_count(state) == 0
    month(state, 0, None, 0, 0)
    month(state, 1, 5, 0, 0)
    assert module.months_to_count(state) == 1


def test_forecast__files_are_the_share_that_has_originals(state, monkeypatch):
    """Three of four photos that were checked have Exif; ten with Exif are wanted, and half have their originals."""
    monkeypatch.setattr(module, "_file_sizes", lambda state: (2.0, 0.5, True, 0.5))
    monkeypatch.setattr(module, "_window_calls", lambda state, photos, needed: (7, 100))
    for id, status in enumerate(("ok", "ok", "ok", "empty", "failed", None)):
        photo(state, id, {}, status=status)
    made = module.forecast(state, 9)
    assert (made.photos, made.search_calls, made.exif_calls) == (3, 7, 8)  # 6 more of which three quarters have Exif
    assert made.files == round((4 + 8) * 0.5)
    assert (made.measured, made.megapixels, made.bytes_per_pixel, made.bytes_measured) == (True, 2.0, 0.5, True)
    more = module.forecast(state, 2)  # than are wanted
    assert (more.target, more.exif_calls, more.files) == (2, 0, round(4 * 0.5))
    whole = module.forecast(state, None)  # no month is counted
    assert (whole.target, whole.available, whole.exif_calls, whole.search_calls, whole.files) == (0, 0, 0, 0, 2)
