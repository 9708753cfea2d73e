"""Camera sets in their published layouts, as people have them: right, or refused in a sentence."""

import zipfile
from collections import defaultdict

import pytest

from builders.data_specs import KINDS, open_photos
from builders.dataset import pixel_rights
from builders.errors import DataError, PhotoError, UsageError
from builders.photos import SPLITS, UNLABELLED
from tests.support.camera_sets import DOUBLES, tarred, tree_of, write_tree, zipped

TABLED = ("dresden", "raise")
PATHS = [kind for kind in DOUBLES if kind not in TABLED]


def table_of(tree):
    return {path: data for path, data in tree.items() if path.endswith(".csv")}


def each_with_two_kinds(names):
    """(kind, name): all kinds take their turns; that all are read by one function is tested by ``FORMS``."""
    kinds = list(DOUBLES)
    return [(kinds[(i + shift) % len(kinds)], name) for i, name in enumerate(names) for shift in (0, 3)]


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


@pytest.mark.parametrize(("kind", "form"), each_with_two_kinds(FORMS))
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


@pytest.mark.parametrize(("kind", "noise"), each_with_two_kinds(NOISE))
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


@pytest.mark.parametrize(("kind", "fault"), each_with_two_kinds(REFUSED))
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
    data[data.index(tree[min(tree)]) + 20] ^= 255
    (tmp_path / "set.zip").write_bytes(data)
    photos = open_photos(f"fodb:{tmp_path / 'set.zip'}")
    with pytest.raises(PhotoError, match=r"set\.zip"):
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
