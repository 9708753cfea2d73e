"""``table:``, ``pathorob:`` and ``wilds:``: toy copies of tables as they are published."""

from __future__ import annotations

import csv
import gc
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.data_specs import open_photos
from builders.errors import DataError, PhotoError, UsageError
from builders.photos import SPLITS, UNLABELLED, Labels
from tests.support.layouts import picture, write_layout

COLUMNS = ("path", "finding", "site", "patient", "fold")
ROWS = [
    (f"images/{patient}_{view}.png", "effusion" if patient % 3 else "none", "AB"[patient % 2], f"p{patient}", fold)
    for patient in range(8)
    for view, fold in enumerate(("train", "valid"))
]
OPTIONS = "image=path&label=finding&group=site&cluster=patient&split=fold"


def of(labels: Labels) -> list[str | None]:
    return [None if value == UNLABELLED else labels.names[value] for value in labels.values]


def write_csv(path: Path, columns, rows, separator=",") -> str:
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=separator).writerows([columns, *rows])
    return str(path)


@pytest.fixture
def folder(tmp_path) -> Path:
    for row in ROWS:
        (tmp_path / row[0]).parent.mkdir(exist_ok=True)
        (tmp_path / row[0]).write_bytes(picture(len(row[0])))
    return tmp_path


@pytest.mark.parametrize("form", [",", ";", "\t", "parquet"])
def test_table__every_form_is_the_same(folder, form):
    file = folder / ("meta.parquet" if form == "parquet" else "meta.csv")
    if form == "parquet":
        columns = {name: [row[i] for row in ROWS] for i, name in enumerate(COLUMNS)}
        columns["site"] = pa.array(columns["site"]).dictionary_encode()
        pq.write_table(pa.table({**columns, "age": pa.array([None, *range(15)])}), file)
    else:
        write_csv(file, COLUMNS, ROWS, form)
    photos = open_photos(f"table:{file}?{OPTIONS}")
    assert photos.name == f"table:{file.name}"
    assert photos.ids == tuple(row[0] for row in ROWS)
    assert of(photos.labels) == [row[1] for row in ROWS]
    assert of(photos.groups["site"]) == [row[2] for row in ROWS]
    assert photos.columns["cluster"].tolist() == [row[3] for row in ROWS]
    assert [SPLITS[s] for s in photos.splits] == [row[4].replace("valid", "val") for row in ROWS]
    assert photos.read(3) == (folder / ROWS[3][0]).read_bytes()
    assert photos.evidence["clusters"] == "8 clusters, 8 of them in several splits"
    assert str(folder) not in repr((photos.name, dict(photos.evidence)))


def test_table__pictures_in_another_folder_and_ids_of_several_columns(folder, tmp_path_factory):
    rows = [(Path(row[0]).name, *row[1:], i % 2) for i, row in enumerate(ROWS)]
    file = write_csv(tmp_path_factory.mktemp("tables") / "meta.csv", (*COLUMNS, "view"), rows)
    photos = open_photos(f"table:{file}?image=path&root={folder}/images&id=patient,view&cluster=patient")
    assert photos.ids == tuple(f"{row[3]}-{row[5]}" for row in rows)
    assert photos.read(0) == (folder / ROWS[0][0]).read_bytes()
    assert photos.evidence["clusters"] == "8 clusters, 0 of them in several splits"
    absolute = [(str(folder / row[0]), *row[1:]) for row in ROWS]
    file = write_csv(folder / "absolute.csv", COLUMNS, absolute)
    assert open_photos(f"table:{file}?image=path").ids == tuple(row[0] for row in ROWS)


def test_table__a_missing_picture_is_a_failure_with_its_name(folder):
    file = write_csv(folder / "meta.csv", COLUMNS, [*ROWS, ("images/gone.png", "none", "A", "p9", "train")])
    photos = open_photos(f"table:{file}?{OPTIONS}")
    assert photos.ids[-1] == "images/gone.png"
    with pytest.raises(PhotoError, match="No such file"):
        photos.read(len(ROWS))


