"""Every sentence that FlickrExif says of what it refuses, whole: options, licences, downloads, states, tables."""

import asyncio
import errno
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import httpx
import pytest

from builders.errors import DataError, RemoteError, UsageError
from builders.flickrexif.api.client import Credentials, FlickrUnavailable, _final_error, checked_endpoint
from builders.flickrexif.api.exif_answers import loads
from builders.flickrexif.api.licences import LICENCES, check_with_flickr, chosen_licences
from builders.flickrexif.api.stored_json import stored_addresses, stored_json, stored_texts
from builders.flickrexif.assemble import local_copy
from builders.flickrexif.assemble.build import RAI
from builders.flickrexif.assemble.check_splits import tables_to_check
from builders.flickrexif.assemble.inspect_files import _inspected, inspect_pixels
from builders.flickrexif.assemble.local_copy import load_local_copy
from builders.flickrexif.cli.steps import SEARCH_TAKES_ALL, _day, main, user_agent
from builders.flickrexif.fetch.download import DownloadFailure, _check_answer, _check_url, _redirected, _save
from builders.flickrexif.fetch.transfer import FetchPlan
from builders.flickrexif.search.import_ids import import_table
from builders.flickrexif.search.plan import SearchPlan, Slice, start_search
from builders.flickrexif.search.read_slice import _page
from builders.flickrexif.store.store import State, _disk_fault
from builders.flickrexif.store.tombstones import forget
from builders.untrusted import PHOTO_PACE
from tests.support.flickr_answers import JPEG
from tests.support.flickr_world import licences_answer

