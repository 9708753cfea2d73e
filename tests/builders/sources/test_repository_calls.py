"""Repositories, data sets on the Hub and attribute sets: calls of the libraries, and the set that comes out.

The libraries are doubles that note their arguments.
"""

from __future__ import annotations

from types import SimpleNamespace

import datasets
import huggingface_hub
import numpy as np
import pytest
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError

from builders.errors import DataError, RemoteError, UsageError
from builders.photos import ColumnSources, hash64
from builders.sources import attribute_sets, hub_data_sets, repository
from builders.sources.attribute_sets import read_attribute_photos
from builders.sources.hub_data_sets import read_hub_photos
from builders.sources.remote.drawing import Streaming
from builders.sources.repository import DatasetRepo
from builders.untrusted.hub_client import _library

REPO = DatasetRepo("me/set", "v2")


@pytest.fixture
def calls(monkeypatch):
    """Every call of a library, in order; within ``from_hub`` its name is in brackets."""
    made, inside = [], []

    class FromHub:
        def __init__(self, *limits):
            self.limits = limits

        def __enter__(self):
            inside.append(self.limits)

        def __exit__(self, *_):
            inside.pop()

    def note(name, result=None):
        def call(*given, **named):
            made.append((f"[{name}]" if inside else name, given, named, *(inside[-1] if inside else ())))
            if isinstance(result, Exception):
                raise result
            return result

        return call

    monkeypatch.setattr(repository, "from_hub", FromHub)
    monkeypatch.setattr(repository, "check_data_set", note("check"))
    made_of = SimpleNamespace(list=made, note=note)
    return made_of


def answer(monkeypatch, calls, **results):
    places = {
        "names": (datasets, "get_dataset_config_names"), "builder": (datasets, "load_dataset_builder"),
        "load": (datasets, "load_dataset"), "download": (huggingface_hub, "hf_hub_download"),
        "snapshot": (huggingface_hub, "snapshot_download"), "splits": (repository, "hub_splits"),
        "local": (repository, "local_splits"),
    }  # fmt: skip
    for name, result in results.items():
        if name == "info":
            api = SimpleNamespace(dataset_info=calls.note("info", result))
            monkeypatch.setattr(huggingface_hub, "HfApi", lambda api=api: api)
        else:
            monkeypatch.setattr(*places[name], calls.note(name, result))


CHECKED = ("check", ("me/set", "v2"), {})


def test_repository__every_call_has_its_place_and_revision(calls, monkeypatch, tmp_path):
    builder = SimpleNamespace(info=SimpleNamespace(features={"a": 1}))
    (tmp_path / "x.txt").write_text("words")
    answer(
        monkeypatch, calls, names=("a", "b"), builder=builder, load="loaded", download=str(tmp_path / "x.txt"),
        snapshot=str(tmp_path), splits={"train": 1}, info=SimpleNamespace(sha="c" * 40),
    )  # fmt: skip
    revision = {"revision": "v2"}
    for run, result, expected in (
        (lambda: REPO.configs("w"), ["a", "b"], [CHECKED, ("[names]", ("me/set",), revision)]),
        (lambda: REPO.features("w", "fr"), {"a": 1}, [CHECKED, ("[builder]", ("me/set", "fr"), revision)]),
        (lambda: REPO.load("w", "fr"), "loaded", [CHECKED, ("[load]", ("me/set",), {"name": "fr", **revision})]),
        (lambda: REPO.load("w"), "loaded", [CHECKED, ("[load]", ("me/set",), {"name": None, **revision})]),
        (
            lambda: REPO.splits_on_hub("w", "fr"), ({"train": 1}, "c" * 40),
            [
                CHECKED, ("[info]", ("me/set",), revision), ("[builder]", ("me/set", "fr"), {"revision": "c" * 40}),
                ("[splits]", (builder, "me/set", "c" * 40), {}),
            ],
        ),
        (
            lambda: REPO.text("x.txt"), "words",
            [("[download]", ("me/set", "x.txt"), {"repo_type": "dataset", **revision}, 16 << 20)],
        ),
        (lambda: REPO.download(), tmp_path, [("[snapshot]", ("me/set",), {"repo_type": "dataset", **revision})]),
        (lambda: REPO.resolved_revision(), "c" * 40, [("[info]", ("me/set",), revision)]),
    ):  # fmt: skip
        calls.list.clear()
        assert run() == result
        assert calls.list == expected
    answer(monkeypatch, calls, builder=SimpleNamespace(info=SimpleNamespace(features=None)))
    assert REPO.features("w", "fr") == {}


