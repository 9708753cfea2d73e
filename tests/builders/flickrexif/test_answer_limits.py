"""What is requested from Flickr and what of its answers is stored: parameters, sizes, tags and lengths, by hand."""

import json

import httpx
import pytest

from builders.flickrexif.api.exif_answers import STORED_TAGS, TRUST, entries_from_response
from builders.flickrexif.api.search_results import (
    FLICKR_SIZES,
    REQUESTED_SIZES,
    SEARCH_EXTRAS,
    photo_id,
    photo_page,
    search_result,
    side_of,
    storable,
    text_of,
)
from builders.flickrexif.fetch import download
from builders.flickrexif.search.exif_calls import exif_is_hidden, request_photo_exif
from builders.flickrexif.search.plan import (
    EMPTY_AGAIN_S,
    INDEX_LAG_S,
    MAX_PAGES,
    MAX_RESULTS,
    MIN_SLICE_S,
    PER_PAGE,
    Slice,
)
from builders.flickrexif.search.read_slice import count_slice, read_slice

TAGS = """
Make Model UniqueCameraModel Software ProcessingSoftware CreatorTool HostComputer ExposureTime ShutterSpeedValue FNumber
ApertureValue MaxApertureValue ExposureProgram ISO ISOSpeedRatings PhotographicSensitivity SensitivityType
RecommendedExposureIndex StandardOutputSensitivity ISOSpeed ExposureIndex ExposureCompensation ExposureMode FocalLength
FocalLengthIn35mmFormat FocalLengthIn35mmFilm DigitalZoomRatio LensMake LensModel Lens LensInfo Flash FlashFired
MeteringMode WhiteBalance DateTimeOriginal CreateDate DateTimeDigitized ModifyDate DateTime OffsetTimeOriginal
Orientation ColorSpace SceneCaptureType FileSource SceneType SensingMethod ExifVersion ExifImageWidth ExifImageHeight
CustomRendered LightSource
"""
"""Of the camera, the exposure and the picture; none that could name a person, a place or a single camera."""


def test_tags__that_are_stored():
    assert set(TAGS.split()) == STORED_TAGS
    assert TRUST == ("IFD0", "ExifIFD", "SubIFD", "InteropIFD")
    listed = [{"tagspace": "ExifIFD", "tag": tag, "raw": "x"} for tag in (*TAGS.split(), "SerialNumber", "OwnerName")]
    assert {tag for _, tag in entries_from_response({"photo": {"exif": listed}})} == set(TAGS.split())


def test_sizes__from_the_original_down():
    names = "o 6k 5k 4k 3k k h l c z w m n s t q sq"
    assert (" ".join(FLICKR_SIZES), " ".join(REQUESTED_SIZES)) == (names, "o k h l c z m")
    assert SEARCH_EXTRAS == (
        "license,date_upload,date_taken,owner_name,original_format,media,url_o,url_k,url_h,url_l,url_c,url_z,url_m"
    )
    assert (PER_PAGE, MAX_RESULTS, MAX_PAGES, MIN_SLICE_S) == (500, 4000, 8, 300)
    assert (INDEX_LAG_S, EMPTY_AGAIN_S) == (86400, 600.0)


class Answering:
    def __init__(self, *answers):
        self.calls, self.answers = [], list(answers)

    def call(self, *given, **named):
        self.calls.append((given, named))
        return self.answers.pop(0)


def test_search__every_parameter_of_a_call():
    client = Answering({"photos": {"total": "7", "photo": []}}, {"photos": {"total": 0, "photo": []}})
    piece = Slice("2012-04", 100, 200, (4, 7))
    assert count_slice(client, piece, "count 2012-04", "Kodak DX") == 7
    read_slice(client, piece, "slice 3")
    parameters = {
        "expect": "photos", "min_upload_date": 100, "max_upload_date": 199, "license": "4,7", "safe_search": 1,
        "content_type": 1, "content_types": "0", "media": "photos", "sort": "date-posted-asc", "extras": SEARCH_EXTRAS,
        "page": 1,
    }  # fmt: skip
    assert client.calls == [
        (("photos.search", "count 2012-04"), {**parameters, "per_page": 1, "text": "Kodak DX"}),
        (("photos.search", "slice 3 page 1"), {**parameters, "per_page": 500}),
    ]