BY_HAND = {
    0: ("all-rights-reserved", "All rights reserved", ""),
    1: ("cc-by-nc-sa-2.0", "CC BY-NC-SA 2.0", "https://creativecommons.org/licenses/by-nc-sa/2.0/"),
    2: ("cc-by-nc-2.0", "CC BY-NC 2.0", "https://creativecommons.org/licenses/by-nc/2.0/"),
    3: ("cc-by-nc-nd-2.0", "CC BY-NC-ND 2.0", "https://creativecommons.org/licenses/by-nc-nd/2.0/"),
    4: ("cc-by-2.0", "CC BY 2.0", "https://creativecommons.org/licenses/by/2.0/"),
    5: ("cc-by-sa-2.0", "CC BY-SA 2.0", "https://creativecommons.org/licenses/by-sa/2.0/"),
    6: ("cc-by-nd-2.0", "CC BY-ND 2.0", "https://creativecommons.org/licenses/by-nd/2.0/"),
    7: ("no-known-restrictions", "No known copyright restrictions", "https://www.flickr.com/commons/usage/"),
    8: ("us-government", "United States Government work", "https://www.usa.gov/government-copyright"),
    9: ("cc0-1.0", "CC0 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    10: ("pdm-1.0", "Public Domain Mark 1.0", "https://creativecommons.org/publicdomain/mark/1.0/"),
    11: ("cc-by-4.0", "CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/"),
    12: ("cc-by-sa-4.0", "CC BY-SA 4.0", "https://creativecommons.org/licenses/by-sa/4.0/"),
    13: ("cc-by-nd-4.0", "CC BY-ND 4.0", "https://creativecommons.org/licenses/by-nd/4.0/"),
    14: ("cc-by-nc-4.0", "CC BY-NC 4.0", "https://creativecommons.org/licenses/by-nc/4.0/"),
    15: ("cc-by-nc-sa-4.0", "CC BY-NC-SA 4.0", "https://creativecommons.org/licenses/by-nc-sa/4.0/"),
    16: ("cc-by-nc-nd-4.0", "CC BY-NC-ND 4.0", "https://creativecommons.org/licenses/by-nc-nd/4.0/"),
}
"""Slug, name and address of Flickr's licences (flickr.photos.licenses.getInfo)."""


def test_licences__by_hand():
    assert {i: (licence.slug, licence.name, licence.url) for i, licence in LICENCES.items()} == BY_HAND
    assert [licence.id for licence in LICENCES.values()] == list(BY_HAND)
    terms = {i: slug.split("-") for i, (slug, *_) in BY_HAND.items()}
    for i, licence in LICENCES.items():
        assert licence.redistributable is (i != 0)
        assert licence.non_commercial is ("nc" in terms[i])
        assert licence.no_derivatives is ("nd" in terms[i])
        assert licence.share_alike is ("sa" in terms[i])
        assert licence.attribution is ("by" in terms[i])


def answer_without(id, **changed):
    entries = [dict(e) for e in licences_answer()["license"] if int(e["id"]) != id or changed]
    for entry in entries:
        if int(entry["id"]) == id:
            entry |= changed
    return {"licenses": {"license": entries}}


class Answering:
    def __init__(self, answer):
        self.answer = answer

    def call(self, *words, **named):
        return self.answer


PIECE = Slice("2012-04", 0, 10, (4,))
UNAVAILABLE = (
    "Flickr gave no usable answer in 1 attempts (last: {}); results so far are saved, run the same command again later"
)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: chosen_licences(["cc-by-nc-2.0"]), UsageError,
         "licence cc-by-nc-2.0: add --non-commercial or --no-derivatives to take such photos"),
        (lambda: chosen_licences(["0"]), UsageError,
         "licence all-rights-reserved: such photos may not be handed on, so they are not searched for"),
        (lambda: chosen_licences([" CC-by-40 "]), UsageError, "unknown licence 'cc-by-40': did you mean 'cc-by-4.0'?"),
        (lambda: check_with_flickr({}, (4,)), RemoteError,
         "flickr.photos.licenses.getInfo: the answer cannot be understood, try again later"),
        (lambda: check_with_flickr(answer_without(4), (5, 4)), RemoteError,
         "Flickr no longer knows licence 4 (cc-by-2.0): leave it out of --license"),
        (lambda: check_with_flickr(answer_without(4, url="https://creativecommons.org/licenses/by-nd/2.0/"), (4,)),
         RemoteError, "Flickr means https://creativecommons.org/licenses/by-nd/2.0/ by licence 4, not cc-by-2.0: leave"
         " it out of --license"),
        (lambda: checked_endpoint("http://a.org/"), UsageError,
         "--api-url http://a.org/: a key is only sent over https (or http to 127.0.0.1)"),
        (lambda: Credentials.from_environment(), UsageError,
         "FLICKR_API_KEY is not set: get a key at https://www.flickr.com/services/apps/create/ and export it"),
        (lambda: stored_json("{"), DataError, None),
        (lambda: stored_addresses('{"o": ["u", 1]}'), DataError,
         "the state is damaged (addresses of a photo in it are none); go on with a copy of it, or with a new --state"),
        (lambda: stored_texts('{"Make": 1}'), DataError,
         "the state is damaged (Exif of a file in it is none); go on with a copy of it, or with a new --state"),
        (lambda: loads('[["a", "b"]]'), DataError,
         "the state is damaged (Exif entries of a photo in it are none); go on with a copy of it, or with a new"
         " --state"),
        (lambda: _page(Answering({"photos": {}}), PIECE, 1, 1, "s", ""), FlickrUnavailable,
         UNAVAILABLE.format("a search without results")),
        (lambda: _page(Answering({"photos": {"total": -1, "photo": []}}), PIECE, 1, 1, "s", ""), FlickrUnavailable,
         UNAVAILABLE.format("a search with a total that cannot be")),
        (lambda: FetchPlan(attempts=0), UsageError,
         "--connections, --per-host, --attempts and --max-bytes are at least 1"),
        (lambda: FetchPlan(sizes=("ok",)), UsageError, "unknown size 'ok': did you mean 'o'?"),
        (lambda: user_agent("a b\n"), UsageError, "--contact: give a plain e-mail address or web address"),
        (lambda: _day("2012-4", "--to"), UsageError, "--to 2012-4: write a date as 2004-01-31"),
        (lambda: main(["forget", "--state", "s"]), UsageError, "say whom to forget: --owner NSID or --photo ID"),
        (lambda: import_table(None, None), UsageError, "say --hub REPO or --table FILE"),
        (lambda: tables_to_check([]), UsageError, "name a built folder or split files"),
        (lambda: _inspected({"width": 1, "height": -1, "hashes": []}), ValueError, "numbers that no photo has"),
        (lambda: _inspected({"width": 1, "height": 1, "hashes": [1]}), ValueError,
         "another number of hashes than a photo has"),
    ],
)  # fmt: skip
def test_refusal__whole(call, error, sentence, monkeypatch):
    monkeypatch.delenv("FLICKR_API_KEY", raising=False)
    with pytest.raises(error) as caught:
        call()
    if sentence is None:
        assert str(caught.value).startswith("the state is damaged (a value in it is no JSON: ")
    else:
        assert str(caught.value) == sentence


