"""Refreshing: what Flickr says of a photo now, photos that are gone, and calls without an answer."""

import pytest

from builders.flickrexif.api.client import FlickrRefusal
from builders.flickrexif.search.refresh import Refreshed, refresh
from tests.support.clocks import SimulatedClock

HIDDEN = FlickrRefusal(2, "Permission denied")


class Client:
    """Answers by photo and method; an error is raised."""

    def __init__(self, answers):
        self.answers = answers

    def call(self, method, subject, *, expect, photo_id):
        answer = self.answers[photo_id].get(method, {})
        if isinstance(answer, Exception):
            raise answer
        return {expect: answer}


def info(licence, **more):
    return {"photos.getInfo": {"license": licence, "owner": {"realname": "", "username": "user"}, "title": "T"}, **more}


@pytest.fixture
def five(state):
    """Five photos: three with a licence that was checked at 100, one unknown, one not selected."""
    with state.transaction() as db:
        db.executemany(
            "INSERT INTO photos (id, owner, source, urls, rank, licence, licence_checked, selected, exif_status)"
            " VALUES (?, 'a', 'search', '{}', 0, ?, ?, ?, 'ok')",
            [(1, 4, 100, 1), (2, 4, 100, 1), (3, None, None, 1), (4, 4, 100, 1), (5, None, None, 0)],
        )
        db.executemany("INSERT INTO exif VALUES (?, '[]')", [(id,) for id in range(1, 6)])
    return state


def rows(state, columns):
    return [tuple(row) for row in state.rows(f"SELECT {columns} FROM photos ORDER BY id")]


def test_refresh__licences_names_hidden_exif_and_photos_that_are_gone(five):
    refusal = FlickrRefusal(1, "Photo not found")
    client = Client(
        {1: info("5"), 2: info("4", **{"photos.getExif": HIDDEN}), 3: info("x"), 4: {"photos.getInfo": refusal}}
    )
    five.clock = SimulatedClock(1000.0)
    counts = refresh(five, client, older_than_days=0)
    assert counts == Refreshed(checked=4, gone=1, hidden=1, changed=1)
    assert rows(five, "licence_checked, exif_checked") == [
        (1000, None), (1000, 1000), (1000, None), (1000, None), (None, None),
    ]  # fmt: skip
    assert rows(five, "licence, selected, owner_name, title, exif_status") == [
        (5, 1, "user", "T", "ok"),
        (4, 1, "user", "T", "hidden"),
        (None, 1, "user", "T", "ok"),
        (4, -1, None, None, "ok"),
        (None, 0, None, None, "ok"),
    ]
    assert [row[0] for row in five.rows("SELECT photo_id FROM exif ORDER BY 1")] == [1, 3, 4, 5]
    assert five.value("SELECT exif_error FROM photos WHERE id = 4") == str(refusal)


def test_refresh__without_an_age_only_photos_whose_licence_is_unknown(five):
    assert refresh(five, Client({3: info("4")})) == Refreshed(checked=1)
    assert five.value("SELECT licence FROM photos WHERE id = 3") == 4
    assert refresh(five, Client({})) == Refreshed()


@pytest.mark.parametrize(
    ("answer", "stored"),
    [
        ({"license": "7", "owner": {"realname": "Ann", "username": "a"}, "title": "T"}, (7, "Ann", "T")),
        ({"license": {"_content": "0"}, "owner": {"username": "a"}, "title": {"_content": "T"}}, (0, "a", "T")),
        ({"license": 999_999_999, "owner": {"realname": " ", "username": "a"}}, (999_999_999, " ", "")),
        ({"license": "1234567890"}, (None, "", "")),
        *(({"license": text, "owner": owner}, (None, "", "")) for text, owner in
          (("-1", None), ("4.0", []), ("", "a name"), (None, {}), ("x", 5), ([], {"realname": None}))),
        ([], (None, "", "")), ("a text", (None, "", "")), (None, (None, "", "")),
    ],
)  # fmt: skip
def test_refresh__what_is_stored_of_an_answer(five, answer, stored):
    """Answers are untrusted: what has another form is as if it were absent."""
    assert refresh(five, Client({3: {"photos.getInfo": answer}})) == Refreshed(checked=1)
    assert rows(five, "licence, owner_name, title")[2] == stored
