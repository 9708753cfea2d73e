"""Facts of a build, counted by hand in tables that are written here; differences of two tables, by hand."""

from statistics import median_high

import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from builders.check import BuildDiff, ConfigDiff, diff_builds, diff_json, diff_text
from builders.check.report.facts import NOT_KNOWN, Count, distribution_of, report_facts
from builders.dataset import FAILURES_FILE
from tests.support.built_folders import write_build

WORDS = Value("string")
FEATURES = Features(
    {
        "photo_id": WORDS, "label": ClassLabel(names=["cat", "dog"]), "owner": WORDS, "camera": WORDS,
        "year": Value("int32"), "source_quality": Value("int32"), "width": Value("int32"), "height": Value("int32"),
        "label_make": WORDS, "sha256": WORDS, "perceptual_hash": Value("int64"), "licence": WORDS,
    }
)  # fmt: skip

TRAIN = [
    # id, label, owner, camera, year, quality, width, height, make, file, hash, licence
    ("a", 0, "ann", "D90", 2010, 9, 1000, 50, "NIKON", "f1", 7, "cc0-1.0"),
    ("a", 1, "bob", "D90", 2010, 9, 1000, 50, "NIKON", "f1", 7, "cc0-1.0"),  # another row of the photo
    ("b", 0, "ann", "5D", 2009, 100, 1000, 1000, "Canon", "f2", 0, "cc-by-2.0"),
    ("c", -1, "", None, None, None, None, 5, "Canon", "f3", 0, ""),
    ("d", 1, "ann", "D90", 2011, 20, 999, 50, "NIKON", "f4", 7, "cc-by-2.0"),
]
TEST = [
    ("e", 1, "bob", "D90", 2010, 9, 8000, 4000, "NIKON", "f1", 0x0F0F0F0F0F0F0F0F, "cc-by-2.0"),
    ("f", 2, "eve", "5D", 2010, 9, 7999, 4000, "Canon", "", 7, "cc-by-2.0"),
]


@pytest.fixture
def facts(tmp_path):
    def table(rows):
        columns = {key: [row[at] for row in rows] for at, key in enumerate(FEATURES)}
        return Dataset(pa.table(columns, schema=FEATURES.arrow_schema))

    recipe = {
        "source": "folder:mine", "license": "cc0-1.0", "source_evidence": {"files": 6, "none": 0}, "splits": "no table",
        "settings": [{"parameter": "jpeg"}, {"parameter": "blur"}],
        "left_out": {"gone": 2, "without Exif": 5, "x": "y"},
    }  # fmt: skip
    write_build(tmp_path, {("jpeg", "train"): table(TRAIN), ("jpeg", "test"): table(TEST)}, recipe=recipe)
    failure = '{"id": "%s", "reason": "broken"}'
    lines = [failure % "p", "", failure % "p", failure % "q", '{"reason": "no id"}', "[]", "{}"]
    (tmp_path / FAILURES_FILE).write_text("\n".join(lines))
    return report_facts(tmp_path)


def shares(facts, title):
    made = next(d for d in facts.distributions if d.title == title)
    assert all(c.share == c.photos / made.photos for c in made.counts)
    return {c.name: c.photos for c in made.counts}, made.values, made.photos


def test_report_facts__distributions_count_each_photo_once(facts):
    assert facts.photos == 6
    assert [d.title for d in facts.distributions] == [
        "Labels", "Owners", "Devices", "Years", "Licences", "JPEG qualities of the source", "Pixels", "Label make",
    ]  # fmt: skip
    assert shares(facts, "Labels") == ({"cat": 2, "dog": 2, NOT_KNOWN: 2}, 2, 6)  # neither -1 nor 2 is a class
    assert shares(facts, "Owners") == ({"ann": 3, "bob": 1, "eve": 1, NOT_KNOWN: 1}, 3, 6)
    assert shares(facts, "Devices") == ({"D90": 3, "5D": 2, NOT_KNOWN: 1}, 2, 6)
    assert shares(facts, "Label make") == ({"NIKON": 3, "Canon": 3}, 2, 6)
    notes = {d.title: d.note for d in facts.distributions if d.note}
    assert notes == {"Owners": "3 owners, median 1 photos, largest 3"}


@pytest.mark.parametrize("sizes", [(1,), (5, 2), (1, 2, 7), (4, 1, 10, 2), (1200, 1, 1, 3, 2, 1)])
def test_distribution__owners_with_the_upper_median_and_the_largest(sizes):
    """Photos without an owner count among the photos, not among the owners."""
    words = [f"o{i}" for i, count in enumerate(sizes) for _ in range(count)] + ["", None, ""]
    made = distribution_of("Owners", words)
    assert made.note == f"{len(sizes)} owners, median {median_high(sizes)} photos, largest {max(sizes):,}"
    assert (made.values, made.photos, made.listed) == (len(sizes), sum(sizes) + 3, len(sizes))
    assert distribution_of("Makes", words).note == distribution_of("Owners", ["", ""]).note == ""


def test_report_facts__numbers_stand_in_their_order(facts):
    years, *_ = shares(facts, "Years")
    assert list(years.items()) == [("2009", 1), ("2010", 3), ("2011", 1), (NOT_KNOWN, 1)]
    assert list(shares(facts, "JPEG qualities of the source")[0]) == ["9", "20", "100", NOT_KNOWN]
    pixels, values, photos = shares(facts, "Pixels")
    assert list(pixels.items()) == [
        ("0 to 0.05 megapixels", 1), ("0.05 to 0.1 megapixels", 1), ("1 to 2 megapixels", 1),
        ("16 to 32 megapixels", 1), ("32 megapixels and more", 1), (NOT_KNOWN, 1),
    ]  # fmt: skip
    assert (values, photos) == (5, 6)


