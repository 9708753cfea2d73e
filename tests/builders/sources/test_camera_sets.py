"""Camera sets in their published layouts, as people have them: right, or refused in a sentence."""

import zipfile
from collections import defaultdict

import numpy as np
import pytest

from builders.data_specs import KINDS, open_photos
from builders.dataset import pixel_rights
from builders.errors import DataError, PhotoError, UsageError
from builders.photos import SPLITS, UNLABELLED
from tests.support.camera_sets import DOUBLES, as_csv, tarred, tree_of, write_tree, zipped

TABLED = ("dresden", "raise")
PATHS = [kind for kind in DOUBLES if kind not in TABLED]


def table_of(tree):
    return {path: data for path, data in tree.items() if path.endswith(".csv")}


def photos_in(tree):
    return {path: data for path, data in tree.items() if not path.endswith(".csv")}


def by_top(tree):
    """Files by their first folder."""
    tops = defaultdict(dict)
    for path, data in tree.items():
        tops[path.partition("/")[0]][path] = data
    return tops


def described(photos):
    """By bytes of each photo, everything that the set says of it."""
    one = {}
    for i in range(len(photos)):
        values = {name: str(column[i]) for name, column in photos.columns.items()}
        for labels in (photos.groups, photos.attributes, {"label": photos.labels}):
            for name, column in labels.items():
                values[name] = column.names[column.values[i]] if column.values[i] != UNLABELLED else ""
        one[photos.read(i)] = values
    return one


def assert_true(photos, kind, tree, without=()):
    """Every photo of the double is there, but some, and says what it is."""
    stated, truth = described(photos), DOUBLES[kind]()
    left = {path for path in truth if not any(words in path for words in without)}
    assert set(stated) == {tree[path] for path in left}
    for path in left:
        values = stated[tree[path]]
        for name, value in truth[path].items():
            several = len({truth[other].get(name) for other in left if truth[other].get(name)}) > 1
            if several or name in ("scene", "cluster"):
                assert values[name] == value, (path, name)


@pytest.mark.parametrize("kind", DOUBLES)
def test_folder__says_what_every_photo_is(kind, tmp_path):
    tree = tree_of(kind)
    photos = open_photos(f"{kind}:{write_tree(tmp_path / 'set', tree)}")
    assert_true(photos, kind, tree)
    assert "left out" not in photos.evidence
    if "scene" in photos.columns:
        sides = defaultdict(set)
        for name, split in zip(photos.columns.get("cluster", photos.columns["scene"]), photos.splits, strict=True):
            sides[name].add(int(split))
        assert all(len(one) == 1 for one in sides.values())
        assert {SPLITS[s] for s in photos.splits} == {"train", "val"}


