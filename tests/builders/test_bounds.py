"""Values at a limit and just beyond it, through each function that knows the limit."""

import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from builders.cluster import Progress
from builders.cluster.markers import Running, States
from builders.dataset import require_space
from builders.errors import DataError, DiskError
from builders.exif import Acquisition, acquisition_from_tags
from builders.exif.attributes import snapped
from builders.photos import UNLABELLED, GroupCells, Labels
from builders.sources import mapped_splits
from builders.untrusted import UntrustedInputError, read_untrusted


def tags(**values):
    return acquisition_from_tags({("ExifIFD", name): str(value) for name, value in values.items()})


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
    with pytest.raises(DiskError, match=r"0\.0"):
        require_space(tmp_path, 1001)


def test_read_untrusted__at_most_the_limit(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert read_untrusted(tmp_path / "a", limit=3) == b"abc"
    with pytest.raises(UntrustedInputError):
        read_untrusted(tmp_path / "a", limit=2)


def test_acquisition__of_no_tags():
    assert acquisition_from_tags({}) == Acquisition()
    assert math.isclose(float(tags(ExposureTime="1/60").exposure_s), 1 / 60)
