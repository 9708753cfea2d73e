"""How data become the subject of an audit: columns of frames and data sets, labels by number, and streams."""

from contextlib import contextmanager
from types import SimpleNamespace

import datasets
import pandas as pd
import pytest

from benchmark.audit import open as module
from benchmark.audit.open import dataset_photos, frame_photos, open_subject
from benchmark.audit.subjects import Row
from builders.errors import DataError, PhotoError, UsageError
from builders.photos import PhotoSet


def test_frame_photos__ids_below_the_folder_that_all_paths_share(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for paths, root, ids in (
        (["a/x.png", "a/b/y.png"], tmp_path / "a", ("x.png", "b/y.png")),
        (["x.png"], tmp_path, ("x.png",)),
        ([str(tmp_path / "a/x.png"), "c/y.png"], tmp_path, ("a/x.png", "c/y.png")),
    ):
        photos = frame_photos(
            pd.DataFrame({"image": paths, "label": ["q"] * len(paths)}), label="", source="", owner=""
        )
        assert (photos.source.root, photos.ids, photos.name) == (str(root), ids, "frame")
        assert photos.rows.tolist() == list(range(len(paths)))
    for dtype in ("string", "object", "category"):
        frame = pd.DataFrame({"path": ["a", "b"], "label": pd.array([None, "x"], dtype="string").astype(dtype)})
        photos = frame_photos(frame, label="", source="", owner="")
        assert (photos.labels.names, photos.labels.values.tolist()) == (("x",), [-1, 0])
    for path in (float("nan"), {"bytes": b"x"}, ""):
        with pytest.raises(UsageError, match="path"):
            frame_photos(pd.DataFrame({"path": ["a", path], "label": "x"}), label="", source="", owner="")
    empty = frame_photos(pd.DataFrame({"path": [], "label": []}), label="", source="", owner="")
    assert (len(empty), empty.source.root) == (0, str(tmp_path))
    with pytest.raises(UsageError) as error:
        frame_photos(pd.DataFrame({"path": ["a", "a"], "label": ["x", "y"]}), label="", source="", owner="")
    assert "frame" in str(error.value)
    with pytest.raises(UsageError) as error:
        frame_photos(pd.DataFrame({"paths": ["a"]}), label="", source="", owner="")
    assert "'paths'" in str(error.value)


def test_dataset_photos__of_no_picture_names_the_columns():
    with pytest.raises(UsageError) as error:
        dataset_photos(datasets.Dataset.from_dict({"a": [1], "b": [2]}))
    assert "column" in str(error.value)


FEATURES = datasets.Features(
    {
        "i": datasets.Image(), "j": datasets.Image(), "kind": datasets.ClassLabel(names=["u", "v"]),
        "label": datasets.ClassLabel(names=["fake", "real"]), "n": datasets.Value("int64"),
        "source": datasets.Value("string"), "who": datasets.Value("string"), "split": datasets.Value("string"),
    }
)  # fmt: skip


def part(*rows):
    """A split whose pictures are bytes that nothing decodes; rows of (kind, label, n)."""
    cells = {
        "i": [{"bytes": f"i{n}".encode(), "path": None} for *_, n in rows],
        "j": [{"bytes": f"j{n}".encode(), "path": None} for *_, n in rows],
        "kind": [kind for kind, _, _ in rows], "label": [label for _, label, _ in rows], "n": [n for *_, n in rows],
        "source": [f"s{n}" if n % 2 else None for *_, n in rows], "who": [f"w{n}" for *_, n in rows],
        "split": ["test"] * len(rows),  # that of a data set is the name of its part
    }  # fmt: skip
    return datasets.Dataset.from_dict(cells, features=FEATURES)


@pytest.mark.parametrize(
    ("named", "names", "labels"),
    [
        ("", ("fake", "real"), [1, 0, 1, 0]), ("label", ("fake", "real"), [1, 0, 1, 0]),
        ("kind", ("u", "v"), [0, 0, 1, 1]), ("n", ("0", "1", "2", "3"), [0, 1, 2, 3]),
    ],
)  # fmt: skip
def test_dataset_photos__labels_by_the_names_of_their_own_column(named, names, labels):
    first, second = part((0, 1, 0), (0, 0, 1)), part((1, 1, 2), (1, 0, 3))
    photos = dataset_photos(datasets.DatasetDict({"validation": first, "train": second}), label=named, owner="who")
    assert (photos.labels.names, photos.labels.values.tolist()) == (names, labels)
    assert (photos.name, photos.ids) == ("dataset", ("validation/0", "validation/1", "train/0", "train/1"))
    assert (photos.splits.tolist(), photos.rows.tolist()) == ([1, 1, 0, 0], [0, 1, 2, 3])
    columns = {name: column.tolist() for name, column in photos.columns.items()}
    assert columns == {"source": ["", "s1", "", "s3"], "owner": ["w0", "w1", "w2", "w3"]}
    assert photos.evidence == {"splits": "as given by the data set"}
    assert [photos.read(i) for i in range(4)] == [b"i0", b"i1", b"i2", b"i3"]  # the first column of pictures
    head = photos.source.head(3, 1)
    assert (head.data, head.size) == (b"i", 2)
    with pytest.raises(PhotoError, match=r"^no such row$"):
        photos.source.read(4)
    one = dataset_photos(first, label=named)
    assert (one.ids, one.splits.tolist()) == (("row/0", "row/1"), [0, 0])
    assert one.evidence == {"splits": "seeded: there is one alone"}
    assert list(one.columns) == ["source"]


def test_dataset_photos__minus_one_is_no_label():
    photos = dataset_photos(part((0, -1, 0), (1, 0, 1)))
    assert (photos.labels.names, photos.labels.values.tolist()) == (("fake",), [-1, 0])


def test_open_subject__a_limit_draws_photos():
    photos = PhotoSet.of_bytes("p", {f"{i}": b"" for i in range(8)}, ["x", "y"] * 4)
    subject = open_subject(photos, label="", source="", owner="", limit=2)
    assert sorted(row.label for row in subject.rows(0)) == ["x", "y"]
    assert len(open_subject(photos, label="", source="", owner="", limit=None).photos) == 8


class Part:
    """A split of a streamed data set: its rows, and the columns that are fetched of them."""

    def __init__(self, features, rows, calls):
        self.features, self.rows, self.calls = features, rows, calls

    def select_columns(self, names):
        self.calls.append(("select", names))
        return self

    def cast_column(self, name, feature):
        self.calls.append(("cast", name, feature.decode))
        return self

    def __iter__(self):
        return iter(self.rows)


@pytest.fixture
def hub(monkeypatch):
    """``datasets.load_dataset`` with given splits; calls are recorded."""
    state = SimpleNamespace(calls=[], parts={}, error=None, inside=0)

    @contextmanager
    def from_hub():
        state.inside += 1
        yield
        state.inside -= 1

    def load_dataset(*given, **options):
        state.calls.append(("load", given, options, state.inside))
        if state.error:
            raise state.error
        return {name: Part(*part, state.calls) for name, part in state.parts.items()}

    monkeypatch.setattr(module, "from_hub", from_hub)
    monkeypatch.setattr(module, "check_data_set", lambda *given: state.calls.append(("check", *given)))
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return state


NAMED = datasets.Features(
    {
        "text": datasets.Value("string"), "first": datasets.Image(), "second": datasets.Image(),
        "kind": datasets.ClassLabel(names=["fake", "real"]), "other": datasets.ClassLabel(names=["u", "v"]),
    }
)  # fmt: skip


def cells(*labels, image="first", label="kind"):
    return [{image: {"bytes": f"{i}".encode(), "path": None}, label: value} for i, value in enumerate(labels)]


def read(subject):
    rows = subject.next_block()
    return rows, [subject._block[i] for i in range(len(rows))]


def test_streamed__the_first_image_and_class_columns_of_every_split(hub):
    hub.parts = {
        "train": (NAMED, cells(0, 1, 7, -1, None)),
        "validation": (NAMED, [*cells(1), {"first": None, "kind": 0}]),
    }
    subject = open_subject("hub:me/x@main?config=c", label="", source="", owner="", limit=None, stream=True)
    assert subject.name == "hub:me/x"
    assert hub.calls == [
        ("check", "me/x", "main"),
        ("load", ("me/x",), {"name": "c", "revision": "main", "streaming": True}, 1),
    ]
    rows, data = read(subject)
    assert rows == [
        *(Row(f"train/{i}", label, "train", "", "") for i, label in enumerate(("fake", "real", "7", "", ""))),
        Row("validation/0", "real", "val", "", ""), Row("validation/1", "fake", "val", "", ""),
    ]  # fmt: skip
    assert data == [b"0", b"1", b"2", b"3", b"4", b"0", None]
    assert hub.calls[2:] == [("select", ["first", "kind"]), ("cast", "first", False)] * 2


def test_streamed__named_columns_one_split_and_a_limit(hub):
    hub.parts = {"test": (NAMED, cells("a", "b", "c", image="second", label="text"))}
    text = "hub:me/x?image=second&label=other"
    subject = open_subject(text, label="text", source="", owner="", limit=2, stream=True)
    assert read(subject)[0] == [Row("test/0", "a", "", "", ""), Row("test/1", "b", "", "", "")]
    hub.parts = {"test": (NAMED, cells(1, 0, image="second", label="other"))}
    subject = open_subject(text, label="", source="", owner="", limit=None, stream=True)
    assert [row.label for row in read(subject)[0]] == ["v", "u"]
    assert hub.calls[-2:] == [("select", ["second", "other"]), ("cast", "second", False)]
    assert hub.calls[0] == ("check", "me/x", None)
    hub.parts = {"test": (None, cells(1, image="second", label="other"))}  # a data set without features
    subject = open_subject(text, label="", source="", owner="", limit=None, stream=True)
    assert [row.label for row in read(subject)[0]] == ["1"]


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        ("folder:x", "", "--stream"),
        ("hub:me/x", "folder", "--stream"),
        ("hub:me/x?label=re:(.)", "", "--stream"),
        (
            "hub:me/x?group=maker&label=kind",
            "",
            "--stream",
        ),
        ("hub:me/x?image=firs", "", "'first'"),
        ("hub:me/x", "kinds", "'kinds'"),
    ],
)
def test_streamed__what_cannot_be_read_row_by_row(hub, text, label, message):
    hub.parts = {"train": (NAMED, [])}
    with pytest.raises(UsageError) as error:
        open_subject(text, label=label, source="", owner="", limit=None, stream=True)
    assert message in str(error.value)


def test_streamed__a_data_set_that_cannot_be_opened_or_has_no_such_column(hub):
    hub.error = ValueError("no such config\nat all")
    with pytest.raises(DataError) as error:
        open_subject("hub:me/x", label="", source="", owner="", limit=None, stream=True)
    assert "hub:me/x" in str(error.value)
    hub.error, hub.parts = None, {"train": (datasets.Features({"i": datasets.Image()}), [])}
    with pytest.raises(UsageError) as error:
        open_subject("hub:me/x", label="", source="", owner="", limit=None, stream=True)
    assert "'None'" in str(error.value)
