"""Answers and tables that no honest server gives: each costs its photo or is a sentence, and never ends a run."""

import asyncio

import pytest

from builders.flickrexif.api.client import FlickrUnavailable
from builders.flickrexif.api.exif_answers import entries_from_response
from builders.flickrexif.api.search_results import search_result, text_of
from builders.flickrexif.fetch.download import DownloadFailure, download, photo_client
from builders.flickrexif.fetch.fetch import refuse_placeholders
from builders.flickrexif.fetch.transfer import FetchCounts
from builders.flickrexif.search.plan import Slice
from builders.flickrexif.search.read_slice import count_slice
from builders.flickrexif.search.refresh import refresh
from builders.flickrexif.store.photos import insert_photos
from builders.flickrexif.store.store import State
from tests.builders.flickrexif.test_refresh import Client, info
from tests.support.flickr_answers import answering

INFINITE = float("inf")
"""Python's JSON reads 1e999 as it."""

ENTRY = {"id": "7", "owner": "1@N00", "license": "4", "dateupload": "1330000000"}
HALF = "\ud83d"
"""Half of a UTF-16 pair, as JSON has where a text was cut in an emoji."""


def test_texts__halves_of_pairs_are_stored_as_question_marks(tmp_path):
    listed = [{"tagspace": f"IFD0{HALF}", "tag": "Make", "raw": f"Ca{HALF}non"}]
    assert entries_from_response({"photo": {"exif": listed}}) == {("IFD0?", "Make"): "Ca?non"}
    assert (text_of(f"a{HALF}b\0c"), text_of({"_content": f"{HALF}a"}, 1), text_of("\U0001f600")) == (
        "a?bc", "?", "\U0001f600",
    )  # fmt: skip
    result = search_result(
        ENTRY | {"title": f"T{HALF}", "url_o": f"https://a.net/{HALF}_o.jpg", "url_l": "https://a.net/l.jpg"}
    )
    assert (result.title, list(result.urls)) == ("T?", ["l"])
    with State(tmp_path, create=True) as state:
        insert_photos(state, [result], 0)
        assert state.value("SELECT title FROM photos") == "T?"


@pytest.mark.parametrize(("text", "licence"), [("\u00b2", None), ("9" * 10, None), ("9" * 400, None), ("12", 12)])
def test_refresh__a_licence_that_is_no_number_of_flickr_is_unknown(state, text, licence):
    with state.transaction() as db:
        db.execute("INSERT INTO photos (id, owner, source, urls, rank, selected) VALUES (1, 'a', 'search', '{}', 0, 1)")
    assert refresh(state, Client({1: info(text)})).checked == 1
    assert state.value("SELECT licence FROM photos") == licence


@pytest.mark.parametrize("total", [-1, 2**62, INFINITE])
def test_count_slice__a_total_that_cannot_be_is_no_answer(total):
    class Pages:
        def call(self, *words, **named):
            return {"photos": {"total": total, "photo": []}}

    with pytest.raises(FlickrUnavailable):
        count_slice(Pages(), Slice("2012-01", 0, 10, (4,)), "x")


def test_count_slice__totals_from_nought_on():
    class Pages:
        def __init__(self, total):
            self.total = total

        def call(self, *words, **named):
            return {"photos": {"total": self.total, "photo": []}}

    assert [count_slice(Pages(n), Slice("2012-01", 0, 10, (4,)), "x") for n in ("0", 2**62 - 1)] == [0, 2**62 - 1]


def test_download__a_wait_that_is_no_number_and_names_of_hosts_that_are_none(tmp_path):
    async def get(url):
        async with photo_client(user_agent="t", timeout_s=5, allow_loopback=True) as client:
            return await download(client, url, tmp_path / "file", allow_loopback=True)

    with (
        answering((429, {"Retry-After": "\u00b2"}, b"")) as url,
        pytest.raises(DownloadFailure, match="http 429") as failure,
    ):
        asyncio.run(get(url))
    assert (failure.value.retry_after_s, failure.value.permanent) == (None, False)
    for bad in ("http://xn--a/1.jpg", f"http://127.0.0.1:9/{HALF}.jpg"):
        with pytest.raises(DownloadFailure) as failure:
            asyncio.run(get(bad))
        assert (failure.value.error_class, failure.value.permanent) == ("bad url", True)


def test_placeholders__of_earlier_runs_are_failures_and_no_files_of_this_run(state):
    """Two of the three files with the same bytes were fetched before; only the third was counted as fetched now."""
    with state.transaction() as db:
        for id, owner in ((1, "a"), (2, "b"), (3, "c"), (4, "a"), (5, "b")):
            db.execute(
                "INSERT INTO photos (id, owner, source, urls, rank, selected) VALUES (?, ?, 'search', '{}', 0, 1)",
                (id, owner),
            )
            sha256, path = ("same", f"files/{id}.jpg") if id < 4 else ("pair", f"files/{id}.jpg")
            db.execute(
                "INSERT INTO files (photo_id, size, url, status, path, sha256, bytes, attempts, at)"
                " VALUES (?, 'o', 'u', 'ok', ?, ?, 100, 1, 0)",
                (id, path, sha256),
            )
            state.path_of(path).parent.mkdir(exist_ok=True)
            state.path_of(path).write_bytes(b"x")
    counts = FetchCounts(fetched=2, bytes=150)
    refuse_placeholders(state, ["pair", "same"], counts, lambda sha256: 1)
    assert (counts.fetched, counts.bytes, counts.failures) == (1, 50, {"unavailable": 3})
    rows = state.rows("SELECT photo_id, status, path, error_class, error FROM files ORDER BY 1")
    assert [tuple(row)[:4] for row in rows] == [
        *((id, "gone", None, "unavailable") for id in (1, 2, 3)),
        *((id, "ok", f"files/{id}.jpg", None) for id in (4, 5)),
    ]
    assert "several" in rows[0]["error"]
    assert sorted(path.name for path in (state.folder / "files").iterdir()) == ["4.jpg", "5.jpg"]