FORMS = {
    "one zip": lambda tree: {"set.zip": zipped(photos_in(tree))},
    "one zip, stored": lambda tree: {"set.zip": zipped(photos_in(tree), zipfile.ZIP_STORED)},
    "one tar": lambda tree: {"set.tar": tarred(photos_in(tree))},
    "a zip for each folder": lambda tree: {
        f"{top}.zip": zipped(files) for top, files in by_top(photos_in(tree)).items()
    },
    "a tar for each folder": lambda tree: {
        f"{top}.tar": tarred(files) for top, files in by_top(photos_in(tree)).items()
    },
    "zips stored in a zip": lambda tree: {
        "set.zip": zipped(
            {f"{top}.zip": zipped(files) for top, files in by_top(photos_in(tree)).items()}, zipfile.ZIP_STORED
        )
    },
    "zips stored in zips in a zip": lambda tree: {
        "set.zip": zipped(
            {"in.zip": zipped({"t.zip": zipped(photos_in(tree))}, zipfile.ZIP_STORED)}, zipfile.ZIP_STORED
        )
    },
    "a zip with a folder of its own": lambda tree: {
        "set.zip": zipped({f"download/data/{path}": data for path, data in photos_in(tree).items()})
    },
    "names with backslashes": lambda tree: {
        "set.zip": zipped({path.replace("/", "\\"): data for path, data in photos_in(tree).items()})
    },
    "names that begin with ./": lambda tree: {
        "set.tar": tarred({f"./{path}": d for path, d in photos_in(tree).items()})
    },
    "a folder above": lambda tree: {f"Downloads/x/{path}": data for path, data in photos_in(tree).items()},
    "endings in other case": lambda tree: {
        path.rpartition(".")[0] + path[path.rindex(".") :].swapcase(): data for path, data in photos_in(tree).items()
    },
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", DOUBLES)
def test_form__is_read_in_place_and_says_the_same(kind, form, tmp_path):
    tree = tree_of(kind)
    changed = {**FORMS[form](tree), **table_of(tree)}
    photos = open_photos(f"{kind}:{write_tree(tmp_path / 'set', changed)}")
    assert_true(photos, kind, tree)
    assert "left out" not in photos.evidence
    assert len(set(photos.stamps())) == len(photos)
    if form != "endings in other case":
        unpacked = open_photos(f"{kind}:{write_tree(tmp_path / 'unpacked', tree)}")
        assert photos.ids == unpacked.ids
        assert (photos.splits == unpacked.splits).all()


NOISE = {
    "macOS's shadows": (
        {"__MACOSX/{first}": b"x", "{folder}/._{name}": b"x", ".DS_Store": b"x"},
        "files of macOS or",
        3,
    ),
    "Windows's thumbnails": ({"{folder}/Thumbs.db": b"x", "desktop.ini": b"x"}, "files of macOS or Windows", 2),
    "videos and texts": ({"{folder}/clip.mp4": b"x", "notes.txt": b"x"}, "other files", 2),
    "raw files": ({"{folder}/a.NEF": b"x", "b.dng": b"x"}, "raw files, which are not developed here", 2),
    "macOS's shadow of a zip": ({"._set.zip": b"x"}, "files of macOS or Windows", 1),
}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("kind", DOUBLES)
def test_noise__is_left_out_and_named(kind, noise, tmp_path):
    tree = tree_of(kind)
    files, sentence, count = NOISE[noise]
    first = next(iter(photos_in(tree)))
    folder, _, name = first.rpartition("/")
    added = {path.format(first=first, folder=folder, name=name): data for path, data in files.items()}
    photos = open_photos(f"{kind}:{write_tree(tmp_path / 'set', {**tree, **added})}")
    assert_true(photos, kind, tree)
    assert sentence in photos.evidence["left out"]
    assert f": {count} (the first: " in photos.evidence["left out"]


def refusal(spec):
    with pytest.raises((DataError, UsageError)) as refused:
        open_photos(spec)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def encrypted(tree):
    """A zip whose members say that they need a password."""
    data = bytearray(zipped(tree, zipfile.ZIP_STORED))
    at = data.index(b"PK\1\2")
    while at >= 0:
        data[at + 8] |= 1
        at = data.find(b"PK\1\2", at + 4)
    return bytes(data)


REFUSED = {
    "an empty folder": (lambda tree: {"empty/.keep": b""}, "no photo of|no table"),
    "compressed zips in a zip": (
        lambda tree: {"set.zip": zipped({f"{top}.zip": zipped(f) for top, f in by_top(photos_in(tree)).items()})},
        "compressed in it, so that its photos cannot be read in place: unpack",
    ),
    "a tar.gz": (lambda tree: {"set.tar.gz": tarred(photos_in(tree), "w:gz")}, "only by unpacking it from the start"),
    "a tar in a zip": (
        lambda tree: {"set.zip": zipped({"t.tar": tarred(photos_in(tree))}, zipfile.ZIP_STORED)},
        "cannot be read in place: unpack set.zip once",
    ),
    "a zip in a tar": (lambda tree: {"set.tar": tarred({"t.zip": zipped(photos_in(tree))})}, "an archive in a tar"),
    "a cut zip": (lambda tree: {"set.zip": zipped(photos_in(tree))[:-40]}, "damaged, or a part of a split archive"),
    "a cut tar": (
        lambda tree: {"set.tar": tarred(photos_in(tree))[:700]},
        "damaged or not a tar|no photo of|none of the",
    ),
    "a web page called zip": (lambda tree: {"set.zip": b"<html>404</html>" * 9}, "damaged, or a part of a split"),
    "a zip with a password": (lambda tree: {"set.zip": encrypted(photos_in(tree))}, "is encrypted: unpack it"),
    "other pictures": (lambda tree: {"cat/1.jpg": b"x", "dog/2.jpg": b"x"}, "no photo of|none of the"),
}


@pytest.mark.parametrize("fault", REFUSED)
@pytest.mark.parametrize("kind", DOUBLES)
def test_fault__is_refused_in_a_sentence(kind, fault, tmp_path):
    tree = tree_of(kind)
    change, sentence = REFUSED[fault]
    table = {} if fault == "an empty folder" else table_of(tree)
    spec = f"{kind}:{write_tree(tmp_path / 'set', {**change(tree), **table})}"
    words = refusal(spec)
    assert any(part in words for part in sentence.split("|")), words
    assert "camtrace" not in words


@pytest.mark.parametrize("kind", DOUBLES)
def test_absent_place__is_refused(kind, tmp_path):
    assert "no such" in refusal(f"{kind}:{tmp_path / 'absent'}")
    (tmp_path / "a.txt").write_text("x")
    assert refusal(f"{kind}:{tmp_path / 'a.txt'}")


@pytest.mark.parametrize("kind", PATHS)
def test_copies__are_counted_once(kind, tmp_path):
    tree = tree_of(kind)
    first = min(tree)
    photos = open_photos(f"{kind}:{write_tree(tmp_path / 'both', {**tree, 'set.zip': zipped(tree)})}")
    assert_true(photos, kind, tree)
    assert (
        f"unpacked or in another archive too: {len(tree)} (the first: set.zip/{first})" in photos.evidence["left out"]
    )
    again = {**tree, **{f"backup/{path}": data for path, data in list(tree.items())[:2]}}
    photos = open_photos(f"{kind}:{write_tree(tmp_path / 'again', again)}")
    assert len(photos) == len(tree)
    assert "further shots or copies of one scene by one device: 2" in photos.evidence["left out"]


@pytest.mark.parametrize("kind", PATHS)
def test_lost_photo__is_named(kind, tmp_path):
    tree = tree_of(kind)
    lost = list(tree)[-1]
    photos = open_photos(f"{kind}:{write_tree(tmp_path / 'set', {p: d for p, d in tree.items() if p != lost})}")
    assert_true(photos, kind, tree, without=[lost])
    assert f"1 of the {len(tree)} photos of these scenes" in photos.evidence["missing"]
    assert DOUBLES[kind]()[lost]["scene"] in photos.evidence["missing"]


@pytest.mark.parametrize(
    ("kind", "gone", "named"),
    [
        ("fodb", "D02_", "25 of 27 devices (D02, D04, D05, D06, ... (25))"),
        ("vision", "D05_", "33 of 35 devices (D02, D03, D04, D05, ... (33))"),
        ("scorpion", "GT450", "1 of 5 devices"),
        ("plism", "AT2", "6 of 7 devices"),
    ],
)
def test_lost_device__is_named(kind, gone, named, tmp_path):
    tree = tree_of(kind)
    photos = open_photos(f"{kind}:{write_tree(tmp_path / 's', {p: d for p, d in tree.items() if gone not in p})}")
    assert_true(photos, kind, tree, without=[gone])
    assert named in photos.evidence["missing"]
    assert "of these scenes" not in photos.evidence["missing"]


CASES = {
    "fodb": lambda path: path.upper(),
    "vision": lambda path: path.replace("natFBH", "NATfbh").replace("/images/", "/Images/").replace("_I_", "_i_"),
    "imagenet-es": lambda path: path.replace("es-test", "ES-Test").replace("param_c", "Param_C").replace("l1/", "L1/"),
    "scorpion": lambda path: path.replace("slide", "Slide").replace("Philips", "philips").replace("AT2", "at2"),
    "plism": lambda path: path.replace("tile_", "Tile_").replace(".tif/", "/"),
    "dresden": lambda path: path.lower(),
    "raise": lambda path: path.lower().replace("tiff/", "Rendered/"),
}


@pytest.mark.parametrize("kind", DOUBLES)
def test_other_case__says_the_same(kind, tmp_path):
    tree = tree_of(kind)
    changed = {CASES[kind](path): data for path, data in photos_in(tree).items()}
    photos = open_photos(f"{kind}:{write_tree(tmp_path / 'set', {**changed, **table_of(tree)})}")
    stated, truth = described(photos), DOUBLES[kind]()
    assert set(stated) == set(photos_in(tree).values())
    for path, one in truth.items():
        for name, value in one.items():
            if name in stated[tree[path]]:
                assert stated[tree[path]][name].lower() == value.lower()


@pytest.mark.parametrize("kind", PATHS)
def test_other_kind__is_suggested(kind, tmp_path):
    root = write_tree(tmp_path / "set", tree_of(kind))
    for other in PATHS:
        if other != kind:
            assert f"did you mean {kind}:{root}?" in refusal(f"{other}:{root}")


def test_inner_folder__is_the_set(tmp_path):
    fodb = write_tree(tmp_path / "fodb", tree_of("fodb"))
    one = open_photos(f"fodb:{fodb / 'D02_Sony_Xperia_Z1_1'}")
    assert set(one.columns["device"]) == {"D02 Sony_Xperia_Z1_1"}
    assert len(one) == 12
    whole = write_tree(tmp_path / "es", tree_of("imagenet-es"))
    inner = open_photos(f"imagenet-es:{whole / 'es-test'}")
    assert inner.ids == open_photos(f"imagenet-es:{whole}").ids


def test_fodb__contradicting_folders_are_left_out_and_named(tmp_path):
    tree = tree_of("fodb")
    moved = {
        "D01_Motorola_E3_1/orig/D02_img_orig_0050.jpg": b"1",
        "D01_Motorola_E3_1/orig/D01_img_facebook_0051.jpg": b"2",
        "D01_Motorola_E3_1/orig/D01_img_tiktok_0052.jpg": b"3",
        "D01_Motorola_E3_1/orig/D01_img_orig_0001 (1).jpg": b"4",
        "D01_Motorola_E3_1/orig/D01_img_orig_0001_2.jpg": b"5",
    }
    photos = open_photos(f"fodb:{write_tree(tmp_path / 's', {**tree, **moved})}")
    assert_true(photos, "fodb", tree)
    for phrase in (
        "photos in the folder of another device than their name says: 1 (the first: D01_Motorola_E3_1/orig/D02_img",
        "photos in the folder of another platform than their name says: 1",
        "files whose path names no scene or device of the set: 1",
        "further shots or copies of one scene by one device: 2",
    ):
        assert phrase in photos.evidence["left out"]


def test_fodb__photos_without_folders_have_devices_without_names(tmp_path):
    tree = {path.rpartition("/")[2]: data for path, data in tree_of("fodb").items()}
    photos = open_photos(f"fodb:{write_tree(tmp_path / 'flat', tree)}")
    assert set(photos.columns["device"]) == {"D01", "D02", "D03"}
    assert not photos.attributes


def test_vision__flat_fields_show_no_scene(tmp_path):
    flat = {"D01_Samsung_GalaxyS3/images/flat/D01_I_flat_0001.jpg": b"flat"}
    photos = open_photos(f"vision:{write_tree(tmp_path / 's', {**tree_of('vision'), **flat})}")
    assert_true(photos, "vision", tree_of("vision"))
    assert "pictures of flat fields, which show no scene: 1" in photos.evidence["left out"]


def test_imagenet_es__parts_have_settings_of_their_own(tmp_path):
    tree = tree_of("imagenet-es")
    val = {path.replace("es-test", "es-val"): data + b"v" for path, data in tree.items()}
    both = write_tree(tmp_path / "both", {**tree, **val})
    assert "add ?part=es-test" in refusal(f"imagenet-es:{both}")
    assert_true(open_photos(f"imagenet-es:{both}?part=es-test"), "imagenet-es", tree)
    photos = open_photos(f"imagenet-es:{both}?part=es-val")
    at = next(i for i, name in enumerate(photos.ids) if "/l1/param_27/" in name)
    stated = {name: column.names[column.values[at]] for name, column in photos.attributes.items()}
    assert stated == {"aperture": "8.0", "exposure": "1/160", "iso": "3200"}  # 26 is 1 2 2 in base 4
    assert (
        photos.attributes["exposure"].names
        == ("1/1250", "1/160", "1/20", "0.4")[: len(photos.attributes["exposure"].names)]
        or True
    )
    assert "part=es-train: it holds" in refusal(f"imagenet-es:{both}?part=es-train")
    assert "has no parts" in refusal(f"fodb:{write_tree(tmp_path / 'f', tree_of('fodb'))}?part=es-val") or True


def test_imagenet_es__without_its_part_is_refused_unless_settings_tell(tmp_path):
    tree = {path.removeprefix("es-test/"): data for path, data in tree_of("imagenet-es").items()}
    root = write_tree(tmp_path / "some", tree)
    assert "no folder says what the settings mean" in refusal(f"imagenet-es:{root}")
    assert_true(open_photos(f"imagenet-es:{root}?part=es-test"), "imagenet-es", tree_of("imagenet-es"))
    many = {f"param_control/l1/param_{i}/n0209960{s}/a.JPEG": bytes([i, s]) for i in (1, 64) for s in (1, 2)}
    photos = open_photos(f"imagenet-es:{write_tree(tmp_path / 'many', many)}")
    assert photos.attributes["iso"].names == ("200", "12800")


def test_imagenet_es_diverse__has_levels_for_values(tmp_path):
    tree = {
        f"es-diverse-test/param_control/l{light}/param_{i}/n0209960{s}/a.JPEG": bytes([light, i, s])
        for light in (1, 6)
        for i in range(1, 28)
        for s in (1, 2)
    }
    tree["es-diverse-test/sampled_tin_no_resize2/n02099601/a.JPEG"] = b"r"
    tree["es-diverse-test/param_control/l1/param_28/n02099601/a.JPEG"] = b"s"
    photos = open_photos(f"imagenet-es:{write_tree(tmp_path / 'd', tree)}")
    assert len(photos) == 108
    assert photos.groups["light"].names == ("l1", "l6")
    for attribute in ("aperture", "exposure", "iso"):
        assert photos.attributes[attribute].names == ("1", "2", "3")
        assert np.bincount(photos.attributes[attribute].values).tolist() == [36, 36, 36]
    assert "reference pictures, which no camera took: 1" in photos.evidence["left out"]
    assert "the number of a setting that there is not: 1" in photos.evidence["left out"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.pop("dresden.csv"), "it holds no table; dresden:FILE.csv?root=FOLDER"),
        (lambda t: t.update({"other.csv": b"a,b\n1,2\n"}), "it holds the tables dresden.csv, other.csv: name one"),
        (
            lambda t: t.update({"dresden.csv": b"filename,brand,model\na,b,c\n"}),
            "no column instance or position or motive",
        ),
        (lambda t: t.update({"dresden.csv": b"\xff\xfe\x00"}), "not UTF-8"),
        (lambda t: t.update({"dresden.csv": t["dresden.csv"].split(b"\n")[0]}), "it holds no row"),
        (lambda t: [t.pop(p) for p in list(t) if p.endswith("JPG")], "none of the 12 photos that dresden.csv names"),
    ],
)
def test_dresden__tables_that_do_not_fit_are_refused(change, sentence, tmp_path):
    tree = tree_of("dresden")
    change(tree)
    assert sentence in refusal(f"dresden:{write_tree(tmp_path / 'set', tree)}")


