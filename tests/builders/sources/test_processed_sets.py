"""Built sets from their rows: which row is which photo in which class, what is joined, and every refusal, by hand."""

from __future__ import annotations

import dataclasses
import hashlib
from types import SimpleNamespace

import datasets
import numpy as np
import pytest

from builders.dataset.shards import Shard
from builders.dataset.write import SplitShards
from builders.errors import DataError, PhotoError, UsageError
from builders.photos import Stamp
from builders.pixels import ALL_PARAMETERS
from builders.sources import processed_sets
from builders.sources.bundles import unpack
from builders.sources.processed_sets import (
    ABSENT,
    BundleSource,
    _processed_set,
    join_sets,
    open_built,
    stored_parameters,
    stored_photos,
)

SHARPENING, RESIZING = ALL_PARAMETERS["sharpening"], ALL_PARAMETERS["resizing"]
LABELS = datasets.ClassLabel(names=["cat", "dog"])


def part(parameter, rows, *, labelled=True, classes=None, **more):
    """Rows of (photo, code, label) as a split; ``more`` are columns of (feature, values)."""
    features = {
        "image": datasets.Image(decode=False),
        "photo_id": datasets.Value("string"),
        parameter.name: datasets.ClassLabel(names=list(classes or parameter.classes)),
        **({"label": LABELS} if labelled else {}),
        **{name: feature for name, (feature, _) in more.items()},
    }
    columns = {
        "image": [{"bytes": f"{photo} {code}".encode(), "path": None} for photo, code, *_ in rows],
        "photo_id": [photo for photo, *_ in rows],
        parameter.name: [code for _, code, *_ in rows],
        **({"label": [row[2] for row in rows]} if labelled else {}),
        **{name: values for name, (_, values) in more.items()},
    }
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def whole(parameter, photos, start=0):
    """Every class of some photos, class by class."""
    return [(photo, code, (start + i) % 2) for code in range(len(parameter.classes)) for i, photo in enumerate(photos)]


def test_set__rows_of_each_photo_and_class():
    count = len(SHARPENING.classes)
    train = part(SHARPENING, [("b", 1, 1), ("a", 0, 0), ("b", 0, 1)])
    test = part(SHARPENING, [("c", count - 1, -1), ("a", count - 1, 0)])
    built = _processed_set("me/set", {"train": train, "test": test}, SHARPENING)
    expected = np.full((3, count), -1)
    expected[0, 1], expected[1, 0], expected[0, 0], expected[2, -1], expected[1, -1] = 0, 1, 2, 3, 4
    assert built.rows.tolist() == expected.tolist()
    photos = built.photos
    assert (photos.name, photos.ids, photos.splits.tolist()) == ("built:me/set", ("b", "a", "c"), [0, 0, 2])
    assert (photos.labels.names, photos.labels.values.tolist()) == (("cat", "dog"), [1, 0, -1])
    assert dict(photos.evidence) == {
        "splits": "as given by the data set", "views": "stored, classes of sharpening",
    }  # fmt: skip
    assert photos.rows.tolist() == [0, 1, 2]
    assert (built.read(0, 0), built.read(1, count - 1), built.read(2, count - 1)) == (
        b"b 0", f"a {count - 1}".encode(), f"c {count - 1}".encode(),
    )  # fmt: skip
    with pytest.raises(PhotoError) as refused:
        built.read(2, 0)
    assert str(refused.value) == f"c is not there as {SHARPENING.classes[0]}"
    with pytest.raises(PhotoError) as refused:
        dataclasses.replace(built, parts=built.parts[:1]).read(1, count - 1)
    assert str(refused.value) == "the row is past the end of the data"
    with pytest.raises(PhotoError) as refused:
        photos.read(0)
    assert str(refused.value) == ("a built set holds processed photos, not the originals: read them by (photo, class)")
    assert built.complete.tolist() == [False, False, False]
    assert ABSENT == -1
    full = _processed_set("x", {"validation": part(SHARPENING, whole(SHARPENING, "ab")[:-1])}, SHARPENING)
    assert (full.complete.tolist(), full.photos.splits.tolist()) == ([True, False], [1, 1])


