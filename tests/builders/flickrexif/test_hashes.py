"""Hashes that states, data sets and caches hold, written out: others would break with those of earlier versions."""

import hashlib
import random

import pytest

from builders.flickrexif import TOMBSTONES_FILE
from builders.flickrexif.api.call_budget import budget_file
from builders.flickrexif.api.search_results import rank
from builders.flickrexif.search.forecast import Forecast
from builders.flickrexif.search.strata import Stratum, round_order, turns_of, unit
from builders.flickrexif.store.schema import IMPORTED_PLANS, VERSION, tombstone_hash
from builders.flickrexif.store.store import DATABASE, FILES, file_path


def blake(text):
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def sha256(text):
    return hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize(("id", "seed"), [(7, 0), (51234, 3)])
def test_ranks_and_tombstones(id, seed):
    assert rank(id, seed) == blake(b"flickrexif cap\0%d\0%d" % (seed, id)) // 2
    assert tombstone_hash("photo", str(id)) == sha256(b"flickrexif tombstone\0photo\0%d" % id)
    assert tombstone_hash("owner", "1@N02") == sha256(b"flickrexif tombstone\0owner\x001@N02")


def test_budget_file__of_a_key(tmp_path):
    name = f"calls-{sha256(b'flickrexif call budget' + bytes(1) + b'the key')[:32]}.json"
    assert budget_file("the key", tmp_path) == tmp_path / "flickr" / name


@pytest.mark.parametrize(("start", "seed"), [(0, 0), (1_325_376_000, 5)])
def test_order_of_a_sample(start, seed):
    def drawn(what, number):
        return (blake(b"flickrexif sample\0%s\0%d\0%d" % (what, seed, number)) >> 11) / 2**53

    assert unit("turn", start, seed) == drawn(b"turn", start)
    shift = drawn(b"turn", start)
    assert turns_of(60, 40.0, start, seed) == [int((i + shift) / 7.5) for i in range(60)]
    assert turns_of(3, 2.0, start, seed) == [int((i + shift) / 3) for i in range(3)]  # a window has five on average
    starts = [start + i for i in range(9)]
    assert round_order(starts, 4, seed) == sorted(starts, key=lambda s: drawn(b"round 4", s))
    order = list(range(7))
    random.Random(f"flickrexif windows {seed} {start}").shuffle(order)
    windows = [Stratum("m", start, start + 700, 10, 7, 5, opened).next_window(seed) for opened in range(14)]
    assert windows == 2 * [(start + 100 * at, start + 100 * at + 100) for at in order]


def test_names__of_files_and_settings():
    assert (DATABASE, FILES, TOMBSTONES_FILE, IMPORTED_PLANS, VERSION) == (
        "state.sqlite", "files", "tombstones.txt", "fetches by ranks", 3,
    )  # fmt: skip
    assert [file_path(id, "o", ".jpg") for id in (5, 51234, 100)] == [
        "files/05/00/5_o.jpg", "files/34/12/51234_o.jpg", "files/00/01/100_o.jpg",
    ]  # fmt: skip


def test_forecast__of_everything_ends_with_what_is_not_known():
    made = Forecast(1234, True, 3, 2, 5000, 1, 2, 3, 4, True, 2.0, 0.5, False, 90)
    assert made.to_text(3600).splitlines() == [
        "photos            1,234  at most; 3 are here; Flickr reports 5,000 in 2 months",
        "calls                10  1 count months, 2 search, 3 ask for Exif, 4 try again",
        "hours               0.0  at 3,600 calls an hour",
        "gigabytes           0.1  90 originals of 2.0 megapixels, 0.50 bytes a pixel (assumed until files are fetched)",
        "these are the most: the cap per owner and month leaves out what is known when months are read whole",
    ]
