"""What FlickrExif refuses: responses that cannot be understood, files that are others, errors of its data base."""

import hashlib

import pytest

from builders.errors import DataError, PhotoError, RemoteError, UsageError
from builders.flickrexif import LICENCES
from builders.flickrexif.api.clock import Stopped, SystemClock
from builders.flickrexif.api.licences import check_with_flickr
from builders.flickrexif.api.search_results import side_of
from builders.flickrexif.assemble.check_splits import tables_to_check
from builders.flickrexif.assemble.rows import RowMaker
from builders.flickrexif.fetch.transfer import FetchPlan
from tests.support.flickr_world import licences_answer


def test_check_with_flickr__a_licence_that_is_gone_and_a_response_of_another_form():
    without = {"license": [e for e in licences_answer()["license"] if int(e["id"]) != 4]}
    with pytest.raises(RemoteError, match=f"no longer knows licence 4 \\({LICENCES[4].slug}\\)"):
        check_with_flickr({"licenses": without}, (5, 4))
    check_with_flickr({"licenses": without}, (5,))
    for response in ({}, {"licenses": {"license": [{"id": "x"}]}}, {"licenses": {"license": None}}):
        with pytest.raises(RemoteError, match="cannot be understood"):
            check_with_flickr(response, (5,))


@pytest.mark.parametrize(("value", "pixels"), [(640, 640), ("480", 480), (-3, 0), (None, 0), ("wide", 0), ([], 0)])
def testside_of__what_is_no_number_is_nought(value, pixels):
    assert side_of(value) == pixels


def test_tables_to_check__needs_built_folders_or_split_files(tmp_path):
    with pytest.raises(UsageError):
        tables_to_check([])
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(DataError):
        tables_to_check([tmp_path])


def test_row__the_file_is_the_one_that_was_fetched(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"picture")
    columns = {"photo_id": "1", "sha256": hashlib.sha256(b"picture").hexdigest()}
    rows = RowMaker(str(tmp_path), ["a.jpg", "a.jpg", "b.jpg"], [columns, {**columns, "sha256": "0"}, columns], True)
    assert rows.row(0, {"make": 3}) == {"image": {"bytes": b"picture", "path": "a.jpg"}, **columns, "make": 3}
    with pytest.raises(PhotoError):
        rows.row(1, {})
    with pytest.raises(PhotoError, match="cannot be read"):
        rows.row(2, {})


@pytest.mark.parametrize("name", ["connections", "per_host", "attempts", "max_bytes"])
def test_fetch_plan__numbers_of_at_least_one(name):
    assert getattr(FetchPlan(**{name: 1}), name) == 1
    with pytest.raises(UsageError, match="are at least 1"):
        FetchPlan(**{name: 0})


def test_clock__a_wait_ends_where_the_run_ends():
    clock = SystemClock()
    clock.sleep(0.0)
    clock.stop()
    with pytest.raises(Stopped):
        clock.sleep(60.0)
