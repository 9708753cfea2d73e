"""What FlickrExif refuses: responses that cannot be understood, files that are others, errors of its data base."""

import hashlib

import pytest

from builders.errors import PhotoError, RemoteError
from builders.flickrexif import LICENCES
from builders.flickrexif.api.licences import check_with_flickr
from builders.flickrexif.assemble.rows import RowMaker
from tests.support.flickr_world import licences_answer


def test_check_with_flickr__a_licence_that_is_gone_and_a_response_of_another_form():
    without = {"license": [e for e in licences_answer()["license"] if int(e["id"]) != 4]}
    with pytest.raises(RemoteError, match=f"{LICENCES[4].slug}"):
        check_with_flickr({"licenses": without}, (5, 4))
    check_with_flickr({"licenses": without}, (5,))
    for response in ({}, {"licenses": {"license": [{"id": "x"}]}}, {"licenses": {"license": None}}):
        with pytest.raises(RemoteError, match="cannot be understood"):
            check_with_flickr(response, (5,))


def test_row__the_file_is_the_one_that_was_fetched(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"picture")
    columns = {"photo_id": "1", "sha256": hashlib.sha256(b"picture").hexdigest()}
    rows = RowMaker(str(tmp_path), ["a.jpg", "a.jpg", "b.jpg"], [columns, {**columns, "sha256": "0"}, columns], True)
    assert rows.row(0, {"make": 3}) == {"image": {"bytes": b"picture", "path": "a.jpg"}, **columns, "make": 3}
    with pytest.raises(PhotoError):
        rows.row(1, {})
    with pytest.raises(PhotoError, match="cannot be read"):
        rows.row(2, {})
