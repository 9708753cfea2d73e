"""What is requested from Flickr and what of its answers is stored: parameters, sizes, tags and lengths, by hand."""

import json

from builders.flickrexif.api.search_results import (
    search_result,
    storable,
    text_of,
)
from builders.flickrexif.search.exif_calls import exif_is_hidden, request_photo_exif


class Answering:
    def __init__(self, *answers):
        self.calls, self.answers = [], list(answers)

    def call(self, *given, **named):
        self.calls.append((given, named))
        return self.answers.pop(0)


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
