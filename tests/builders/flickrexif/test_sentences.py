"""Every sentence that FlickrExif says of what it refuses, whole: options, licences, downloads, states, tables."""

import sqlite3
from contextlib import closing

import pytest

from builders.errors import DataError, UsageError
from builders.flickrexif import LICENCES
from builders.flickrexif.assemble.build import RAI
from builders.flickrexif.assemble.check_splits import tables_to_check
from builders.flickrexif.assemble.inspect_files import inspect_pixels
from builders.flickrexif.cli.steps import SEARCH_TAKES_ALL
from builders.flickrexif.search.import_ids import import_table
from builders.flickrexif.search.plan import SearchPlan, start_search
from builders.flickrexif.store.store import State
from builders.flickrexif.store.tombstones import forget

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


def test_state__that_is_absent_newer_or_broken(tmp_path):
    with pytest.raises(DataError) as error:
        State(tmp_path / "a")
    assert str(tmp_path / "a") in str(error.value)
    State(tmp_path / "b", create=True).close()
    with closing(sqlite3.connect(tmp_path / "b" / "state.sqlite")) as db:
        db.execute("PRAGMA user_version = 4")
    with pytest.raises(DataError) as error:
        State(tmp_path / "b")
    assert str(tmp_path / "b") in str(error.value)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "state.sqlite").write_bytes(b"no data base, of some length" * 99)
    with pytest.raises(DataError) as error:
        State(tmp_path / "c")
    assert str(tmp_path / "c" / "state.sqlite") in str(error.value)


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
    assert str(state.folder) in str(error.value)


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
    assert str(tmp_path / "c") in str(caught.value)


def test_inspect__files_that_are_gone_or_others(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    gone, other = inspect_pixels(tmp_path / "b", "0"), inspect_pixels(tmp_path / "a", "0")
    assert (gone.reason, gone.damaged) == ("the file cannot be read (No such file or directory)", True)
    assert (other.reason, other.damaged) == ("the file is not the one that was fetched", True)
    assert (gone.hashes, gone.hash, gone.width, gone.height) == ((), 0, 0, 0)


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
