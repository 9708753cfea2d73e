"""The funnel of a collection by hand: every stage and note, of a search of all photos and of a sample."""

import pytest

from builders.flickrexif.search.status import Stage, funnel
from builders.flickrexif.store.tombstones import forget


def fill(state, table, *rows):
    with state.transaction() as db:
        for row in rows:
            names = ", ".join(f'"{name}"' for name in row)
            db.execute(f"INSERT INTO {table} ({names}) VALUES ({','.join('?' * len(row))})", tuple(row.values()))


def photo(id, exif_status, selected=1, source="search", licence=4, **others):
    return {"id": id, "owner": "1@N00", "source": source, "urls": "{}", "rank": id, "selected": selected,
            "exif_status": exif_status, "licence": licence, "month": "2012-04", **others}  # fmt: skip


def file(id, status, error_class=None, size=0):
    return {"photo_id": id, "status": status, "attempts": 1, "error_class": error_class, "bytes": size, "at": 0}


def part(status, **others):
    return {"root": 0, "month": "2012-04", "start": 0, "end": 1, "licences": "4", "status": status, "estimate": 0,
            **others}  # fmt: skip


PHOTOS = (
    *(photo(id, "ok") for id in range(1, 5)), photo(5, None), photo(6, "hidden"), photo(7, "hidden"),
    photo(8, "empty", licence=None), photo(9, "ok", selected=0, month="2012-05"),
    photo(10, "ok", source="fill", sought="make: Kodak", licence=5),
    photo(11, "ok", source="fill", sought="make: SONY", licence=5),
    photo(12, "ok", source="fill", sought="make: SONY"), photo(13, "ok", source="import"),
)  # fmt: skip

SELECTED = [
    Stage("found for rare classes", 3, "make: SONY 2, make: Kodak 1"),
    Stage("imported", 1, ""),
]


@pytest.fixture
def collection(state):
    fill(state, "photos", *PHOTOS, photo(20, "ok"))
    fill(state, "files", file(1, "ok", size=1000), file(2, "ok", size=234), file(3, "gone", "gone", 5),
         file(4, "gone", "unavailable"), file(10, "failed", "gone"))  # fmt: skip
    forget(state, photos=["20"])
    state.set("per_user_month", 3)
    state.set("seed", 8)
    return state


def test_funnel__of_a_search_of_all_photos(collection):
    assert funnel(collection)[:2] == [
        Stage("reported by Flickr", 0, "estimates, in slices read to the end"), Stage("found", 0, ""),
    ]  # fmt: skip
    fill(collection, "slices", part("pending", total=7, found=7), part("pending", doubted=1.0), part("pending"),
         part("split", total=5, found=5), part("done", total=10, found=9), part("done", total=0, found=0, trusted=1),
         part("truncated", total=4000, found=3999))  # fmt: skip
    assert funnel(collection) == [
        Stage("reported by Flickr", 4010, "estimates, in slices read to the end"),
        Stage("found", 4008, "3 slices to read, 1 of them came back empty and are requested again,"
                             " 1 empty slices taken on trust, 1 slices beyond Flickr's limit"),
        Stage("within the cap", 9, "at most 3 per owner and month of upload, seed 8"),
        *SELECTED,
        Stage("selected", 12, "1 in months not read to the end"),
        Stage("Exif from Flickr", 8, "not requested 1, empty 1, hidden by their owners 2"),
        Stage("licence known", 11, "cc-by-2.0 9, cc-by-sa-2.0 2, unknown 1"),
        Stage("files fetched", 2, "gone 2, unavailable 1"),
        Stage("taken down", 1, "tombstones of photos and owners"),
    ]  # fmt: skip


def test_funnel__of_an_empty_state_has_neither_cap_nor_fill(state):
    stages = funnel(state)
    assert [stage.name for stage in stages] == [
        "reported by Flickr", "found", "within the cap", "imported", "selected", "Exif from Flickr", "licence known",
        "files fetched", "taken down",
    ]  # fmt: skip
    assert [stage.note for stage in stages[2:-1]] == ["", "", "0 in months not read to the end", "", "", ""]