def test_table__without_pictures(folder):
    file = write_csv(folder / "meta.csv", COLUMNS, ROWS)
    photos = open_photos(f"table:{file}?id=path&label=finding&group=site&cluster=patient")
    assert not photos.has_pictures
    assert photos.evidence["splits"].endswith("clusters apart")
    with pytest.raises(PhotoError):
        photos.read(0)
    with pytest.raises(DataError, match=r"meta\.csv"):
        photos.require_pictures("a build")


@pytest.mark.parametrize(
    ("lines", "options", "error", "sentence"),
    [
        ("a,b\n1,2\n", "image=path", UsageError, "'path'"),
        ("a,b\n1,2\n", "id=a&group=c", UsageError, "unknown"),
        ("path,img,b\n1,2,3\n", "label=b", DataError, "image=img"),
        ("a,b\n1,2\n1,3\n", "id=a", DataError, "id=COLUMN"),
        ("a,b\n1,2\n,3\n", "id=a", DataError, "which"),
        ("a,b\n1,2\n3\n", "id=a", DataError, "columns"),
        ("a,a\n1,2\n", "id=a", DataError, "columns"),
        ("a,b\n", "id=a", DataError, "holds"),
        ("", "id=a", DataError, "holds"),
        ('a,b\n"1,2\n', "id=a", DataError, "not a CSV file"),
        ("p,b\nhttps://x.org/1.png,2\n", "image=p", DataError, "address"),
        ("p,b\n../../etc/passwd,2\n", "image=p", DataError, "root=PATH"),
        ("p,b\n/etc/passwd,2\n", "image=p", DataError, "pictures"),
        ("p,b\n,2\n", "image=p", DataError, "picture"),
        ("p,b\nx.png,2\ny.png,2\n", "image=p", DataError, "the first: x.png"),
        ("p,b\nmeta.csv,2\n./meta.csv,2\n", "image=p", DataError, "there"),
        ("a,b\n1,left\n2,right\n", "id=a&split=b", DataError, r"values 'left' \(1\), 'right' \(1\)"),
    ],
)
def test_table__what_is_wrong_is_one_sentence(tmp_path, lines, options, error, sentence):
    (tmp_path / "meta.csv").write_text(lines)
    with pytest.raises(error, match=sentence) as refusal:
        open_photos(f"table:{tmp_path / 'meta.csv'}?{options}")
    assert "\n" not in str(refusal.value)


def test_table__other_files(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"a\n\xff\n")
    (tmp_path / "x.txt").write_bytes(b"a\n\xff\xfe\xfd\n")
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    (tmp_path / "x.json").write_text("{}")
    images = pa.table({"image": pa.array([{"bytes": b"1", "path": "a"}])})
    pq.write_table(images, tmp_path / "images.parquet")
    for name, sentence in {
        "x.txt?id=a": "not UTF-8",
        "x.csv?id=b": "unknown id",
        "x.parquet?id=a": "not a Parquet file",
        "x.json?id=a": "holds no row",
        "x.mat?id=a": "x.mat",
        "no.csv?id=a": "cannot be read",
        "?id=a": "is a folder",
        "images.parquet?image=image": "is read by hub:FOLDER",
    }.items():
        with pytest.raises((DataError, UsageError), match=sentence):
            open_photos(f"table:{tmp_path}/{name}")


PATHOROB = [
    (subset, f"{subset}_{slide}", patch, label, centre)
    for subset in ("ID", "OOD")
    for label in ("normal", "tumor")
    for centre in ("RUMC", "UMCU")
    for slide in [f"{label}_{centre}_{i}" for i in range(3)]
    for patch in range(4)  # a number of a patch comes again on every slide
]


@pytest.mark.parametrize("place", ["data", "data/camelyon.csv"])
def test_pathorob__its_columns(tmp_path, place):
    (tmp_path / "data").mkdir()
    columns = ("subset", "slide_id", "patch_id", "biological_class", "medical_center")
    write_csv(tmp_path / "data" / "camelyon.csv", columns, PATHOROB)
    photos = open_photos(f"pathorob:{tmp_path / place}?group=subset")
    assert photos.name == "pathorob:camelyon"
    assert photos.ids == tuple(f"{row[1]}-{row[2]}" for row in PATHOROB)
    assert of(photos.labels) == [row[3] for row in PATHOROB]
    assert of(photos.groups["medical_center"]) == [row[4] for row in PATHOROB]
    assert of(photos.groups["subset"]) == [row[0] for row in PATHOROB]
    assert photos.columns["cluster"].tolist() == [row[1] for row in PATHOROB]
    assert photos.evidence["clusters"] == "24 clusters, 0 of them in several splits"