def test_repository__a_folder_of_parquet_files_is_read_in_place(calls, monkeypatch, tmp_path):
    answer(monkeypatch, calls, local={"train": 1}, load="loaded")
    here = DatasetRepo(str(tmp_path))
    assert here.load("w", "fr") == {"train": 1}
    assert calls.list == [("check", (str(tmp_path), None), {}), ("local", (str(tmp_path), "fr"), {})]
    answer(monkeypatch, calls, local=None)
    assert here.load("w") == "loaded"
    assert calls.list[-1] == ("[load]", (str(tmp_path),), {"name": None, "revision": None})


BAD = RuntimeError("first\nsecond")


@pytest.mark.parametrize(
    ("run", "results", "error", "sentence"),
    [
        (lambda: REPO.configs("w"), {"names": BAD}, DataError, "w: cannot be opened (first)"),
        (lambda: REPO.features("w", "fr"), {"builder": BAD}, DataError, "w: config fr cannot be opened (first)"),
        (lambda: REPO.load("w"), {"load": BAD}, DataError, "w: cannot be loaded (first)"),
        (lambda: REPO.load("w", "fr"), {"load": BAD}, DataError, "w: config fr cannot be loaded (first)"),
        (lambda: REPO.load("w", "fr", unknown_config_is_usage=True), {"load": BAD}, DataError,
         "w: cannot be loaded (first)"),
        (lambda: REPO.load("w", "fr", unknown_config_is_usage=True), {"load": ValueError("no fr\nbut")}, UsageError,
         "w: no fr"),
        (lambda: REPO.load("w", "fr"), {"load": ValueError("no fr")}, DataError,
         "w: config fr cannot be loaded (no fr)"),
        (lambda: REPO.load("w", "fr", unknown_config_is_usage=True), {"load": UnicodeError("x")}, DataError,
         "w: cannot be loaded (x)"),
        (lambda: REPO.splits_on_hub("w", None), {"info": BAD}, DataError, "w: cannot be opened (first)"),
        (lambda: REPO.splits_on_hub("w", None), {"info": UsageError("as it is")}, UsageError, "as it is"),
        (lambda: REPO.text("x"), {"download": OSError("x" * 400)}, DataError,
         f"me/set: neither a folder nor a data set that can be read ({'x' * 297}...)"),
        (lambda: REPO.text("x"), {"download": ValueError("bad")}, DataError,
         "me/set: neither a folder nor a data set that can be read (bad)"),
        (lambda: REPO.download(), {"snapshot": HFValidationError("x")}, UsageError,
         "me/set@v2: neither a folder here nor a repository name"),
        (lambda: REPO.download(), {"snapshot": OSError("gone")}, DataError,
         "me/set@v2: cannot be downloaded from the Hub (gone)"),
    ],
)  # fmt: skip
def test_repository__errors_are_a_sentence(calls, monkeypatch, run, results, error, sentence):
    answer(monkeypatch, calls, **{"info": SimpleNamespace(sha="c"), **results})
    with pytest.raises(error) as refused:
        run()
    assert (type(refused.value), str(refused.value)) == (error, sentence)


def test_repository__no_file_and_no_answer(calls, monkeypatch):
    http = _library()
    response = http.Response(404, request=http.Request("GET", "https://hub.example"))
    absent = EntryNotFoundError("none")
    answer(monkeypatch, calls, download=absent)
    assert REPO.text("x") is None
    for error in (OSError("x"), RemoteError("x"), HfHubHTTPError("x", response=response)):
        answer(monkeypatch, calls, info=error)
        assert REPO.resolved_revision() == "v2 (commit unknown: the Hub did not answer)"
        assert DatasetRepo("me/set").resolved_revision() == "main (commit unknown: the Hub did not answer)"
    answer(monkeypatch, calls, info=KeyError("x"))
    with pytest.raises(KeyError):
        REPO.resolved_revision()