def test_key__that_is_not_accepted():
    error = _final_error(100, "Invalid API Key")
    assert type(error) is UsageError
    assert str(error) == (
        "Flickr does not accept the key (Invalid API Key): check FLICKR_API_KEY and FLICKR_API_SECRET"
    )
    assert str(_final_error(1, "gone")) == "Flickr code 1: gone"


def failure_of(call):
    with pytest.raises(DownloadFailure) as caught:
        call()
    return caught.value.error_class, str(caught.value), caught.value.permanent


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://x:99999/", "an address that makes no sense"),
        ("ftp://x/1.jpg", "ftp: only http and https are fetched"),
        ("x", "no scheme: only http and https are fetched"),
        ("https:///1.jpg", "https: only http and https are fetched"),
        ("https://a@b/1.jpg", "an address with a user name in it"),
        ("https://:a@b/1.jpg", "an address with a user name in it"),
        ("https://b:8080/1.jpg", "port 8080: photos are served on 80 and 443"),
    ],
)
def test_download__of_addresses(url, reason):
    assert failure_of(lambda: _check_url(url, False)) == ("bad url", reason, True)
    for good in ("https://b/1.jpg", "http://b:80/1.jpg", "https://b:443/1.jpg"):
        _check_url(good, False)
    _check_url("http://b:8080/1.jpg", True)


@pytest.mark.parametrize(
    ("target", "failure"),
    [
        ("", ("redirects", "a redirect to nowhere", False)),
        ("/en-us/photo_unavailable.png", ("unavailable", "Flickr shows its 'photo unavailable' picture", True)),
        ("/image-unavailable", ("unavailable", "Flickr shows its 'photo unavailable' picture", True)),
        ("/a/unavailable.gif", ("unavailable", "Flickr shows its 'photo unavailable' picture", True)),
        ("http://a.org/1.jpg", ("redirects", "a redirect from https to something else", True)),
    ],
)
def test_download__of_redirects(target, failure):
    assert failure_of(lambda: _redirected("https://a.net/x/1.jpg", {"Location": target})) == failure
    assert _redirected("https://a.net/x/1.jpg", {"Location": "2.jpg?unavailable.gif"}) == (
        "https://a.net/x/2.jpg?unavailable.gif"
    )