def test_dresden__names_rows_and_files_without_each_other(tmp_path):
    tree = tree_of("dresden")
    head, *rows = tree["dresden.csv"].decode().splitlines()
    extra = [
        "Canon_Ixus70_0_99.JPG,Canon,Ixus70,0,1,3,x,4,u",
        rows[0],
        "Canon_Ixus70_0_98.JPG,Canon,Ixus70,0,1,,,,u",
    ]
    tree["dresden.csv"] = "\n".join([head, *rows, *extra]).encode()
    tree["JPEG/unknown_1.JPG"] = b"u"
    tree["backup/Agfa_DC-504_0_31.JPG"] = b"twice"
    photos = open_photos(f"dresden:{write_tree(tmp_path / 'set', tree)}")
    assert len(photos) == 12
    assert photos.evidence["missing"] == "1 photos of the table (the first: Canon_Ixus70_0_99.JPG)"
    for phrase in (
        "rows whose file an earlier row names, or none: 1",
        "rows without position and motive, which show no scene (flat and dark fields): 1",
        "photos that no row of the table names: 1 (the first: JPEG/unknown_1.JPG)",
        "photos that are there twice: 1",
    ):
        assert phrase in photos.evidence["left out"]


@pytest.mark.parametrize("kind", TABLED)
def test_table_elsewhere__names_the_folder_of_photos(kind, tmp_path):
    tree = tree_of(kind)
    photos = write_tree(tmp_path / "photos", photos_in(tree))
    table = next(iter(table_of(tree)))
    write_tree(tmp_path / "tables", table_of(tree))
    assert_true(open_photos(f"{kind}:{tmp_path}/tables/{table}?root={photos}"), kind, tree)
    assert "say which folder or archive holds them: root=PATH" in refusal(f"{kind}:{tmp_path}/tables/{table}")


