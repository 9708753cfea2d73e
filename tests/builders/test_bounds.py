"""Values at a limit and just beyond it, through each function that knows the limit."""

import math
import struct
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from builders.check.diff import _named
from builders.check.result import examples
from builders.cluster.markers import Running, States
from builders.cluster.status import Progress, _duration
from builders.data_specs import DataSpec
from builders.dataset.card import size_category
from builders.dataset.disk_space import _gigabytes, require_space
from builders.dataset.manifest import _safe_name
from builders.errors import DataError, DiskError, PhotoError, UsageError
from builders.exif.acquisition import Acquisition, acquisition_from_tags, positive_fraction
from builders.exif.attributes import printed, snapped
from builders.exif.parser import read_block
from builders.flickrexif.api.search_results import _urls, photo_id, text_of
from builders.flickrexif.assemble.inspect_files import _inspected
from builders.flickrexif.cli.steps import user_agent
from builders.photos import UNLABELLED, Labels
from builders.photos.cells import GroupCells
from builders.photos.columns import _folder
from builders.processes.progress import _count
from builders.processes.progress import _duration as two_units
from builders.sources.columns.given import mapped_splits
from builders.sources.columns.named import _fmow_split
from builders.splits.near_duplicates import near_pairs
from builders.splits.tables import _check_size
from builders.untrusted import UntrustedInputError, parse_json
from builders.untrusted.documents import check_plain, parse_yaml
from builders.untrusted.files import _size, read_untrusted
from builders.untrusted.pace import Pace
from builders.untrusted.text import _short, readable


def tags(**values):
    return acquisition_from_tags({("ExifIFD", name): str(value) for name, value in values.items()})


def nested(depth, *, inner="1"):
    return "[" * depth + inner + "]" * depth


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: _named(["a", "b", "c", "d", "e"]), "a, b, c, d, e"),
        (lambda: _named(["a", "b", "c", "d", "e", "f"]), "a, b, c, d, e, ..."),
        (lambda: examples(["a", "b", "c"]), "a, b, c"),
        (lambda: examples(["a", "b", "c", "d", "e"]), "a, b, c, and 2 more"),
        (lambda: [_duration(s) for s in (89.4, 90, 3570, 3569)], ["89 s", "2 min", "1 h 0 min", "59 min"]),
        (lambda: [two_units(s) for s in (59, 60, 3599, 3600)], ["59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min"]),
        (lambda: [_count(n) for n in (9_999_999, 1e7, 999_900_000, 1e9)], ["9,999,999", "10.0 M", "999.9 M", "1.0 G"]),
        (lambda: [_gigabytes(n) for n in (99_900_000, 1e8)], ["99.9 MB", "0.1 GB"]),
        (lambda: [_size(n) for n in (1023, 1024, 2**20 - 1, 2**20, 2**30)],
         ["1023 bytes", "1 KiB", "1024 KiB", "1 MiB", "1 GiB"]),
        (lambda: [size_category(n) for n in (999, 1000, 9999, 10**4, 10**5, 10**6, 10**7, 10**8)],
         ["n<1K", "1K<n<10K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B"]),
        (lambda: [printed(Fraction(25, 100), "exposure"), printed(Fraction(25001, 100000), "exposure")],
         ["1/4", "0.3"]),
        (lambda: [printed(Fraction(2, 5), "focal_length"), printed(Fraction(1, 5), "aperture")], ["0.4", "0.2"]),
        (lambda: [positive_fraction("1" + " " * 63), positive_fraction("1" + " " * 64)], [Fraction(1), None]),
        (lambda: [tags(ExposureTime=t).exposure_s for t in ("1/1000000", "1/1000001", "86400", "86401")],
         [Fraction(1, 10**6), None, Fraction(86400), None]),
        (lambda: [tags(FNumber=t).f_number for t in ("1/2", "0.49", "512", "512.1")],
         [Fraction(1, 2), None, Fraction(512), None]),
        (lambda: [tags(FocalLength=t).focal_length_mm for t in ("0.5", "0.49", "20000", "20001")],
         [Fraction(1, 2), None, Fraction(20000), None]),
        (lambda: [tags(ISO=t).iso for t in (1, 0, 10**7, 10**7 + 1)], [1, None, 10**7, None]),
        (lambda: [tags(Flash=t).flash_fired for t in (0, 1, 24, 25, 127, 128)], [False, True, False, True, True, None]),
        (lambda: [photo_id(1), photo_id(2**62 - 1)], [1, 2**62 - 1]),
        (lambda: [len(text_of("a" * n)) for n in (500, 501)], [500, 500]),
        (lambda: list(_urls({"url_o": "https://" + "a" * 1991, "url_l": "https://" + "a" * 1992})), ["o"]),
        (lambda: [_folder("a/b/c.jpg", n, "x") for n in ("1", "2", "3", "")], ["a", "b", None, "b"]),
        (lambda: [_fmow_split({"timestamp": f"{y}-01", "split": s}) for y, s in
          ((2012, "train"), (2012, "val"), (2013, "val"), (2015, "val"), (2016, "val"), (2016, "test"))],
         ["train", "id_val", "val", "val", "val of other years", "test"]),
        (lambda: [_safe_name("a" * 100), _safe_name("a.b-c_d")], ["a" * 100, "a.b-c_d"]),
        (lambda: [_short("abcdef", 6), _short("abcdefg", 6)], ["abcdef", "abc..."]),
        (lambda: [readable(c) for c in ("\x00", "\x9f", "\u200b", "\ufeff", "\U000e0001", "\udc80", "\udcff")],
         ["\\x00", "\\x9f", "\\u200b", "\\ufeff", "\\U000e0001", "\\x80", "\\xff"]),
        (lambda: [Pace(60, 30, 100, 3600).objection(*at) for at in ((2999, 30.0), (3100, 31.0), (400_000, 3600.0))],
         ["", "", ""]),
        (lambda: Pace(60, 30, 100, 3600).objection(3099, 31.0), "3,099 bytes in 31 seconds, fewer than 100 a second"),
        (lambda: Pace(60, 30, 100, 3600).objection(10**9, 3600.5), "not complete after 3,600 seconds"),
        (lambda: [str(parse_json(nested(63), "a")), str(parse_yaml(nested(63), "a"))], [nested(63)] * 2),
        (lambda: [parse_json(str(n), "a") for n in (2**63 - 1, -(2**63))], [2**63 - 1, -(2**63)]),
    ],
)  # fmt: skip
def test_bound__value(call, expected):
    assert call() == expected