def test_exif__parameters_of_a_call_and_what_is_stored(state):
    state.rows("INSERT INTO photos (id, owner, source, urls, rank) VALUES (7, 'a', 'search', '{}', 0)")
    answer = {"photo": {"exif": [{"tagspace": "IFD0", "tag": "Make", "raw": "Canon"}]}}
    client = Answering(answer, {"photo": {}}, answer)
    assert request_photo_exif(state, client, 7) is True
    columns = "exif_status, exif_attempts, exif_error, exif_checked IS NOT NULL"
    assert tuple(state.rows(f"SELECT {columns} FROM photos")[0]) == ("ok", 1, None, 1)
    assert json.loads(state.value("SELECT entries FROM exif WHERE photo_id = 7")) == [["IFD0", "Make", "Canon"]]
    assert request_photo_exif(state, client, 7) is True
    assert tuple(state.rows(f"SELECT {columns} FROM photos")[0]) == ("empty", 2, None, 1)
    assert exif_is_hidden(client, 7) is False
    assert client.calls == [(("photos.getExif", "photo"), {"expect": "photo", "photo_id": 7})] * 3


ENTRY = {"id": "7", "owner": "1@N00", "license": "4", "dateupload": "5"}


def test_search_result__lengths_and_texts_that_can_be_stored():
    made = search_result({**ENTRY, "title": "t" * 501, "ownername": "o\0\ud800", "datetaken": "d" * 41,
                          "originalformat": "f" * 11, "media": "photo"})  # fmt: skip
    assert (made.title, made.owner_name, made.taken, made.original_format) == ("t" * 500, "o?", "d" * 40, "f" * 10)
    assert search_result({**ENTRY, "datetaken": "2012", "datetakenunknown": 1}).taken == ""
    assert search_result({**ENTRY, "datetaken": "2012", "datetakenunknown": "0"}).taken == "2012"
    for media, result in (("photo", 7), ("video", None), ("screenshot", None)):
        made = search_result({**ENTRY, "media": media})
        assert (made and made.id) == result
    assert (text_of({"_content": 5}), text_of(None), text_of({}), text_of("abc", 2)) == ("5", "", "", "ab")
    assert storable("a\0b\udcffc") == "ab?c"


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("https://a.net/" + "x" * 1985, True), ("https://a.net/" + "x" * 1986, False), ("http://a.net/", True),
        ("ftp://a.net/", False), ("https://a.net/\0", False), (7, False), (None, False),
    ],
)  # fmt: skip
def test_search_result__addresses(url, stored):
    made = search_result({**ENTRY, "url_l": url, "width_l": "9", "height_l": 8, "url_x": "https://a.net/"})
    assert made.urls == ({"l": (url, 9, 8)} if stored else {})


@pytest.mark.parametrize(
    ("value", "pixels"), [(0, 0), ("7", 7), (-1, 0), (2**31 - 1, 2**31 - 1), (2**31, 0), (1e999, 0), ("x", 0)]
)
def test_side__of_31_bits(value, pixels):
    assert side_of(value) == pixels


def test_ids__of_photos():
    assert [photo_id(value) for value in ("1", 5, 2**62 - 1)] == [1, 5, 2**62 - 1]
    for value in (0, "-1", 2**62, "x", None, 1e999):
        with pytest.raises(ValueError):
            photo_id(value)
    assert photo_page("1@N00", 7) == "https://www.flickr.com/photos/1@N00/7/"


def test_photo_client__bytes_as_they_are_without_cookies_proxies_and_redirects(monkeypatch):
    made, transport = [], httpx.MockTransport(lambda request: httpx.Response(200))
    monkeypatch.setattr(download, "GuardedTransport", lambda **options: made.append(options) or transport)
    client = download.photo_client(user_agent="me", timeout_s=7.0, allow_loopback=True)
    download.photo_client(user_agent="me", timeout_s=7.0, allow_loopback=False, connections=5, ssl_context="context")
    assert made == [
        {"connections": 2, "allow_loopback": True, "ssl_context": None},
        {"connections": 5, "allow_loopback": False, "ssl_context": "context"},
    ]
    names = ("User-Agent", "Accept", "Accept-Encoding")
    assert [client.headers[name] for name in names] == ["me", "image/*", "identity"]
    assert (client.follow_redirects, client.trust_env, client.timeout) == (False, False, httpx.Timeout(7.0))
    assert client._transport is transport