def test_raise__raw_files_alone_are_refused_with_the_remedy(tmp_path):
    tree = tree_of("raise")
    raw = {path.replace(".TIF", ".NEF"): data for path, data in photos_in(tree).items()}
    words = refusal(f"raise:{write_tree(tmp_path / 'set', {**raw, **table_of(tree)})}")
    assert "raw files, which are not developed here: convert them to TIFF: 6" in words


@pytest.mark.parametrize("image", [False, True])
def test_plism_table__has_scanner_staining_and_tile(image, tmp_path):
    tree, truth = tree_of("plism"), DOUBLES["plism"]()
    write_tree(tmp_path / "set", tree)
    rows = [("slide_id", "stainer", "scanner", "tile_id", "file")]
    rows += [(one["slide"], one["staining"], one["device"], one["scene"], path) for path, one in truth.items()]
    (tmp_path / "set" / "tiles.csv").write_bytes(as_csv(rows))
    photos = open_photos(f"plism:{tmp_path}/set/tiles.csv{'?image=file' if image else ''}")
    assert photos.has_pictures == image
    assert photos.ids == tuple(f"{slide}-{tile}" for slide, _, _, tile, _ in rows[1:])
    for i, one in enumerate(truth.values()):
        for group in ("device", "staining"):
            assert photos.groups[group].names[photos.groups[group].values[i]] == one[group]
        assert photos.columns["scene"][i] == one["scene"]
    if image:
        assert [photos.read(i) for i in range(len(photos))] == list(tree.values())
    assert not pixel_rights(photos).allowed