def test_report_facts__classes_by_split_and_duplicates(facts):
    (rows,) = facts.classes
    assert (rows.config, rows.column, rows.splits, rows.count) == ("jpeg", "label", ("train", "test"), 2)
    assert rows.classes == (("cat", (2, 0)), ("dog", (2, 1)))
    assert [(d.kind, d.groups, d.photos, d.straddling) for d in facts.duplicates] == [
        ("equal files", 1, 2, 1),  # a and e
        ("nearly equal pictures", 1, 3, 1),  # a, d and f; a hash of 0 is none
    ]


def test_report_facts__what_is_missing_and_what_the_build_says(facts):
    assert [(m.reason, m.photos, m.examples) for m in facts.missing] == [
        ("without Exif", 5, ()), ("broken", 2, ("p", "q")), ("gone", 2, ()), ("no id", 1, (NOT_KNOWN,)),
    ]  # fmt: skip
    assert facts.licences == (Count("cc-by-2.0", 4, 4 / 6), Count("cc0-1.0", 1, 1 / 6), Count(NOT_KNOWN, 1, 1 / 6))
    assert facts.evidence == (
        ("source", "folder:mine"), ("licence of the data set", "cc0-1.0"), ("files", "6"),
        ("settings", '{"parameter": "jpeg"}; {"parameter": "blur"}'),
    )  # fmt: skip


ROWS = Features(
    {"photo_id": WORDS, "label": ClassLabel(names=["cat", "dog"]), "sha256": WORDS, "width": Value("int32")}
)
TURNED = Features({**ROWS, "label": ClassLabel(names=["dog", "cat"])})


def rows(features, *of_photos):
    return Dataset.from_dict({key: [row[at] for row in of_photos] for at, key in enumerate(ROWS)}, features=features)


@pytest.fixture
def diff(tmp_path):
    tables = {
        "first": {"train": rows(ROWS, ("a", 0, "f1", 5), ("b", 0, "f2", 5), ("c", 1, "f3", 5), ("c", 0, "f3", 5)),
                  "test": rows(ROWS, ("d", 1, "f4", 5), ("e", -1, "f5", 5), ("g", 0, "f6", 5))},
        "second": {"train": rows(TURNED, ("a", 1, "f1", 5), ("b", 0, "f2", 5), ("c", 1, "f3", 5), ("c", 0, "f3", 5),
                                 ("d", 0, "f4", 5)),
                   "test": rows(TURNED, ("e", -1, "other", 6), ("h", 1, "f7", 5), ("k", 1, "f8", 5))},
    }  # fmt: skip
    recipes = {
        "first": {"seed": 0, "ids_hash": "x", "source": "s"},
        "second": {"seed": 1, "ids_hash": "y", "source": "s", "new": [1], "items_per_shard": {}, "build": "z"},
    }
    for name, splits in tables.items():
        parts = {("jpeg", split): table for split, table in splits.items()}
        write_build(tmp_path / name, parts, kind="k", codec={"c": "1"}, recipe=recipes[name])
    return lambda first, second: diff_builds(tmp_path / first, tmp_path / second)


def test_diff__photos_that_came_went_moved_and_changed(diff):
    """A class keeps its name where its number moves, and the rows of a photo have no order."""
    made = diff("first", "second")
    assert made.configs == (ConfigDiff("jpeg", 2, ("h", "k"), ("g",), ("e",), ("d",), {"label": ("b",)}),)
    assert made.recipe == {"seed": (0, 1), "new": (None, [1])}
    assert not made.is_equal
    assert diff_text(made).splitlines() == [
        "jpeg: 2 photos equal", "  added: 2 (h, k)", "  lost: 1 (g)", "  other bytes: 1 (e)", "  other split: 1 (d)",
        "  other label: 1 (b)", "setting seed: 0 -> 1", "setting new: None -> [1]",
    ]  # fmt: skip
    assert diff_json(made) == {
        "equal": False,
        "configs": {"jpeg": {"equal": 2, "added": ["h", "k"], "lost": ["g"], "changed_bytes": ["e"], "moved": ["d"],
                             "changed_columns": {"label": ["b"]}}},
        "settings": {"seed": [0, 1], "new": [None, [1]]},
    }  # fmt: skip


def test_diff__of_a_build_and_itself(diff):
    made = diff("first", "first")
    assert (made.is_equal, made.recipe, made.configs[0].equal) == (True, {}, 6)
    assert diff_text(made) == "photos, labels and splits are equal\njpeg: 6 photos equal"


@pytest.mark.parametrize("kind", ["added", "lost", "changed_bytes", "moved"])
def test_diff__each_kind_alone_is_a_difference(kind):
    assert not ConfigDiff("jpeg", 0, **{kind: ("a",)}).is_equal
    assert not ConfigDiff("jpeg", 0, changed_columns={"label": ("a",)}).is_equal
    assert ConfigDiff("jpeg", 0).is_equal


@pytest.mark.parametrize(("count", "words"), [(5, "1, 2, 3, 4, 5)"), (6, "1, 2, 3, 4, 5, ...)")])
def test_diff__at_most_five_ids_are_named(count, words):
    made = BuildDiff((ConfigDiff("c", 0, tuple("123456"[:count])),), {})
    assert diff_text(made).endswith(f"added: {count} ({words}")