def test_set__of_a_folder_has_its_last_name_and_no_labels(tmp_path):
    (tmp_path / "deep" / "set").mkdir(parents=True)
    rows = [(photo, code) for photo, code, _ in whole(SHARPENING, "ab")]
    built = _processed_set(
        str(tmp_path / "deep" / "set"), {"train": part(SHARPENING, rows, labelled=False)}, SHARPENING
    )
    assert built.photos.name == "built:set"
    assert (built.photos.labels.names, built.photos.labels.values.tolist()) == ((), [-1, -1])


def test_set__columns_that_the_builder_stored_are_those_of_each_photos_first_row():
    text, site = datasets.Value("string"), datasets.ClassLabel(names=["north", "south"])
    more = {
        "cluster": (text, ["one", None, "two"]), "group_site": (site, [1, 0, -1]), "group_note": (text, ["x"] * 3),
        "other": (text, ["y"] * 3), "near_duplicates": (text, ["", "b", ""]),
    }  # fmt: skip
    train = part(SHARPENING, [("b", 0, 0), ("b", 1, 0), ("a", 0, 0)], **more)
    test = part(SHARPENING, [("a", 1, 0), ("c", 0, 1), ("d", 0, 1)], **more)
    photos = _processed_set("me/set", {"train": train, "test": test}, SHARPENING).photos
    assert {name: values.tolist() for name, values in photos.columns.items()} == {
        "cluster": ["one", "two", "", "two"], "near_duplicates": ["", "", "b", ""],
    }  # fmt: skip
    assert {name: (g.names, g.values.tolist()) for name, g in photos.groups.items()} == {
        "site": (("north", "south"), [1, -1, 0, -1])
    }
    plain = part(SHARPENING, [("e", 0, 0)])
    with pytest.raises(DataError) as refused:
        _processed_set("me/set", {"train": train, "test": plain}, SHARPENING)
    assert str(refused.value) == "me/set: some splits have the column cluster, others do not"


class Raw(dict):
    """Rows with values that ``datasets`` would not write."""

    def __init__(self, template, **columns):
        super().__init__({name: list(template[name]) for name in template.column_names} | columns)
        self.features = template.features

    def __len__(self):
        return len(self["photo_id"])


GOOD = part(SHARPENING, [("a", 0, 0), ("b", 1, 1)], **{"group_site": (LABELS, [0, 1])})
CLASS_0 = SHARPENING.classes[0]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            part(SHARPENING, [("a", 0, 0)], classes=["x", "y"]),
            "the classes of sharpening are not those of this version",
        ),
        (
            part(SHARPENING, [("a", 0, 0)], classes=SHARPENING.classes[::-1]),
            "the classes of sharpening are not those of this version",
        ),
        (Raw(GOOD, photo_id=["a", None]), "test, row 1: the photo None in class 1 of sharpening"),
        (Raw(GOOD, photo_id=["a", 7]), "test, row 1: the photo 7 in class 1 of sharpening"),
        (Raw(GOOD, sharpening=[-1, 0]), "test, row 0: the photo 'a' in class -1 of sharpening"),
        (
            Raw(GOOD, sharpening=[0, len(SHARPENING.classes)]),
            f"test, row 1: the photo 'b' in class {len(SHARPENING.classes)} of sharpening",
        ),
        (Raw(GOOD, sharpening=[0, None]), "test, row 1: the photo 'b' in class None of sharpening"),
        (Raw(GOOD, label=[0, 2]), "test, "),
        (Raw(GOOD, group_site=[0, 2]), "group_site: "),
        (part(SHARPENING, [("a", 0, 0), ("b", 0, 0), ("b", 0, 0)]), f"b is there twice as {CLASS_0}"),
    ],
)
def test_set__rows_that_cannot_be_are_refused(monkeypatch, rows, sentence):
    with pytest.raises(DataError) as refused:
        _processed_set("me/set", {"test": rows}, SHARPENING)
    text = str(refused.value)
    assert text.startswith(f"me/set: {sentence}") if sentence[-1] == " " else text == f"me/set: {sentence}"


@pytest.fixture
def repository(monkeypatch):
    """Configs of a repository that is not opened, and every call."""
    calls, configs = [], {}

    class Repo:
        def __init__(self, location, revision):
            self.place = location, revision

        def load(self, where, config, **options):
            calls.append((*self.place, where, config, options))
            return configs[config]

        def configs(self, where):
            calls.append((*self.place, where))
            return [name for name in configs if name is not None]

    monkeypatch.setattr(processed_sets, "DatasetRepo", Repo)
    return calls, configs


