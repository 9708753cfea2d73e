"""Camera sets as whole photo sets: every column, group, attribute, split and fact of small ones, by hand."""

from __future__ import annotations

import dataclasses

import pytest

from builders.data_specs import open_photos
from builders.errors import DataError, UsageError
from builders.photos import ColumnSources, MemorySource, PhotoSet, hash64
from builders.sources.cameras.kinds import terms_of
from builders.sources.cameras.layouts import SLIDE, Capture
from builders.sources.cameras.sets import CameraSet, photos_of_set
from tests.support.layouts import write_layout


def texts(labels):
    return [labels.names[value] if value >= 0 else "" for value in labels.values]


def seeded(units, seed, share):
    """The units that are val where each class has one split of its own: those of the lowest hashes."""
    order = sorted(units, key=lambda unit: hash64(f"split\0{seed}\0{unit}"))
    return set(order[: min(max(round(len(units) * share), 1), len(units) - 1)])


def capture(scene, device, **more):
    return Capture(f"{scene}/{device}.jpg", scene, device, **more)


CAPTURES = (
    capture("s1", "D2", unit="1", make="B", model="B x", platform="original", label="cat",
            settings={"iso": "200", "exposure": "1/8"}, groups={"light": "l10", SLIDE: "g1"}),
    capture("s1", "D1", unit="", make="A", model="A y", platform="original", label="cat",
            settings={"iso": "100"}, groups={"light": "l2", SLIDE: "g1"}),
    capture("s2", "D1", unit="", make="A", model="A y", platform="", label="", groups={SLIDE: "g2"}),
    capture("s3", "D2", unit="1", make="B", model="B x", platform="original", label="dog",
            settings={"exposure": "1/125"}, groups={"light": "l2", SLIDE: "g3"}),
)  # fmt: skip


def camera_set(captures=CAPTURES, **more):
    source = MemorySource(tuple(c.id.encode() for c in captures))
    stated = {"kind": "fodb", "name": "mine", "evidence": {"design": "d"}, **more}
    return CameraSet(captures=tuple(captures), source=source, **stated)


def opened(made, *, cluster="", columns=None, scenes=None, seed=0, val_share=0.25) -> PhotoSet:
    sources = columns or ColumnSources()
    return photos_of_set(made, cluster=cluster, columns=sources, scenes=scenes, seed=seed, val_share=val_share)


@pytest.mark.parametrize("seed", [0, 4])
def test_set__everything_of_four_photos(seed):
    photos = opened(camera_set(), seed=seed, val_share=0.4)
    assert (photos.name, photos.ids) == ("fodb:mine", tuple(c.id for c in CAPTURES))
    assert (photos.labels.names, texts(photos.labels)) == (("cat", "dog"), ["cat", "cat", "", "dog"])
    assert {name: texts(group) for name, group in photos.groups.items()} == {
        "device": ["D2", "D1", "D1", "D2"], "light": ["l10", "l2", "", "l2"],
    }  # fmt: skip
    assert photos.groups["light"].names == ("l10", "l2")
    assert {name: texts(attribute) for name, attribute in photos.attributes.items()} == {
        "make": ["B", "A", "A", "B"], "model": ["B x", "A y", "A y", "B x"], "iso": ["200", "100", "", ""],
        "exposure": ["1/8", "", "", "1/125"],
    }  # fmt: skip
    assert (photos.attributes["iso"].names, photos.attributes["exposure"].names) == (("100", "200"), ("1/125", "1/8"))
    assert {name: column.tolist() for name, column in photos.columns.items()} == {
        "scene": ["s1", "s1", "s2", "s3"], "device": ["D2", "D1", "D1", "D2"], "unit": ["1", "", "", "1"],
        "platform": ["original", "original", "", "original"], "slide": ["g1", "g1", "g2", "g3"],
    }  # fmt: skip
    # each class has one scene, so scenes are drawn without their classes
    val = seeded(("s1", "s2", "s3"), seed, 0.4)
    assert photos.splits.tolist() == [int(c.scene in val) for c in CAPTURES]
    assert dict(photos.evidence) == {
        "design": "d", "splits": f"seeded split of scenes, seed {seed}, 0.4 for val", "terms": terms_of("fodb"),
    }  # fmt: skip
    assert (photos.drawn_splits, photos.rows.tolist(), photos.read(2)) == (True, [0, 1, 2, 3], b"s2/D1.jpg")