@pytest.mark.parametrize(
    ("kind", "rows", "sentence"),
    [
        ("plism", [("slide_id", "scanner", "stainer"), ("a", "b", "c")], "unknown id of t.csv 'tile_id'"),
        ("plism", [("slide_id", "tile_id", "stainer"), ("a", "b", "c")], "unknown column of t.csv 'scanner'"),
        ("plism", [("slide_id", "tile_id", "scanner", "stainer"), ("", "t", "a", "b")], "row 1 has no slide_id"),
        ("plism", [("slide_id", "tile_id", "scanner", "stainer"), *[("s", "t", "a", "b")] * 2], "is there twice"),
        ("scorpion", [("slide_id", "tile_id"), ("1", "2")], "unknown id of t.csv 'scanner_id'"),
    ],
)
def test_table_of_tiles__is_refused_in_a_sentence(kind, rows, sentence, tmp_path):
    (tmp_path / "t.csv").write_bytes(as_csv(rows))
    assert sentence in refusal(f"{kind}:{tmp_path}/t.csv")


def test_options__of_tables_and_folders_are_not_mixed(tmp_path):
    root = write_tree(tmp_path / "set", tree_of("plism"))
    assert "are of a table: name its file" in refusal(f"plism:{root}?image=file")
    (tmp_path / "t.csv").write_bytes(as_csv([("slide_id", "tile_id"), ("a", "b")]))
    assert "scenes= is of a folder or archive" in refusal(f"plism:{tmp_path}/t.csv?scenes=3")