def picture(**changed):
    return {"width": 1, "height": 1, "hashes": [], "reason": None, "damaged": False} | changed


def exif_block(entries=0, offset=8, count=None):
    body = struct.pack("<H", entries if count is None else count) + b"\0" * 12 * entries + b"\0" * 4
    return b"II*\0" + struct.pack("<I", offset) + body


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: photo_id(0), "'?0'? is no photo id"),
        (lambda: photo_id(2**62), "is no photo id"),
        (lambda: _folder("a/b.jpg", "0", "x"), "folder:0 of x: give the number of a folder of the path, from 1"),
        (lambda: _safe_name("a" * 101), "is not a name"),
        (lambda: _safe_name(".a"), "is not a name"),
        (lambda: user_agent("a" * 200), "--contact: give a plain e-mail address"),
        (lambda: user_agent("\u00e4"), "--contact: give a plain e-mail address"),
        (lambda: user_agent("a\n"), "--contact: give a plain e-mail address"),
        (lambda: _check_size(2**31 // 4, 2, 4), "a text of 536,870,912 characters among 2 rows"),
        (lambda: _check_size(2**29 + 1, 1), "a text of 536,870,913 characters among 1 rows"),
        (lambda: parse_json(nested(64), "a"), "nested more than 64 deep"),
        (lambda: parse_yaml(nested(64), "a"), "nested more than 64 deep"),
        (lambda: parse_json(str(2**63), "a"), "an integer of 19 digits"),
        (lambda: parse_json(str(-(2**63) - 1), "a"), "an integer of 20 digits"),
        (lambda: parse_json("5e400", "a"), "is not finite"),
        (lambda: parse_json('{"a": 1, "a": 2}', "a"), "a key is there twice"),
        (lambda: parse_yaml("1" * 401, "a"), "a number of 401 characters"),
        (lambda: parse_yaml("# " + "a" * 1_999_999, "a"), "2,000,001 characters, more than 2,000,000"),
        (lambda: check_plain(["\ud800"]), "half a character pair"),
        (lambda: check_plain({"\ud800": 1}), "half a character pair"),
        (lambda: _inspected(picture(width=178_956_971)), "numbers that no photo has"),
        (lambda: _inspected(picture(height=178_956_971)), "numbers that no photo has"),
        (lambda: _inspected(picture(height=-1)), "numbers that no photo has"),
        (lambda: _inspected(picture(hashes=[2**63] * 32)), "numbers that no photo has"),
        (lambda: _inspected(picture(hashes=[-1] * 32)), "numbers that no photo has"),
        (lambda: _inspected(picture(hashes=[1] * 31)), "another number of hashes than a photo has"),
        (lambda: read_block(b"II*\0\x08\0\0"), "does not start with a TIFF header"),
        (lambda: read_block(exif_block(offset=7)), "the top Exif directory lies outside the block"),
        (lambda: read_block(b"II*\0\x08\0\0\0\0"), "the top Exif directory lies outside the block"),
        (lambda: read_block(exif_block(count=4097)), "claims 4097 entries, more than the 4096 that are read"),
        (lambda: near_pairs(np.zeros(2, np.uint64), 11), "max_distance"),
        (lambda: near_pairs(np.zeros(2, np.uint64), -1), "max_distance"),
        (lambda: spec(n="0").whole("n", 5), "n=0: give a whole number of at least 1"),
        (lambda: spec(n="x").whole("n", 5), "n=x: give a whole number of at least 1"),
        (lambda: spec(**{"val-share": "0"}).val_share, "val-share=0: give a number between 0 and 1"),
        (lambda: spec(**{"val-share": "1"}).val_share, "val-share=1: give a number between 0 and 1"),
        (lambda: spec(**{"val-share": "x"}).val_share, "val-share=x: give a number between 0 and 1"),
    ],
)  # fmt: skip
def test_bound__refused(call, words):
    with pytest.raises((ValueError, UsageError, DataError, PhotoError, UntrustedInputError), match=words):
        call()