def test_set__classes_of_several_scenes_are_divided_each():
    captures = [capture(f"{kind}{i}", "D1", label=kind) for kind in ("cat", "dog") for i in range(4)]
    photos = opened(camera_set(captures), seed=2, val_share=0.5)
    val = seeded([f"cat{i}" for i in range(4)], 2, 0.5) | seeded([f"dog{i}" for i in range(4)], 2, 0.5)
    assert photos.splits.tolist() == [int(c.scene in val) for c in captures]
    assert (dict(photos.groups), dict(photos.attributes)) == ({}, {})


def test_set__clusters_and_simulated_ones():
    photos = opened(camera_set(evidence={"simulated": "by"}, kind="scorpion"), cluster=SLIDE, seed=1)
    assert photos.name == "scorpion:simulated-mine"
    assert photos.columns["cluster"].tolist() == ["g1", "g1", "g2", "g3"]
    val = seeded(("g1", "g2", "g3"), 1, 0.25)
    assert photos.splits.tolist() == [int(c.groups[SLIDE] in val) for c in CAPTURES]
    assert photos.evidence["terms"] == terms_of("scorpion", simulated=True)
    named = camera_set(evidence={"simulated": "by"}, name="simulated-set")
    assert opened(named).name == "fodb:simulated-set"


def test_set__without_scenes_or_with_one():
    captures = [dataclasses.replace(c, scene="", id=f"{i}") for i, c in enumerate(CAPTURES * 2)]
    photos = opened(camera_set(captures), seed=3)
    assert photos.evidence["splits"] == "seeded, seed 3: the set names no scenes"
    assert "scene" not in photos.columns
    val = seeded(["0", "1", "4", "5"], 3, 0.25) | seeded(["2", "6"], 3, 0.25) | seeded(["3", "7"], 3, 0.25)
    assert {photos.ids[i] for i in photos.indices("val")} == val
    with pytest.raises(UsageError):
        opened(camera_set(captures), scenes=2)
    with pytest.raises(DataError):
        opened(camera_set(CAPTURES[:2]))


def test_set__columns_that_the_user_names_and_scenes():
    photos = opened(camera_set(), columns=ColumnSources.of(label="folder:1", group=("body=re:(D.)",)), seed=1)
    assert (texts(photos.labels), texts(photos.groups["body"])) == (["s1", "s1", "s2", "s3"], ["D2", "D1", "D1", "D2"])
    assert (photos.evidence["label="], photos.evidence["group=body="]) == ("folder:1", "re:(D.)")
    two = opened(camera_set(), scenes=2, seed=1)
    assert len({*two.columns["scene"].tolist()}) == 2
    assert len(set(two.splits.tolist())) == 2