def test_pathorob__a_folder_of_several_tables_is_refused(tmp_path):
    for name in ("camelyon", "tcga_4x4"):
        write_csv(tmp_path / f"{name}.csv", ("a",), [("1",)])
    with pytest.raises(DataError, match=r"camelyon\.csv"):
        open_photos(f"pathorob:{tmp_path}")


def camelyon17(root: Path) -> dict[str, tuple]:
    """What WILDS says of each path: label, groups, cluster, official split."""
    rows, facts = [], {}
    for i in range(40):
        centre, slide, tumor = i % 5, i % 10, i // 20
        row = {"patient": f"{slide:03}", "node": 1, "x_coord": i, "y_coord": 7, "tumor": tumor, "slide": slide}
        rows.append(("", *row.values(), centre, int(i % 4 == 0)))
        path = f"patches/patient_{slide:03}_node_1/patch_patient_{slide:03}_node_1_x_{i}_y_7.png"
        split = {1: "val", 2: "test"}.get(centre, "id_val" if i % 4 == 0 else "train")
        facts[path] = ("tumor" if tumor else "normal", {"hospital": str(centre)}, str(slide), split)
    columns = ("", "patient", "node", "x_coord", "y_coord", "tumor", "slide", "center", "split")
    write_csv(root / "metadata.csv", columns, rows)
    return facts


def iwildcam(root: Path) -> dict[str, tuple]:
    rows, facts = [], {}
    for i, split in enumerate(("train", "val", "test", "id_val", "id_test") * 6):
        rows.append((split, i % 7, i % 9, "2013-06-05 05:44:19.000", i % 3, f"{i}.jpg"))
        facts[f"train/{i}.jpg"] = (("empty", "lion", "2")[i % 3], {"location": str(i % 7)}, str(i % 9), split)
    columns = ("split", "location_remapped", "sequence_remapped", "datetime", "y", "filename")
    write_csv(root / "metadata.csv", columns, rows)
    write_csv(root / "categories.csv", ("y", "name"), [(0, "empty"), (1, "lion")])
    return facts


def fmow(root: Path) -> dict[str, tuple]:
    rows, facts = [], {}
    for i, split in enumerate(("train", "val", "test", "seq") * 9):
        year = 2005 + i % 13
        rows.append((split, f"{year}-01-0{1 + i % 9}T03:00:00Z", ("FRA", "KEN", "XXX")[i % 3], ("barn", "dam")[i % 2]))
        official = {
            "train": "train" if year < 2013 else "",
            "val": "id_val" if year < 2013 else "val" if year < 2016 else "",
            "test": "id_test" if year < 2013 else "test" if year >= 2016 else "",
        }.get(split, "")
        groups = {"region": ("Europe", "Africa", "Other")[i % 3], "capture_year": str(year)}
        facts[f"images/rgb_img_{i}.png"] = (("barn", "dam")[i % 2], groups, None, official)
    write_csv(root / "rgb_metadata.csv", ("split", "timestamp", "country_code", "category"), rows)
    regions = [("FRA", "Europe"), ("KEN", "Africa")]
    write_csv(root / "country_code_mapping.csv", ("alpha-3", "region"), regions)
    return facts


def rxrx1(root: Path) -> dict[str, tuple]:
    rows, facts = [], {}
    for i in range(48):
        split = ("train", "val", "test")[i % 3]
        experiment, plate, well, site, sirna = f"HEPG2-{i % 6:02}", 1 + i % 2, f"B{i // 6:02}", 1 + i // 24, i % 4
        rows.append((experiment, plate, well, site, "HEPG2", split, sirna))
        official = "id_test" if split == "train" and site == 2 else split
        path = f"images/{experiment}/Plate{plate}/{well}_s{site}.png"
        facts[path] = (str(sirna), {"experiment": experiment}, f"{experiment}/{plate}/{well}", official)
    columns = ("experiment", "plate", "well", "site", "cell_type", "dataset", "sirna_id")
    write_csv(root / "metadata.csv", columns, rows)
    return facts