def spec(**options):
    return DataSpec("folder", "a", options=options)


def test_bound__accepted_at_the_limit():
    assert spec(n="1").whole("n", 5) == 1
    assert spec().whole("n", 5) == 5
    assert [spec(**{"val-share": text}).val_share for text in ("0.001", "0.999")] == [0.001, 0.999]
    assert spec().val_share == 0.25
    assert user_agent("a" * 199).endswith(f"contact: {'a' * 199})")
    assert user_agent("").endswith("data set builder)")
    assert _check_size(2**29, 1) is _check_size(2**31, 1, 1) is None
    assert parse_yaml("1" * 400, "a") == int("1" * 400)
    assert parse_yaml("# " + "a" * 1_999_998, "a") is None
    assert check_plain({"\u00e4": ["\u00e4", 1, None]}) is None
    inspected = _inspected(picture(width=178_956_970, height=0, hashes=[2**63 - 1, *range(31)]))
    assert (inspected.width, inspected.height, inspected.hashes[0]) == (178_956_970, 0, 2**63 - 1)
    assert (inspected.reason, inspected.damaged) == (None, False)
    assert read_block(exif_block()) == {}
    assert read_block(exif_block(entries=3)) == {}
    assert read_block(exif_block(count=4096)) == {}
    assert near_pairs(np.array([5, 5 ^ 1023, 5 ^ 2047], np.uint64), 10).second.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("attribute", "value", "octaves"),
    [("exposure", "1/60", 1 / 12), ("aperture", "4.0", 1 / 24), ("iso", "100", 1 / 12)],
)
def test_snapped__within_a_twelfth_of_a_stop(attribute, value, octaves):
    """A stop doubles time and sensitivity, and multiplies the f-number by the root of two."""
    for sign in (-1, 1):
        near, far = (float(Fraction(value)) * 2 ** (sign * octaves * part) for part in (0.99, 1.01))
        assert snapped(str(Fraction(near).limit_denominator(10**9)), attribute) == value
        assert snapped(str(Fraction(far).limit_denominator(10**9)), attribute) != value
    assert snapped("0", attribute) == "other"


def cells(photos, clusters=None, unknown=0):
    labels, values = ("a", "b")[: len(photos)], tuple(f"v{i}" for i in range(len(photos[0])))
    given = None if clusters is None else np.array(clusters)
    return GroupCells("site", labels if len(photos) > 1 else ("",), values, np.array(photos), given, unknown)