@pytest.mark.parametrize(
    ("status", "headers", "failure"),
    [
        (404, {}, ("gone", "http 404", True)), (403, {}, ("refused", "http 403", True)),
        (503, {}, ("http 503", "http 503", False)),
        (200, {"Content-Type": "Text/HTML; charset=x"}, ("not an image", "text/html instead of a photo", False)),
        (200, {"Content-Type": "video/mp4"}, ("not an image", "'video/mp4' instead of a photo", True)),
        (200, {"Content-Type": "v" * 70}, ("not an image", f"'{'v' * 60}' instead of a photo", True)),
        (200, {"Content-Encoding": "gzip"}, ("encoded", "the server would not send the file as it is", True)),
        (200, {"Content-Length": "101"}, ("too large", "101 bytes are more than 100", True)),
    ],
)  # fmt: skip
def test_download__of_headers(status, headers, failure):
    assert failure_of(lambda: _check_answer(httpx.Response(status, headers=headers), 100)) == failure
    for good in ({"Content-Length": "100"}, {"Content-Length": "x"}, {"Content-Encoding": "Identity"}):
        _check_answer(httpx.Response(200, headers=good), 100)
    with pytest.raises(DownloadFailure) as caught:
        _check_answer(httpx.Response(429, headers={"Retry-After": "9"}), 100)
    assert caught.value.retry_after_s == 9


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (b"", ("short", "an empty file", False)),
        (JPEG[:-2], ("short", f"{len(JPEG) - 2} bytes arrived, and the picture goes on", False)),
        (b" \xef\xbb\xbf<html>", ("not an image", "a page of text instead of a photo", False)),
        (b"no picture at all", ("not an image", "the bytes are of no image format", True)),
        (bytes(601), ("too large", "more than 600 bytes", True)),
    ],
)
def test_download__of_bodies(tmp_path, body, failure):
    async def parts():
        yield body[:3]
        yield body[3:]

    response = httpx.Response(200, content=parts())
    save = _save(response, tmp_path / "f", "https://a.net/1", 600, PHOTO_PACE)
    assert failure_of(lambda: asyncio.run(save)) == failure


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("database is locked", "{}: another process has held it for 60 seconds; run it again"),
        ("database disk image is malformed",
         "{}: it is damaged (database disk image is malformed); go on with a copy of it, or with a new --state"),
        ("no such table: photos",
         "{}: it is damaged (no such table: photos); go on with a copy of it, or with a new --state"),
        ("Could not decode to UTF-8",
         "{}: it is damaged (Could not decode to UTF-8); go on with a copy of it, or with a new --state"),
    ],
)  # fmt: skip
def test_state__errors_of_its_data_base(tmp_path, message, sentence):
    assert str(_disk_fault(sqlite3.DatabaseError(message), tmp_path)) == sentence.format(tmp_path)
    for words, number in (("database or disk is full", errno.ENOSPC), ("disk I/O error", errno.EIO)):
        error = _disk_fault(sqlite3.OperationalError(words), tmp_path)
        expected = {errno.ENOSPC: "the disk is full", errno.EIO: "cannot be written to"}[number]
        assert str(error).startswith(f"{tmp_path}: {expected}")
        assert "; recorded data are saved" in str(error)


def test_state__that_is_absent_newer_or_broken(tmp_path):
    with pytest.raises(DataError) as error:
        State(tmp_path / "a")
    assert str(error.value) == (
        f"{tmp_path / 'a'}: no state there; begin with 'flickrexif search' or 'flickrexif import'"
    )
    State(tmp_path / "b", create=True).close()
    with closing(sqlite3.connect(tmp_path / "b" / "state.sqlite")) as db:
        db.execute("PRAGMA user_version = 4")
    with pytest.raises(DataError) as error:
        State(tmp_path / "b")
    assert str(error.value) == f"{tmp_path / 'b'}: its state has version 4, this camtrace reads 3: update it"
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "state.sqlite").write_bytes(b"no data base, of some length" * 99)
    with pytest.raises(DataError) as error:
        State(tmp_path / "c")
    assert str(error.value) == (
        f"{tmp_path / 'c' / 'state.sqlite'}: cannot be opened as a state (file is not a database)"
    )


def test_forget__ids_of_another_form(state):
    for given, sentence in (
        ({"photos": ["x1"]}, "--photo x1: a Flickr photo id is a number, as in the address of its page"),
        ({"owners": [" me "]}, "--owner me: an owner's id (NSID) looks like 12345678@N00"),
    ):
        with pytest.raises(UsageError) as error:
            forget(state, **given)
        assert str(error.value) == sentence