KIND = datasets.ClassLabel(names=["cat", "dog"])


def table(ids, kinds, **more):
    """A split with pictures that hold the ids; ``more`` are columns of text."""
    text = {name: datasets.Value("string") for name in ("name", *more)}
    features = {"image": datasets.Image(decode=False), "kind": KIND, **text}
    pictures = [{"bytes": str(i).encode(), "path": None} for i in ids]
    columns = {"image": pictures, "kind": kinds, "name": [None if i is None else str(i) for i in ids], **more}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


@pytest.fixture
def hub(monkeypatch):
    """Splits by name of a repository that is not opened, and every call."""
    requests, splits = [], {}

    class Repo(DatasetRepo):
        def load(self, where, config=None):
            requests.append((str(self), where, config))
            return splits

        def splits_on_hub(self, where, config):
            requests.append((str(self), where, config))
            return splits, "c" * 40

        def resolved_revision(self):
            return f"commit of {self}"

    monkeypatch.setattr(hub_data_sets, "DatasetRepo", Repo)
    return requests, splits


def test_hub__a_data_set_whole(hub):
    requests, splits = hub
    splits |= {"train": table([3, 1, 2], [1, 0, -1]), "test": table([9], [1]), "validation": table([4, 5], [0, 0])}
    photos = read_hub_photos("me/set", revision="v2", config="fr")
    assert requests == [("me/set@v2", "hub:me/set", "fr")]
    assert photos.ids == ("train/0", "train/1", "train/2", "val/0", "val/1", "test/0")
    assert [photos.read(i) for i in range(6)] == [b"3", b"1", b"2", b"4", b"5", b"9"]
    assert (photos.splits.tolist(), photos.rows.tolist()) == ([0, 0, 0, 1, 1, 2], list(range(6)))
    assert (photos.labels.names, photos.labels.values.tolist()) == (("cat", "dog"), [1, 0, -1, 0, 0, 1])
    assert dict(photos.evidence) == {
        "splits": "as given by the data set", "revision": "commit of me/set@v2", "config": "fr",
        "columns": "image=image, label=kind, id=None",
    }  # fmt: skip
    assert (photos.name, photos.drawn_splits) == ("hub:me/set", False)
    named = read_hub_photos(
        "me/set", image="image", label="name", id="name", train="test", val="train", test="validation"
    )
    assert named.ids == ("train/9", "val/3", "val/1", "val/2", "test/4", "test/5")
    assert (named.labels.names, named.labels.values.tolist()) == (("1", "2", "3", "4", "5", "9"), [5, 2, 0, 1, 3, 4])
    assert named.evidence["config"] == "default"
    assert named.evidence["columns"] == "image=image, label=name, id=name"


def test_hub__a_single_split_is_divided_by_seed(hub):
    hub[1]["train"] = table(range(12), [0] * 6 + [1] * 6)
    photos = read_hub_photos("me/set", seed=4, val_share=0.5)
    order = sorted(range(6), key=lambda i: hash64(f"split\x004\x00train/{i}"))
    assert np.flatnonzero(photos.splits[:6]).tolist() == sorted(order[:3])
    assert photos.evidence["splits"] == "seeded split of each class, seed 4, 0.5 of the photos for val"
    assert photos.drawn_splits


def test_hub__columns_that_the_user_names(hub):
    text = {"site": ["n", "s", "", "n"], "own": ["a", "b", "a", "b"]}
    hub[1].update(train=table(range(4), [0, 1, 0, 1], **text), test=table(range(4), [1] * 4, **text))
    sources = ColumnSources.of(label="site", group=("where=site", "kind=kind"), cluster="own")
    photos = read_hub_photos("me/set", columns=sources)
    assert (photos.labels.names, photos.labels.values.tolist()) == (("n", "s"), [0, 1, -1, 0] * 2)
    assert photos.groups["where"].values.tolist() == [0, 1, -1, 0] * 2
    assert photos.groups["kind"].values.tolist() == [0, 1, 0, 1, 1, 1, 1, 1]
    assert photos.columns["cluster"].tolist() == ["a", "b", "a", "b"] * 2
    assert photos.evidence["columns"] == "image=image, label=site, id=None"