def test_open__a_config_of_a_repository(repository):
    calls, configs = repository
    configs |= {None: {"train": GOOD}, "sharpening": {"train": GOOD}}
    assert open_built("me/set").parameter is SHARPENING
    assert open_built("me/set", "sharpening", revision="v2").photos.ids == ("a", "b")
    options = {"unknown_config_is_usage": True}
    assert calls == [("me/set", None, "me/set", None, options), ("me/set", "v2", "me/set", "sharpening", options)]
    with pytest.raises(UsageError, match=r"^unknown parameter 'sharpning': did you mean 'sharpening'"):
        open_built("me/set", "sharpning")
    assert len(calls) == 2


@pytest.mark.parametrize("change", ["image", "photo_id", "sharpening", "two"])
def test_open__what_is_no_built_set_names_its_columns(repository, change):
    rows = GOOD.remove_columns(change) if change != "two" else GOOD.add_column("resizing", [0, 1])
    repository[1][None] = {"train": rows}
    with pytest.raises(DataError) as refused:
        open_built("me/set")
    assert str(refused.value) == f"me/set: not a set of processed photos (columns {', '.join(rows.column_names)})"


def test_open__a_folder_is_checked_first(repository, tmp_path, monkeypatch):
    """The files of the config that is opened, by hash; those of others are not read."""
    (tmp_path / "data").mkdir()
    names = ("sharpening", "resizing")
    for name in names:
        (tmp_path / "data" / name).write_bytes(name.encode())
    splits = tuple(
        SplitShards(name, "train", (Shard(f"data/{name}", "r", 1, 1, 1, hashlib.sha256(name.encode()).hexdigest()),))
        for name in names
    )
    checked = []
    monkeypatch.setattr(processed_sets, "check_data_set", checked.append)
    monkeypatch.setattr(
        "builders.dataset.read_build", lambda folder: SimpleNamespace(splits=splits, default="sharpening")
    )
    repository[1].update({None: {"train": GOOD}, "sharpening": {"train": GOOD}, "resizing": {"train": GOOD}})
    for name in (None, *names):
        open_built(str(tmp_path), name)
    assert checked == [str(tmp_path)] * 3
    (tmp_path / "data" / "resizing").write_bytes(b"resizinG")
    open_built(str(tmp_path))
    open_built(str(tmp_path), "sharpening")
    sentence = f"{tmp_path}/data/resizing: not as it was built; run the builder again, it makes this file anew"
    for _ in range(2):
        with pytest.raises(DataError) as refused:
            open_built(str(tmp_path), "resizing")
        assert str(refused.value) == sentence
        (tmp_path / "data" / "resizing").unlink(missing_ok=True)


def test_parameters__of_a_data_set_in_its_order(repository):
    calls, configs = repository
    configs |= dict.fromkeys(("resizing", "photos", "jpeg", "default"))
    assert stored_parameters("me/set", revision="v1") == ("resizing", "jpeg")
    assert calls == [("me/set", "v1", "me/set")]


def test_stored__which_configs_are_joined(repository):
    calls, configs = repository
    configs |= {
        "sharpening": {"train": part(SHARPENING, whole(SHARPENING, "ab"))},
        "resizing": {"train": part(RESIZING, whole(RESIZING, "ab"))},
    }
    photos = stored_photos("me/set", (), revision="v1")
    assert [call[1:4] for call in calls] == [
        ("v1", "me/set"), ("v1", "me/set", "sharpening"), ("v1", "me/set", "resizing"),
    ]  # fmt: skip
    assert photos.evidence["views"] == "stored, classes of sharpening, resizing"
    calls.clear()
    stored_photos("me/set", ("resizing", "sharpening", "resizing"), revision=None)
    assert [call[3] for call in calls] == ["resizing", "sharpening"]
    configs.clear()
    configs[None] = {"train": part(SHARPENING, whole(SHARPENING, "ab"))}
    assert stored_photos("me/set", (), revision=None).evidence["views"] == "stored, classes of sharpening"