def test_search__of_another_plan_or_begun_without_a_limit(state):
    with state.transaction() as db:
        db.execute(
            'INSERT INTO slices (root, month, start, "end", licences, status, estimate)'
            " VALUES (1, 'm', 0, 1, '4', 'done', 0)"
        )
    with pytest.raises(UsageError) as error:
        start_search(state, None, SearchPlan(0, 1, 5, (4,), photos=9), 60)
    assert str(error.value) == (
        f"{state.folder}: its search was begun without --limit: go on without, or sample into a new --state"
    )


def test_tables__that_cannot_be_read(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.csv").write_text("id,Make\n1,Canon\n")
    (tmp_path / "c").mkdir()
    for table, error, sentence in (
        ("none.csv", DataError, "no such file"),
        ("a.txt", UsageError, "a table is a file in .parquet, .csv, .json, .jsonl"),
        ("b.csv", DataError, "has no column 'Flickr ID' among id, Make"),
    ):
        with pytest.raises(error) as caught:
            import_table(None, tmp_path / table)
        assert str(caught.value) == f"{tmp_path / table}: {sentence}"
    with pytest.raises(DataError) as caught:
        import_table(None, tmp_path / "a.json")
    assert str(caught.value).startswith(f"{tmp_path / 'a.json'}: cannot be read as a table (")
    with pytest.raises(DataError) as caught:
        tables_to_check([tmp_path / "c"])
    assert str(caught.value) == f"{tmp_path / 'c'}: neither a built data set nor a folder of split files"


def test_inspect__files_that_are_gone_or_others(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    gone, other = inspect_pixels(tmp_path / "b", "0"), inspect_pixels(tmp_path / "a", "0")
    assert (gone.reason, gone.damaged) == ("the file cannot be read (No such file or directory)", True)
    assert (other.reason, other.damaged) == ("the file is not the one that was fetched", True)
    assert (gone.hashes, gone.hash, gone.width, gone.height) == ((), 0, 0, 0)


def test_load__names_the_config_and_the_source(state, tmp_path, monkeypatch):
    build = SimpleNamespace(configs=("make", "iso", "metadata", "photos"))
    monkeypatch.setattr(local_copy, "_read", lambda repo: SimpleNamespace(build=build))
    for name, hint in (
        ("mak", "did you mean 'make'?"),
        ("metadata", "did you mean 'make'?"),
        ("z", "known: iso, make"),
    ):
        with pytest.raises(UsageError) as error:
            load_local_copy("org/a", state, tmp_path, FetchPlan(), configs=["iso", name])
        assert str(error.value).startswith(f"unknown config of org/a '{name}': ")
        assert name == "metadata" or str(error.value).endswith(hint)


def test_texts__that_are_printed_or_written():
    assert SEARCH_TAKES_ALL == (
        "searching for every photo that the cap of {cap} per owner and month allows, as the study did; its 356,459"
        " photos are 99 hours of calls for Exif alone at 3,600 an hour. --dry-run says what it takes, --limit N takes a"
        " sample"
    )
    assert dict(RAI) == {
        "dataCollection": "Public photos that people uploaded to Flickr under permissive licences, found with its API.",
        "dataUseCases": (
            "To measure what visual encoders know of the camera and its settings. Not for naming the camera, the place"
            " or the person behind a photo."
        ),
        "personalSensitiveInformation": (
            "Photos may show people who did not consent. Flickr's name of each owner is there for the credit that"
            " licences require; positions, serial numbers and names in Exif were never read."
        ),
        "dataBiases": (
            "People on Flickr are no sample of all people, and those who choose a permissive licence are no sample of"
            " Flickr."
        ),
        "dataReleaseMaintenancePlan": (
            "Licences and deletions are looked up again with each version; owners can have a photo removed, as the card"
            " says."
        ),
    }
