"""Bars that readers draw, with what they count; and what ``wilds`` and tiles hand to the reader of tables."""

from __future__ import annotations

import numpy as np
import pytest

from builders.data_specs import open_photos
from builders.exif import Reading, acquisition_from_raw
from builders.photos import ColumnSources, PhotoSet
from builders.sources import exif_folder, tar_index, webdataset
from builders.sources.cameras import tables as camera_tables
from builders.sources.cameras.kinds import terms_of
from builders.sources.columns import named, tables
from builders.sources.columns.named import wilds_photos
from tests.support.camera_sets import tarred


class Bar:
    """A bar that notes its settings and steps; it passes on what it is given to iterate over."""

    def __init__(self, made, iterable=(), **settings):
        self.made, self.iterable, self.n = made, iterable, 0
        made.append(settings)

    def __iter__(self):
        return iter(self.iterable)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def update(self, count=1):
        self.n += count
        self.made.append(count)


@pytest.fixture
def bars(monkeypatch, tmp_path):
    made = []
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    for module in (webdataset, exif_folder, tar_index, tables):
        monkeypatch.setattr(module, "progress_bar", lambda *given, **settings: Bar(made, *given, **settings))
    return made


def test_bars__of_shards_tables_archives_and_exif(bars, tmp_path, monkeypatch):
    for name in ("a-0", "a-1"):
        (tmp_path / f"{name}.tar").write_bytes(tarred({f"{i}.jpg": b"x" for i in range(4)}))
    open_photos(f"webdataset:{tmp_path}/a-{{0..1}}.tar")
    assert bars == [{"total": 2, "desc": "indexing shards", "unit": "shard", "delay": 2}, 1, 1]
    bars.clear()
    (tmp_path / "t.csv").write_text("key\n" + "".join(f"{i}\n" for i in range(8)))
    open_photos(f"table:{tmp_path}/t.csv?id=key")
    assert bars == [{"desc": "reading t.csv", "unit": "row", "delay": 2}]
    bars.clear()
    monkeypatch.setattr(tar_index, "BATCH", 3)
    tar_index.indexed(tmp_path / "a-0.tar", nested=False)
    size = (tmp_path / "a-0.tar").stat().st_size
    assert bars == [
        {"total": size, "desc": "indexing a-0.tar", "unit": "B", "unit_scale": True, "delay": 2}, 3 * 1024, 1024,
    ]  # fmt: skip
    bars.clear()
    (tmp_path / "photos").mkdir()
    for i in range(3):
        (tmp_path / "photos" / f"{i}.jpg").write_bytes(b"x")
    made = lambda paths, *, workers: (Reading(acquisition_from_raw({}), None) for _ in paths)  # noqa: E731
    monkeypatch.setattr(exif_folder, "read_many", made)
    with pytest.raises(Exception, match="no attribute has 2 classes"):
        open_photos(f"exif-folder:{tmp_path}/photos")
    assert bars[:4] == [{"total": 3, "desc": "reading Exif", "unit": "photo"}, 1, 1, 1]


@pytest.mark.parametrize("draw", [False, True])
def test_wilds__hands_over_columns_paths_and_splits(tmp_path, monkeypatch, draw):
    calls = []
    root = tmp_path / "iwildcam_v2.0"
    (root / "train").mkdir(parents=True)
    rows = ["filename,split,y,location_remapped,sequence_remapped,extra", "a.jpg,train,0,5,9,x", "b.jpg,id_val,1,6,8,y",
            "c.jpg,test,1,7,7,", "d.jpg,val,2,5,9,z"]  # fmt: skip
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    (root / "categories.csv").write_text("y,name\n0,empty\n1,lion\n")
    for name in "abcd":
        (root / "train" / f"{name}.jpg").write_bytes(b"x")
    monkeypatch.setattr(named, "photos_of", lambda *given, **options: calls.append((given, options)) or "photos")
    of_user = ColumnSources.of(label="mine", group=("more=extra",))
    assert wilds_photos("iwildcam", str(tmp_path), columns=of_user, seed=4, val_share=0.3, draw=draw) == "photos"
    [((table, ids, source, columns), options)] = calls
    names = list("abcd") if draw else list("acd")
    assert ids == source.paths == tuple(f"train/{name}.jpg" for name in names)
    assert source.root == str(root)
    assert columns == ColumnSources.of("mine", ("location", "more=extra"), "sequence")
    every = {
        "species": ["empty", "lion", "lion", "2"],
        "location": ["5", "6", "7", "5"], "sequence": ["9", "8", "7", "9"],
        "filename": [f"{name}.jpg" for name in "abcd"], "split": ["train", "id_val", "test", "val"],
        "y": ["0", "1", "1", "2"], "location_remapped": ["5", "6", "7", "5"],
        "sequence_remapped": ["9", "8", "7", "9"],
        "extra": ["x", "y", None, "z"],
    }  # fmt: skip
    used_rows = range(4) if draw else (0, 2, 3)
    assert {name: list(values) for name, values in table.columns.items()} == {
        name: [values[i] for i in used_rows] for name, values in every.items()
    }
    assert (table.name, table.names, table.rows) == ("iwildcam", tuple(every), len(names))
    splits = options.pop("splits")
    assert options == {
        "name": "wilds:iwildcam", "seed": 4, "val_share": 0.3,
        "evidence": {} if draw else {"splits": "official", "left out": "1 photos of id_val"},
    }  # fmt: skip
    assert splits is None if draw else (splits.tolist(), splits.dtype) == ([0, 2, 1], np.int8)


@pytest.mark.parametrize(
    ("kind", "id", "usual"),
    [
        ("plism", "slide_id,tile_id", {"group": ("device=scanner", "staining=stainer", "g=x")}),
        ("scorpion", "tile_id,scanner_id", {"group": ("device=scanner_id", "g=x"), "cluster": "slide_id"}),
    ],
)  # fmt: skip
def test_tiles__hand_over_usual_columns_and_those_of_the_user(monkeypatch, kind, id, usual):
    calls = []
    usual = ColumnSources.of(label="mine", scene="tile_id", **usual)
    photos = PhotoSet.of_bytes("table:t", {"a": b""})
    monkeypatch.setattr(
        camera_tables, "table_photos", lambda *given, **options: calls.append((given, options)) or photos
    )
    of_user = ColumnSources.of(label="mine", group=("g=x",))
    made = camera_tables.tile_photos(kind, "d/t.csv", columns=of_user, image="i", seed=4)
    camera_tables.tile_photos(kind, "d/t.csv", columns=of_user, id="k")
    assert calls == [
        (("d/t.csv",), {"id": id, "columns": usual, "image": "i", "seed": 4}),
        (("d/t.csv",), {"id": "k", "columns": usual}),
    ]  # fmt: skip
    assert (made.name, made.evidence["terms"]) == (f"{kind}:t", terms_of(kind))