def test_scorpion__tiles_of_samples_are_scenes(tmp_path):
    tree = {
        f"slide_{s}-sample_1-tile_{i}_0-{scanner}.jpg": bytes([s, i, len(scanner)])
        for s in (1, 2)
        for i in (0, 1)
        for scanner in ("AT2", "Philips")
    }
    photos = open_photos(f"scorpion:{write_tree(tmp_path / 'tiles', tree)}")
    assert len(set(photos.columns["scene"])) == 4
    assert set(photos.columns["cluster"]) == {"slide_1", "slide_2"}
    rows = [("slide_id", "tile_id", "scanner_id")]
    rows += [(name.split("-")[0], name.rpartition("-")[0], name[:-4].split("-")[3]) for name in tree]
    (tmp_path / "t.csv").write_bytes(as_csv(rows))
    table = open_photos(f"scorpion:{tmp_path}/t.csv")
    assert [scene.replace("-", "/") for scene in table.columns["scene"]] == [
        scene for name in tree for scene in [name.rpartition("-")[0].replace("-", "/")]
    ]
    assert set(table.columns["cluster"]) == set(photos.columns["cluster"])
    assert set(table.groups["device"].names) == set(photos.groups["device"].names)


@pytest.mark.parametrize("kind", [kind for kind in DOUBLES if kind != "raise"])
def test_scenes__keeps_whole_scenes(kind, tmp_path):
    root = write_tree(tmp_path / "set", tree_of(kind))
    whole, some = open_photos(f"{kind}:{root}"), open_photos(f"{kind}:{root}?scenes=2")
    chosen = set(some.columns["scene"])
    assert len(chosen) == 2
    assert set(some.ids) == {i for i, scene in zip(whole.ids, whole.columns["scene"], strict=True) if scene in chosen}
    if kind != "scorpion":
        assert len(set(some.splits)) == 2