def test_hub__a_label_of_text_that_is_empty_or_no_number_is_unknown(hub):
    """As in every other column."""
    features = datasets.Features({**table([1], [0]).features, "size": datasets.Value("float32")})
    values = {"image": [{"bytes": b"x", "path": None}] * 3, "kind": [0] * 3, "name": ["a", "", None]}
    hub[1]["train"] = datasets.Dataset.from_dict({**values, "size": [1.5, float("nan"), None]}, features=features)
    for label, name in (("name", "a"), ("size", "1.5")):
        labels = read_hub_photos("me/set", label=label).labels
        assert (labels.names, labels.values.tolist()) == ((name,), [0, -1, -1])


def test_hub__streamed(hub, monkeypatch):
    requests, splits = hub
    parts = []
    splits |= {"train": table([1, 2], [0, 1]), "test": table([3], [1]), "other": table([4], [1])}
    monkeypatch.setattr(hub_data_sets, "hub_parts", lambda *given: parts.append(given) or dict(given[0]))
    monkeypatch.setattr(hub_data_sets, "described", lambda *given: f"{list(given[0])} {list(given[1])}")
    photos = read_hub_photos("me/set", streaming=Streaming(7, 1))
    assert parts == [({"train": splits["train"], "val": splits["test"]}, Streaming(7, 1), "hub:me/set")]
    assert requests == [("me/set", "hub:me/set", None)]
    assert list(photos.evidence) == ["splits", "revision", "read", "config", "columns"]
    assert (photos.evidence["revision"], photos.evidence["read"]) == ("c" * 40, "['train', 'val'] ['train', 'val']")


@pytest.mark.parametrize(
    ("rows", "options", "error", "sentence"),
    [
        (table([1, 2], [0, 1]), {"image": "imgae"}, UsageError,
         "unknown image column of me/set 'imgae': did you mean 'image'"),
        (table([1, 2], [0, 1]), {"label": "knid"}, UsageError,
         "unknown label column of me/set 'knid': did you mean 'kind'"),
        (table([1, None], [0, 1]), {"id": "name"}, DataError,
         "hub:me/set: split train, row 1: the id in name is missing"),
        (table([1, 1], [0, 1]), {"id": "name"}, DataError,
         "hub:me/set: the id 'train/1' in name is there twice: say another (?id=...)"),
    ],
)  # fmt: skip
def test_hub__what_is_refused(hub, rows, options, error, sentence):
    hub[1]["train"] = rows
    with pytest.raises(error) as refused:
        read_hub_photos("me/set", **options)
    assert str(refused.value).startswith(sentence)


@pytest.fixture
def attributes(monkeypatch):
    """Configs of an attribute set that is not opened."""
    requests, configs = [], {}

    class Repo(DatasetRepo):
        def configs(self, where):
            requests.append(("configs", str(self), where))
            return list(configs)

        def features(self, where, config):
            return next(iter(configs[config].values())).features

        def load(self, where, config=None):
            requests.append(("load", where, config))
            return configs[config]

        def resolved_revision(self):
            return f"commit of {self}"

    monkeypatch.setattr(attribute_sets, "DatasetRepo", Repo)
    return requests, configs


def rows(ids, **columns):
    """Rows with a class column for each name of an attribute, and columns of text."""
    features = {"image": datasets.Image(decode=False), "photo_id": datasets.Value("string")}
    values = {"image": [{"bytes": i.encode(), "path": None} for i in ids], "photo_id": list(ids)}
    for name, column in columns.items():
        is_text = name in ("owner", "scene", "camera_type", "licence", "note")
        features[name] = datasets.Value("string") if is_text else datasets.ClassLabel(names=["x", "y"])
        values[name] = column
    return datasets.Dataset.from_dict(values, features=datasets.Features(features))


