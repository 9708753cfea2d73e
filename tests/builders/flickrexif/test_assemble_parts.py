"""Parts of a build and of the beginning of a search by hand: rows, parts of given splits, sources, settings."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from builders.dataset import LabelledPart
from builders.errors import DataError, PhotoError, UsageError
from builders.flickrexif.assemble import inspect_files as inspecting
from builders.flickrexif.assemble import rows as module
from builders.flickrexif.assemble.build import _parts, _released_parts, _with_facts, sources_of
from builders.flickrexif.assemble.collect import TableRows
from builders.flickrexif.assemble.local_copy import _FetchedRows, _Published, _read
from builders.flickrexif.assemble.rows import PartRows, RowMaker, configs_of, digest, photo_features, write_photos
from builders.flickrexif.search.plan import SearchPlan, months, split, start_search
from builders.flickrexif.search.plan import Slice as Piece
from builders.flickrexif.search.search import add_windows
from builders.photos import Labels
from builders.splits import SplitTable
from tests.support.clocks import SimulatedClock
from tests.support.flickr_world import licences_answer

DAY = 86400


def part(config, name, photos, labels, names=("a", "b")):
    return LabelledPart(config, name, names, np.array(photos, dtype=np.int64), np.array(labels, dtype=np.int64))


def test_rows__of_some_photos_alone_and_of_all_of_their_configs():
    columns = tuple({"photo_id": str(i), "sha256": ""} for i in range(4))
    maker = RowMaker("/s", ["p0", None, "p2", "p3"], columns, False)
    some = maker.subset(np.array([3, 1]))
    assert (some.paths, some.columns, some.folder, some.pixels) == (["p3", None], (columns[3], columns[1]), "/s", False)
    table = RowMaker("/s", ["p"] * 4, TableRows(pa.table({"photo_id": ["0", "1", "2", "3"]})), False)
    assert [row["photo_id"] for row in table.subset(np.array([2, 0])).columns] == ["2", "0"]
    rows = PartRows(some, ("make", "iso"), np.array([[1, -1], [0, 2]]))
    assert rows(0) == [{"photo_id": "3", "sha256": "", "make": 1, "iso": -1}]
    assert rows(1) == [{"photo_id": "1", "sha256": "", "make": 0, "iso": 2}]


def test_rows__that_could_not_be_fetched_say_why(tmp_path):
    data = b"picture"
    (tmp_path / "a.jpg").write_bytes(data)
    columns = tuple({"photo_id": str(i), "sha256": f"unpinned:{hashlib.sha256(data).hexdigest()}"} for i in range(3))
    rows = _FetchedRows(str(tmp_path), ["a.jpg", None, None], columns, True, {"1": "gone"})
    assert rows.row(0, {"make": 1})["image"] == {"bytes": data, "path": "a.jpg"}
    for photo, reason in ((1, "^gone$"), (2, "^it was not fetched$")):
        with pytest.raises(PhotoError, match=reason):
            rows.row(photo, {})


def test_rows__of_configs_without_pixels_have_the_labels_of_all(monkeypatch, tmp_path):
    jobs = []
    monkeypatch.setattr(module, "write_shards", lambda job, **options: jobs.append((job, options)) or job.split)
    columns = tuple({"photo_id": f"p{i}"} for i in range(4))
    parts = [part("make", "train", [2, 0], [1, 0]), part("iso", "test", [0, 3], [1, 0])]
    features = photo_features({"make": ("a", "b"), "iso": ("a", "b")}, False)
    shared, written = write_photos(
        parts, RowMaker("/s", [None] * 4, columns, False), features, tmp_path, workers=3, fresh=True
    )
    assert (shared, written) == (None, ["train", "test"])
    (first, options), (second, _) = jobs
    assert options == {"workers": 3, "fresh": True}
    assert (first.config, first.split, first.ids) == ("make", "train", ["p2", "p0"])
    assert (second.config, second.split, second.ids) == ("iso", "test", ["p0", "p3"])
    assert [first.make_rows(i)[0] for i in range(2)] == [
        {"photo_id": "p2", "make": 1, "iso": -1}, {"photo_id": "p0", "make": 0, "iso": 1},
    ]  # fmt: skip
    assert [second.make_rows(i)[0] for i in range(2)] == [
        {"photo_id": "p0", "make": 0, "iso": 1}, {"photo_id": "p3", "make": -1, "iso": 0},
    ]  # fmt: skip
    for job, labels in ((first, [[1, -1], [0, 1]]), (second, [[0, 1], [-1, 0]])):
        assert (job.output, job.features, job.items_per_shard) == (tmp_path, features, 2)  # of the photos of its part
        assert job.recipe == {"pixels": False, "rows": digest([{"photo_id": id} for id in job.ids], labels)}
    assert first.recipe != second.recipe


def test_rows__of_a_photo_with_several_labels_have_each_of_them_in_its_own_part(monkeypatch, tmp_path):
    """Released splits may name a photo twice: a part states its labels, other parts the label of the last one."""
    jobs = []
    monkeypatch.setattr(module, "write_shards", lambda job, **options: jobs.append(job))
    rng = np.random.default_rng(0)
    parts = [
        part(config, split, rng.integers(0, 5, 6), rng.integers(0, 3, 6), ("a", "b", "c"))
        for config in ("make", "iso") for split in ("train", "test")
    ]  # fmt: skip
    columns = tuple({"photo_id": f"p{i}"} for i in range(5))
    write_photos(parts, RowMaker("/s", [None] * 5, columns, False), photo_features({}, False), tmp_path)
    last = {}
    for each in parts:
        last |= {(each.config, photo): label for photo, label in zip(each.photos, each.labels, strict=True)}
    for each, job in zip(parts, jobs, strict=True):
        other = {"make": "iso", "iso": "make"}[each.config]
        assert [row for i in range(6) for row in job.make_rows(i)] == [
            {"photo_id": f"p{photo}", each.config: label, other: last.get((other, photo), -1)}
            for photo, label in zip(each.photos, each.labels, strict=True)
        ]
    overruled = [label != last[each.config, photo] for each in parts
                 for photo, label in zip(each.photos, each.labels, strict=True)]  # fmt: skip
    assert any(overruled)


def test_rows__bytes_of_an_item_and_names_of_configs(tmp_path):
    for name, size in (("a", 100), ("b", 300)):
        (tmp_path / name).write_bytes(bytes(size))
    maker = RowMaker(str(tmp_path), ["a", None, "b"], ({}, {}, {}), True)
    assert module._bytes_per_item(maker, np.array([0, 1, 2])) == 500 + 200
    assert module._bytes_per_item(maker, np.array([1])) == 500
    assert configs_of([part("b", "train", [], []), part("a", "train", [], []), part("b", "test", [], [])]) == ("b", "a")
    assert digest([1], [2]) != digest([1, 2], []) != digest([2], [1])
    assert digest([{"a": 1, "b": 2}]) == digest([{"b": 2, "a": 1}])
    assert len(digest()) == 16
    assert list(photo_features({"make": ("x", "y")}, True))[:3] == ["image", "make", "photo_id"]
    assert list(photo_features({"make": ("x", "y")}, False))[:2] == ["make", "photo_id"]


def test_parts__of_an_attribute_with_the_classes_that_have_photos():
    column = Labels(("a", "b", "c"), np.array([2, 0, 1, 2, 0], dtype=np.int32))
    selected = np.array([0, 1, -1, 2, 0], dtype=np.int8)
    splits = SimpleNamespace(classes={"make": np.array([0, 2])}, selected={"make": selected})
    parts = _parts("make", column, splits)
    assert [(p.config, p.split, p.names, p.photos.tolist(), p.labels.tolist()) for p in parts] == [
        ("make", "train", ("a", "c"), [0, 4], [1, 0]), ("make", "validation", ("a", "c"), [1], [0]),
        ("make", "test", ("a", "c"), [3], [1]),
    ]  # fmt: skip
    for classes in ([], [1]):
        splits = SimpleNamespace(classes={"make": np.array(classes)}, selected={"make": selected})
        assert _parts("make", column, splits) == []


def test_parts__of_released_splits_as_far_as_photos_are_there():
    table = SplitTable("iso", np.array(["x", "b", "a", "c", "a"]), np.array([0, 0, 0, 1, 2], dtype=np.int8),
                       labels=np.array(["9", "2", "1", "2", "1"]))  # fmt: skip
    parts = _released_parts(table, ["a", "b", "c"])
    assert [(p.split, p.names, p.photos.tolist(), p.labels.tolist()) for p in parts] == [
        ("train", ("1", "2", "9"), [1, 0], [1, 0]), ("validation", ("1", "2", "9"), [2], [1]),
        ("test", ("1", "2", "9"), [0], [0]),
    ]  # fmt: skip
    plain = _released_parts(SplitTable("iso", table.ids, table.splits), ["a"])
    assert [(p.names, p.photos.tolist()) for p in plain] == [(("",), [0]), (("",), []), (("",), [0])]
    values = {"owner": ["o1", "o2", "o3"], "sha256": ["h1", "h2", "h3"]}
    collection = SimpleNamespace(ids=["a", "b", "c"], of=values.__getitem__)
    known = _with_facts(table, collection, np.array(["n1", "", "n3"]))
    assert known.owners.tolist() == ["", "o2", "o1", "o3", "o1"]
    assert known.digests.tolist() == ["", "h2", "h1", "h3", "h1"]
    assert known.near.tolist() == ["", "", "n1", "n3", "n1"]


@pytest.mark.parametrize(
    ("sources", "origins", "expected"),
    [
        ((), (), ()), (("search",), (), ("original",)), (("fill",), (), ("original",)),
        (("import",), ("a/b@main", "ids.csv"), ("a/b",)),
        (("search", "import"), ("a/b@main",), ("original", "a/b")),
    ],
)  # fmt: skip
def test_sources__of_the_card(state, sources, origins, expected):
    with state.transaction() as db:
        for id, source in enumerate(sources, 1):
            db.execute(
                "INSERT INTO photos (id, owner, source, urls, rank, selected) VALUES (?, 'a', ?, '{}', 0, 1)",
                (id, source),
            )
        db.execute(
            "INSERT INTO photos (id, owner, source, urls, rank, selected) VALUES (99, 'a', 'search', '{}', 0, 0)"
        )
    state.set("imported_from", list(origins))
    assert sources_of(state) == expected


def repo(text, tombstones=None, location="org/a"):
    return SimpleNamespace(location=location, text={"build.json": text, "tombstones.txt": tombstones}.get)


def test_published__that_is_no_flickrexif_without_pixels(monkeypatch):
    from builders.flickrexif.assemble import local_copy

    with pytest.raises(
        DataError, match=r"org/a: no build.json there, so it is no data set that 'flickrexif build' made"
    ):
        _read(repo(None))
    for kind, recipe in (("simcams", {"pixels": False}), ("flickrexif", {"pixels": True}), ("flickrexif", {})):
        build = SimpleNamespace(kind=kind, recipe=recipe)
        monkeypatch.setattr(local_copy, "parse_build", lambda text, where, build=build: build)
        with pytest.raises(
            DataError, match="org/a: is not a FlickrExif without pixels; load_dataset reads it as it is"
        ):
            _read(repo("{}"))
    build = SimpleNamespace(kind="flickrexif", recipe={"pixels": False})
    monkeypatch.setattr(local_copy, "parse_build", lambda text, where: build)
    assert _read(repo("{}")).tombstones.hashes == frozenset()
    assert _read(repo("{}", "a" * 64)).tombstones.hashes == {"a" * 64}


def test_published__splits_that_the_build_lists():
    loaded = {"train": [1], "test": [2], "extra": [3]}
    of_repo = SimpleNamespace(location="org/a", load=lambda where, config: loaded)
    splits = [SimpleNamespace(config=c, split=s) for c, s in (("make", "test"), ("make", "train"), ("iso", "train"))]
    published = _Published(of_repo, SimpleNamespace(splits=splits), None)
    assert published.rows("make") == {"test": [2], "train": [1]}
    splits.append(SimpleNamespace(config="make", split="validation"))
    with pytest.raises(DataError, match=r"org/a: make has no split validation, which build.json lists"):
        published.rows("make")


class Licences:
    def __init__(self):
        self.calls = []

    def call(self, method, subject, *, expect):
        self.calls.append((method, subject, expect))
        return {"licenses": licences_answer()}


def plan_of(**changes):
    return SearchPlan(**{"start": 0, "end": 40 * DAY, "per_user_month": 5, "licences": (4, 5), **changes})


def test_search__what_a_state_is_begun_with(state):
    client, state.clock = Licences(), SimulatedClock(100.0)
    start_search(state, client, plan_of(seed=3), 1800)
    start_search(state, client, plan_of(seed=3, with_exif=False, photos=9), 60)
    assert client.calls == [("photos.licenses.getInfo", "licences", "licenses")]
    names = ("per_user_month", "seed", "licences", "licences_checked", "with_exif", "calls_per_hour", "photos_wanted")
    assert [state.setting(name) for name in names] == [5, 3, [4, 5], 100.0, False, 60, 9]
    for changes, option in (({"per_user_month": 6}, "--per-user-month 5, not 6"), ({"seed": 4}, "--seed 3, not 4"),
                            ({"licences": (4,)}, r"--license \[4, 5\], not \[4\]")):  # fmt: skip
        with pytest.raises(UsageError, match=f"was made with {option}"):
            start_search(state, client, plan_of(**{"seed": 3, **changes}), 60)
    state.clock.at = 60.0 * DAY
    add_windows(state, plan_of(seed=3))
    start_search(state, client, plan_of(seed=3, photos=9), 60)
    with state.transaction() as db:
        db.execute("UPDATE slices SET status = 'done' WHERE start = 0")
    start_search(state, client, plan_of(seed=3), 60)
    with pytest.raises(UsageError, match="its search was begun without --limit: go on without, or sample into a new"):
        start_search(state, client, plan_of(seed=3, photos=9), 60)


@pytest.mark.parametrize(("each_licence", "licences"), [(False, ["4,5"]), (True, ["4", "5"])])
def test_windows__of_months_and_licences(state, each_licence, licences):
    state.clock = SimulatedClock(35.0 * DAY)  # the last day is left to a later search
    add_windows(state, plan_of(each_licence=each_licence))
    columns = 'root, month, start, "end", licences, status, estimate'
    spans = [("1970-01", 0, 31 * DAY), ("1970-02", 31 * DAY, 34 * DAY)]
    expected = [(1, *span, ids, "pending", 0.0) for span in spans for ids in licences]
    assert [tuple(r) for r in state.rows(f"SELECT {columns} FROM slices ORDER BY id")] == expected
    state.clock.at = 36.0 * DAY
    add_windows(state, plan_of(each_licence=each_licence))
    rows = [tuple(r) for r in state.rows(f"SELECT {columns} FROM slices ORDER BY id")]
    assert rows == expected + [(1, "1970-02", 34 * DAY, 35 * DAY, ids, "pending", 0.0) for ids in licences]


def test_split__estimates_of_halves_and_of_licences():
    assert [p.estimate for p in split(Piece("m", 0, 600, (4, 5, 7)), 9000)] == [4500, 4500]
    assert [p.estimate for p in split(Piece("m", 0, 599, (4, 5, 7)), 9000)] == [3000] * 3
    assert months(5, 5) == []
    december = 1_325_376_000 - DAY
    assert [m for m, _, _ in months(december, december + 2 * DAY)] == ["2011-12", "2012-01"]


def test_inspect__what_is_stored_and_what_is_fetched_again(state, monkeypatch, capsys):
    """A file that differs is fetched again; of one that was inspected before, what is known stays."""
    results = {1: inspecting.InspectedPixels((7, *[0] * 31), 40, 25), 2: inspecting.InspectedPixels(reason="broken"),
               3: inspecting.InspectedPixels(reason="another", damaged=True),
               4: inspecting.InspectedPixels(reason="another", damaged=True)}  # fmt: skip
    with state.transaction() as db:
        for id in (1, 2, 3, 4, 5):
            db.execute(
                "INSERT INTO files (photo_id, size, url, status, path, sha256, bytes, attempts, at)"
                " VALUES (?, 'o', 'u', ?, ?, ?, 1, 1, 0)",
                (id, "failed" if id == 5 else "ok", f"files/{id}.jpg", f"sha {id}"),
            )
        db.execute("INSERT INTO looks VALUES (4, 'sha 4', 9, 4, 3, '{}', NULL, NULL)")
    seen = []
    monkeypatch.setattr(inspecting, "_FILES_PER_TRANSACTION", 3)
    monkeypatch.setattr(
        inspecting, "_inspect_pixels_of",
        lambda paths, hashes, workers: seen.append((hashes, workers)) or [results[int(h[4:])] for h in hashes],
    )  # fmt: skip
    reading = SimpleNamespace(acquisition=SimpleNamespace(raw={"Make": "Ä"}))
    monkeypatch.setattr(inspecting, "read_many", lambda paths, workers: [reading] * len(list(paths)))
    assert inspecting.inspect_files(state, workers=2) == 4
    assert seen == [(["sha 1", "sha 2", "sha 3"], 2), (["sha 4"], 2)]
    looks = [tuple(row) for row in state.rows("SELECT * FROM looks ORDER BY 1")]
    assert looks == [
        (1, "sha 1", 7, 40, 25, '{"Make": "Ä"}', None, (7).to_bytes(8, "big") + bytes(248)),
        (2, "sha 2", 0, 0, 0, '{"Make": "Ä"}', "broken", b""),
        (4, "sha 4", 9, 4, 3, "{}", None, b""),
    ]
    assert [row[0] for row in state.rows("SELECT photo_id FROM files ORDER BY 1")] == [1, 2, 4, 5]
    path = Path(state.folder) / "files/3.jpg"
    assert f"warning: {path}: another; 'flickrexif fetch' gets it again" in capsys.readouterr().err
    assert inspecting.inspect_files(state) == 0
    assert json.loads(state.value("SELECT raw FROM looks WHERE photo_id = 1")) == {"Make": "Ä"}