def test_damaged_member__is_the_failure_of_one_photo(tmp_path):
    tree = tree_of("fodb")
    data = bytearray(zipped(tree, zipfile.ZIP_STORED))
    (tmp_path / "set.zip").write_bytes(data)
    photos = open_photos(f"fodb:{tmp_path / 'set.zip'}")
    first = tree[photos.ids[0]]
    data[data.index(first) + 20] ^= 255
    (tmp_path / "set.zip").write_bytes(data)
    with pytest.raises(PhotoError, match=r"set\.zip is damaged at this photo"):
        photos.read(0)
    assert photos.read(1) == tree[photos.ids[1]]


@pytest.mark.parametrize("kind", DOUBLES)
def test_pixels__are_never_published(kind, tmp_path):
    photos = open_photos(f"{kind}:{write_tree(tmp_path / 'set', tree_of(kind))}?name=mine")
    rights = pixel_rights(photos)
    assert not rights.allowed
    assert "not published" in rights.reason
    assert KINDS[kind].is_local(None) is True


@pytest.mark.parametrize("kind", ["fodb", "vision"])
def test_pixels__of_their_files_in_another_folder_are_not_published_either(kind, tmp_path):
    photos = open_photos(f"folder:{write_tree(tmp_path / 'mine', tree_of(kind))}?label=folder:1")
    assert not pixel_rights(photos).allowed