def test_cells__faults_and_their_limits():
    assert cells([[5, 5], [5, 5]]).faults == ()
    assert cells([[5, 5], [5, 5]], unknown=1200).faults == (
        "1,200 photos have no site: they are left out of questions about it",
    )
    assert cells([[5], [6]]).faults == ("site has one class (v0): there is nothing to compare",)
    assert cells([[5, 0], [0, 5]]).faults == (
        "each label has one site: effects of site and of the label cannot be separated",
    )
    assert cells([[5, 5, 5], [5, 0, 5]]).faults == (
        "no photo in b x v1: comparisons that need these cells leave them out",
    )
    assert cells([[5, 0, 0, 5], [0, 5, 5, 0]]).faults[0].startswith("no photo in 4 of 8 cells (the first: a x v1): ")
    assert cells([[5, 0, 0, 5], [5, 5, 0, 5]]).faults[0].startswith("no photo in a x v1, a x v2, b x v2: ")
    assert cells([[5, 5]], [[1, 2]]).faults == ("one cluster in v0: nothing there can be compared between clusters",)
    assert cells([[4, 1200]]).faults == ("cells are unequal (4 to 1,200 photos): site is given, not assigned",)


def test_cells__as_a_table_of_at_most_twelve():
    assert cells([[5, 1200], [5, 5]], [[2, 3], [2, 5]]).text().splitlines()[:4] == [
        "2 labels x 2 site: photos (clusters) in each cell",
        "        v0         v1",
        "  a  5 (2)  1,200 (3)",
        "  b  5 (2)      5 (5)",
    ]
    assert len(cells([[5] * 12]).text().splitlines()) == 3
    assert cells([[*range(13)]]).text().splitlines() == [
        "1 label x 13 site: photos in each cell",
        "  12 of 13 cells have photos, 1 to 12 each, median 6",
        "  no photo in v0: comparisons that need these cells leave them out",
        "  cells are unequal (1 to 12 photos): site is given, not assigned",
    ]


def splits_of(*names):
    known = tuple(dict.fromkeys(name for name in names if name))
    return mapped_splits(Labels(known, np.array([known.index(n) if n else UNLABELLED for n in names])), "set").tolist()


def test_given_splits__missing_and_unknown_names():
    assert splits_of("train", "validation", "test") == [0, 1, 2]
    assert splits_of("train", "test") == [0, 1]
    assert splits_of(*["train"] * 8, "val", "") == [0] * 8 + [1, -1]
    for names, words in (
        (["train"] * 8 + ["val"] * 2 + ["", ""], "2 of 12 photos have no split"),
        (["train", "train"], "split= has only 'train': train and val are needed"),
        (["val", "test"], "split= has only 'val' and 'test'"),
        (["train", *"abcde"], r"the values 'a' \(1\), 'b' \(1\), 'c' \(1\), 'd' \(1\), 'e' \(1\); camtrace knows"),
        (["train", *"abcdef"], r"'e' \(1\), \.\.\.; camtrace knows"),
    ):
        with pytest.raises(DataError, match=words):
            splits_of(*names)


def test_ranks__a_marker_is_recent_for_five_beats(tmp_path):
    running = {rank: Running("h", 1, 0.0, at, 0.0, 0) for rank, at in ((0, 0.0), (1, -1e-3))}
    now = Progress(SimpleNamespace(ranks=(range(1),) * 3), States({}, {}, running), GONE)
    assert (now.running, now.gone, now.missing) == ([0], [1], [0, 1, 2])


GONE = 5 * 20.0


def test_space__five_per_cent_more_than_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1050 - 50))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.parquet").write_bytes(b"a" * 50)
    (tmp_path / "data" / "a.txt").write_bytes(b"a" * 5000)
    require_space(tmp_path, 1000)
    with pytest.raises(DiskError, match=r"about 0\.0 MB are needed and 0\.0 MB are free"):
        require_space(tmp_path, 1001)


def test_read_untrusted__at_most_the_limit(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert read_untrusted(tmp_path / "a", limit=3) == b"abc"
    with pytest.raises(UntrustedInputError, match="3 bytes, more than the 2 bytes"):
        read_untrusted(tmp_path / "a", limit=2)


def test_acquisition__of_no_tags():
    assert acquisition_from_tags({}) == Acquisition()
    assert math.isclose(float(tags(ExposureTime="1/60").exposure_s), 1 / 60)