def test_fodb__a_folder_whole(tmp_path):
    for number, name in ((1, "Motorola_E3_1"), (2, "Sony_Z1_1")):
        for kind in ("orig", "facebook"):
            write_layout(tmp_path / "fodb", f"D0{number}_{name}/{kind}/D0{number}_img_{kind}_000{{1,2}}.jpg")
    (tmp_path / "fodb" / "D02_Sony_Z1_1" / "facebook" / "D02_img_facebook_0002.jpg").unlink()
    for name in ("README.md", "notes.txt", ".DS_Store", "D01_Motorola_E3_1/orig/D01_img_orig_0003.nef"):
        (tmp_path / "fodb" / name).write_bytes(b"x")
    photos = open_photos(f"fodb:{tmp_path}/fodb")
    folders = "D01_Motorola_E3_1", "D02_Sony_Z1_1"
    ids = [f"{folder}/{kind}/{folder[:3]}_img_{kind}_{scene}.jpg" for folder in folders
           for kind in ("facebook", "orig") for scene in ("0001", "0002")]  # fmt: skip
    assert photos.ids == tuple(i for i in ids if i != ids[5])
    assert {name: column.tolist() for name, column in photos.columns.items()} == {
        "scene": ["0001", "0002", "0001", "0002", "0001", "0001", "0002"],
        "device": ["D01 Motorola_E3_1"] * 4 + ["D02 Sony_Z1_1"] * 3, "unit": ["1"] * 7,
        "platform": ["facebook"] * 2 + ["original"] * 2 + ["facebook"] + ["original"] * 2,
    }  # fmt: skip
    assert {name: texts(a) for name, a in photos.attributes.items()} == {
        "make": ["Motorola"] * 4 + ["Sony"] * 3, "model": ["Motorola E3"] * 4 + ["Sony Z1"] * 3,
    }  # fmt: skip
    assert photos.evidence["design"] == "2 scenes, 2 devices x 2 platforms: 7 photos"
    assert photos.evidence["missing"] == (
        "25 of 27 devices (D03, D04, D05, D06, ... (25)); 141 of 143 scenes; 1 of the 8 photos of these scenes (the "
        "first: D02 Sony_Z1_1, facebook, scene 0002)"
    )
    assert photos.evidence["left out"] == (
        "files of macOS or Windows, or hidden ones: 1 (the first: .DS_Store); other files: 1 (the first: notes.txt); "
        "raw files, which are not developed here: convert them to TIFF: 1 (the first: "
        "D01_Motorola_E3_1/orig/D01_img_orig_0003.nef)"
    )
    assert photos.name == "fodb:fodb"
    inner = open_photos(f"fodb:{tmp_path}/fodb/D01_Motorola_E3_1")
    assert inner.columns["device"].tolist() == ["D01 Motorola_E3_1"] * 4


def test_dresden__a_table_whole(tmp_path):
    rows = [
        "Filename,Brand,Model,Instance,PositionNum,MotiveNum,Extra", "b.JPG,Nikon,D200,0,2,1,x",
        "a.JPG,Canon,A640,1,1,1,y", "c.JPG,Canon,A640,1,2,1,", "gone.JPG,Canon,A640,1,2,1,x",
        "flat.JPG,Canon,A640,1,,,x",
        "B.jpg,Nikon,D200,0,9,9,x", ",Nikon,D200,0,9,9,x",
    ]  # fmt: skip
    (tmp_path / "set" / "deep").mkdir(parents=True)
    (tmp_path / "set" / "t.csv").write_text("\n".join(rows) + "\n")
    for name in ("a.jpg", "deep/b.JPG", "c.jpg", "flat.jpg", "more.jpg", "notes.txt", "deep/a.JPG"):
        (tmp_path / "set" / name).write_bytes(name.encode())
    photos = open_photos(f"dresden:{tmp_path}/set?group=extra=Extra")
    assert (photos.name, photos.ids) == ("dresden:set", ("a.JPG", "b.JPG", "c.JPG"))
    assert [photos.read(i) for i in range(3)] == [b"a.jpg", b"deep/b.JPG", b"c.jpg"]
    assert {name: column.tolist() for name, column in photos.columns.items()} == {
        "scene": ["1-1", "2-1", "2-1"], "device": ["Canon A640 1", "Nikon D200 0", "Canon A640 1"],
        "unit": ["1", "0", "1"],
    }  # fmt: skip
    assert {name: texts(a) for name, a in photos.attributes.items()} == {
        "make": ["Canon", "Nikon", "Canon"], "model": ["Canon A640", "Nikon D200", "Canon A640"],
    }  # fmt: skip
    assert {name: texts(group) for name, group in photos.groups.items()} == {
        "device": ["Canon A640 1", "Nikon D200 0", "Canon A640 1"], "extra": ["y", "x", ""],
    }  # fmt: skip
    assert photos.evidence["design"] == "2 scenes, 2 devices: 3 photos"
    assert photos.evidence["missing"] == "1 photos of the table (the first: gone.JPG)"
    assert photos.evidence["left out"] == (
        "rows whose file an earlier row names, or none: 2 (the first: B.jpg); photos that are there twice: 1 (the "
        "first: "
        "deep/a.JPG); other files: 1 (the first: notes.txt); rows without position and motive, which show no scene "
        "(flat "
        "and dark fields): 1 (the first: flat.JPG); photos that no row of the table names: 1 (the first: more.jpg)"
    )
    assert photos.evidence["terms"] == terms_of("dresden")