@pytest.mark.parametrize("make", [camelyon17, iwildcam, fmow, rxrx1])
def test_wilds__labels_groups_clusters_and_official_splits(tmp_path, make):
    name = make.__name__
    root = tmp_path / f"{name}_v{'1.1' if name == 'fmow' else '2.0'}"
    root.mkdir()
    facts = make(root)
    write_layout(root, *facts)
    photos = open_photos(f"wilds:{name}?root={tmp_path}")
    official = {path: fact for path, fact in facts.items() if fact[3] in SPLITS}
    assert photos.ids == tuple(official)
    assert photos.name == f"wilds:{name}"
    assert of(photos.labels) == [fact[0] for fact in official.values()]
    assert {g: of(labels) for g, labels in photos.groups.items()} == {
        g: [fact[1][g] for fact in official.values()] for g in photos.groups
    }
    assert set(photos.groups) == set(next(iter(facts.values()))[1])
    if "cluster" in photos.columns:
        assert photos.columns["cluster"].tolist() == [fact[2] for fact in official.values()]
    assert [SPLITS[s] for s in photos.splits] == [fact[3] for fact in official.values()]
    assert photos.evidence["left out"].startswith(f"{len(facts) - len(official)} photos of ")
    assert photos.read(0) == (root / photos.ids[0]).read_bytes()
    drawn = open_photos(f"wilds:{name}?root={root}&val-share=0.3&group=more=folder:1")
    assert set(drawn.ids) == (set(facts) if name != "fmow" else {p for i, p in enumerate(facts) if i % 4 != 3})
    assert of(drawn.groups["more"]) == [path.split("/")[0] for path in drawn.ids]
    if "cluster" in drawn.columns:
        sides = set(zip(drawn.columns["cluster"], drawn.splits.tolist(), strict=True))
        assert max(Counter(cluster for cluster, _ in sides).values()) == 1
    assert open_photos(f"folder:{root}").ids == open_photos(f"wilds:{name}?root={root}").ids


def test_wilds__what_is_wrong_is_one_sentence(tmp_path):
    (tmp_path / "rxrx1_v1.0").mkdir()
    write_csv(tmp_path / "rxrx1_v1.0" / "metadata.csv", ("well",), [("B02",)])
    for spec, sentence in {
        "wilds:camelyon": r"unknown data set of WILDS 'camelyon': did you mean 'camelyon17'",
        "wilds:camelyon17": r"write wilds:camelyon17\?root=PATH",
        f"wilds:fmow?root={tmp_path}": "holds neither rgb_metadata.csv nor a folder fmow_vVERSION",
        f"wilds:rxrx1?root={tmp_path}": "it has no column experiment, as version 2.0 of rxrx1 has",
        f"wilds:fmow?root={tmp_path}/no": "no such folder",
    }.items():
        with pytest.raises((DataError, UsageError), match=sentence):
            open_photos(spec)


def test_folder__with_a_table_is_read_by_it_if_it_names_every_picture(tmp_path, capsys):
    write_layout(tmp_path / "set", "{0..4}.png")
    rows = [(f"{i}.png", "ab"[i % 2]) for i in range(5)]
    write_csv(tmp_path / "set" / "labels.csv", ("file", "class"), rows)
    assert of(open_photos(f"folder:{tmp_path / 'set'}").labels) == ["a", "b", "a", "b", "a"]
    assert "labels.csv?image=file&label=class" in capsys.readouterr().err
    write_csv(tmp_path / "set" / "labels.csv", ("file", "class"), rows[:4])
    with pytest.raises(DataError, match=r"labels.csv\?image=file&label=class"):
        open_photos(f"folder:{tmp_path / 'set'}")


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # datasets leaves files open until they are collected
def test_folder__of_imagefolder_with_metadata_is_read_as_the_hub_does(tmp_path):
    write_layout(tmp_path / "set", "{train,test}/{0..3}.png")
    for split in ("train", "test"):
        rows = [(f"{i}.png", "ab"[i % 2]) for i in range(4)]
        write_csv(tmp_path / "set" / split / "metadata.csv", ("file_name", "label"), rows)
    assert sorted(of(open_photos(f"folder:{tmp_path / 'set'}").labels)) == ["a"] * 4 + ["b"] * 4
    gc.collect()