def test_attributes__photos_of_several_configs_whole(attributes):
    requests, configs = attributes
    configs |= {
        "make": {"train": rows("ab", make=[0, 1], owner=["me", None]), "test": rows("c", make=[-1], owner=["you"])},
        "birds": {"train": rows("z", label=[0])},
        "iso": {"validation": rows("d", label=[1], licence=["cc"]), "train": rows("ba", label=[0, 1], note=["n", "m"])},
    }
    photos = read_attribute_photos("hub:me/set@v2")
    where = "flickrexif:me/set"
    assert requests == [("configs", "me/set@v2", where), ("configs", "me/set@v2", where), ("load", where, "make"),
                        ("load", where, "iso")]  # fmt: skip
    assert (photos.name, photos.ids, photos.splits.tolist()) == (
        "flickrexif:me/set",
        ("a", "b", "c", "d"),
        [0, 0, 2, 1],
    )
    assert {name: (a.names, a.values.tolist()) for name, a in photos.attributes.items()} == {
        "make": (("x", "y"), [0, 1, -1, -1]), "iso": (("x", "y"), [1, 0, -1, 1]),
    }  # fmt: skip
    assert {name: column.tolist() for name, column in photos.columns.items()} == {
        "owner": ["me", "", "you", ""], "licence": ["", "", "", "cc"],
    }  # fmt: skip
    assert [photos.read(i) for i in range(4)] == [b"a", b"b", b"c", b"d"]
    assert photos.rows.tolist() == [0, 1, 2, 3]
    assert dict(photos.evidence) == {
        "splits": "as given by the data set", "revision": "commit of me/set@v2", "configs": "make, iso",
    }  # fmt: skip
    assert read_attribute_photos("hub:me/set", configs=["iso", "make", "iso"]).evidence["configs"] == "iso, make"
    assert read_attribute_photos("folder:me/set", configs=["iso"]).ids == ("d", "b", "a")


def test_attributes__one_config_with_all_photos_is_read_alone(attributes):
    requests, configs = attributes
    configs |= {
        "make": {"train": rows("a", make=[0])},
        "iso": {"train": rows("a", iso=[1])},
        "photos": {"train": rows("abc", make=[0, -1, -1], iso=[-1, 1, -1], scene=["s", "t", "u"])},
    }
    photos = read_attribute_photos("hub:me/set")
    assert [call[2] for call in requests if call[0] == "load"] == ["photos"]
    assert (photos.ids, photos.columns["scene"].tolist()) == (("a", "b"), ["s", "t"])
    assert [photos.attributes[name].values.tolist() for name in ("make", "iso")] == [[0, -1], [-1, 1]]
    assert photos.evidence["configs"] == "make, iso"


@pytest.mark.parametrize(
    ("configs", "named", "error", "sentence"),
    [
        ({"birds": {}}, (), DataError,
         "flickrexif:me/set: none of its configs (birds) is named after an attribute; known are make, model"),
        ({"birds": {}}, ("brids",), UsageError, "unknown attribute config of me/set 'brids': did you mean 'birds'"),
        ({"make": {}, "birds": {}}, ("birds",), UsageError, "unknown attribute config of me/set 'birds'"),
        ({"make": {"dev": rows("a", make=[0]), "val": rows("b", make=[0])}}, (), UsageError,
         "flickrexif:me/set: the splits dev, val of make are not train, val and test"),
        ({"make": {"train": rows("a", make=[0]), "test": rows("a", make=[0])}}, (), DataError,
         "hub:me/set: photo a is in train for one attribute and in test for make; take one attribute at a time "
         "(?config=make)"),
        ({"make": {"train": rows("a", make=[0]).remove_columns("image")}}, (), DataError,
         "flickrexif:me/set: make holds no pixels; fetch your own copy with `camtrace build flickrexif load me/set "
         "--state photos/ --output DIR` and give DIR"),
    ],
)  # fmt: skip
def test_attributes__what_is_refused(attributes, configs, named, error, sentence):
    attributes[1].update(configs)
    with pytest.raises(error) as refused:
        read_attribute_photos("hub:me/set", configs=named)
    assert str(refused.value).startswith(sentence)