@pytest.mark.parametrize("others", [False, True])
def test_stored__photos_that_are_not_in_every_class(repository, others):
    repository[1]["sharpening"] = {"train": part(SHARPENING, whole(SHARPENING, "abc")[:-2])}
    if others:
        repository[1]["resizing"] = {"train": part(RESIZING, whole(RESIZING, "ab"))}
    with pytest.raises(DataError) as refused:
        stored_photos("me/set", (), revision=None)
    assert str(refused.value) == (
        "me/set: 2 of 3 photos are not there in every class of sharpening; build with --assignment every to score it"
        + (", or name the others alone: ?parameter=resizing" if others else "")
    )


def built(parameter, photos, *, split="train", start=0):
    return _processed_set("me/set", {split: part(parameter, whole(parameter, photos, start))}, parameter)


def test_join__views_of_the_first_set_that_has_them():
    first, second = built(RESIZING, "abc"), built(SHARPENING, "cab", start=2)
    second = dataclasses.replace(
        second, photos=dataclasses.replace(second.photos, labels=first.photos.select([2, 0, 1]).labels)
    )
    photos = join_sets("me/set", (first, second))
    names = list(dict.fromkeys([*RESIZING.processings, *SHARPENING.processings]))
    assert (photos.ids, photos.stored_views) == (("a", "b", "c"), tuple(names))
    where = [(0, i) for i in range(len(RESIZING.processings))]
    where += [(1, i) for i, name in enumerate(SHARPENING.processings) if name not in RESIZING.processings]
    assert photos.source.views == tuple(where)
    assert photos.source.rows.tolist() == [[0, 1, 2], [1, 2, 0]]
    assert unpack(photos.read(1)) == [f"b {code}".encode() for _, code in where]
    assert dict(photos.evidence) == {
        "splits": "as given by the data set", "views": "stored, classes of resizing, sharpening",
    }  # fmt: skip
    assert photos.rows.tolist() == [0, 1, 2]
    fewer = join_sets("me/set", (built(SHARPENING, "dbc"), built(RESIZING, "ab")))
    assert (fewer.ids, fewer.evidence["left out"]) == (("b",), "3 photos that are not there under every parameter")


def test_join__sets_that_do_not_fit():
    one = built(RESIZING, "ab")
    with pytest.raises(DataError) as refused:
        join_sets("me/set", (one, built(SHARPENING, "cd")))
    assert str(refused.value) == (
        "me/set: no photo is there under each of resizing, sharpening; name one of them: ?parameter=NAME"
    )
    other = built(SHARPENING, "ab")
    renamed = dataclasses.replace(other.photos.labels, names=("cat", "wolf"))
    for wrong in (
        built(SHARPENING, "ab", split="test"), built(SHARPENING, "ab", start=1),
        dataclasses.replace(other, photos=dataclasses.replace(other.photos, labels=renamed)),
    ):  # fmt: skip
        with pytest.raises(DataError) as refused:
            join_sets("me/set", (one, wrong))
        assert str(refused.value) == (
            "me/set: resizing and sharpening disagree about splits or labels of photos; name one of them: "
            "?parameter=NAME"
        )


def test_bundle__stamps_name_the_rows_of_all_views(monkeypatch):
    tables = {"x": [Stamp("one", 5), Stamp("two", 9)], "y": [Stamp("three", 7)], "none": None, "empty": []}
    columns = []
    monkeypatch.setattr(processed_sets, "table_stamps", lambda parts, column: columns.append(column) or tables[parts])
    sets = {
        name: SimpleNamespace(parts=name, rows=np.arange(8).reshape(4, 2) + 100 * i) for i, name in enumerate(tables)
    }
    source = BundleSource((sets["x"], sets["y"]), ((0, 1), (1, 0), (0, 0)), np.array([[0, 1, 2], [3, 2, 0]]))
    digest = hashlib.sha256(b"one\ntwo\nthree").hexdigest()
    assert list(source.stamps(np.array([2, 0]))) == [
        Stamp(f"{digest} [5, 100, 4]", 9), Stamp(f"{digest} [1, 106, 0]", 9),
    ]  # fmt: skip
    assert columns == ["image", "image"]
    for other in ("none", "empty"):
        more = (sets["x"], sets[other]) if other == "none" else (sets[other],)
        assert BundleSource(more, ((0, 1),), np.array([[0], [0]])[: len(more)]).stamps(np.array([0])) is None
