"""Refusals of tables, layouts and camera sets as whole sentences: what is wrong, where, and what to do."""

from __future__ import annotations

import io
import struct
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.data_specs import open_photos
from builders.errors import DataError, UsageError
from builders.photos import ColumnSources, PhotoSet, labels_of
from builders.sources import CAMERA_SETS, mapped_splits, open_table, table_photos, with_columns
from builders.sources.cameras.archives import entries_below
from builders.sources.cameras.kinds import terms_of
from builders.sources.cameras.layouts import NOT_OF_LAYOUT
from builders.sources.columns.named import with_usual
from tests.support.camera_sets import tarred
from tests.support.layouts import write_layout

NONE = ColumnSources()


def refused(error, sentence, call, *given, **named):
    with pytest.raises(error) as caught:
        call(*given, **named)
    assert (type(caught.value), str(caught.value)) == (error, sentence)


TABLE = "table:FILE.csv?image=path&label=class&split=split"


@pytest.mark.parametrize(
    ("patterns", "options", "sentence"),
    [
        (("{cat,dog}/{train,val}/{0..2}.jpg",), "?label=folder:1",
         "the folders at level 2 are train and val, and a split drawn over them would mix them: add split=folder:2 (or "
         "val-share=0.25 to draw one)"),
        (("train/{cat,dog}/{0..4}.jpg",), "", "train would be a class, and names a split: did you mean '{0}/train'?"),
        (("{val,test}/{cat,dog}/{0..4}.jpg",), "",
         "test and val would be a class, and names a split: did you mean '{0} with the folders train and val'?"),
        (("{a_train,a_val}/{x,y}/{0..2}.png",), "",
         "its classes would be a_train and a_val, and its folders a_train and a_val are splits or origins: did you "
         "mean "
         "'{0}?label=folder:2&split=re:(?:^|[/_-])(train|val)(?=[/_-])'? ('{0}?label=folder:1&val-share=0.25' if those "
         "are the classes)"),
        (("{images,labels}/{0..4}.jpg",), "",
         "its classes would be images and labels, which say nothing of the pictures: write a table of them: '" + TABLE
         + "'"),
        (("images/{a,b}/{0..4}.jpg",), "",
         "its only class would be images, which says nothing of the pictures: did you mean '{0}/images'?"),
        (("{a,b,c,d,e}/{train,val}/{0..2}.jpg",), "",
         "its classes would be a, b, c, d, ... (5), and its folders train and val are splits or origins: did you mean "
         "'{0}?label=folder:1&split=folder:2'? ('{0}?label=folder:1&val-share=0.25' if those are the classes)"),
        (("{train,val}/{cat,dog}/{real,fake}/{0..2}.jpg",), "",
         "its classes would be cat and dog, and its folders fake and real are splits or origins: did you mean "
         "'{0}?label=folder:3&group=generator=folder:2'? ('{0}?label=folder:2&val-share=0.25' if those are the "
         "classes)"),
        (("train/{a,b}/{0..2}.jpg", "val/{0..2}.jpg"), "",
         "val has no class folders: sort its photos into the folders of train, or write a table of them: '" + TABLE
         + "'"),
        (("train/{a,b}/{0..2}.jpg", "val/{c,d}/{0..2}.jpg"), "",
         "val has none of the class folders of train: sort its photos into the folders of train, or write a table of "
         "them: '" + TABLE + "'"),
    ],
)  # fmt: skip
def test_folder__levels_that_are_no_classes(tmp_path, patterns, options, sentence):
    write_layout(tmp_path / "set", *patterns)
    place = f"folder:{tmp_path}/set"
    refused(DataError, f"{place}: " + sentence.replace("{0}", place), open_photos, place + options)


@pytest.mark.parametrize(
    ("name", "header", "sentence"),
    [
        ("metadata.csv", "file_name,label", "hub:{0}?label=label"),
        ("metadata.csv", "file_name,x", "hub:{0}?label=COLUMN"),
        ("labels.csv", "path,target,split", "table:{0}/labels.csv?image=path&label=target&split=split"),
        ("data/my_train.csv", "x,y", "table:{0}/data/my_train.csv?image=COLUMN&label=y"),
        ("index.csv", "a,b", "table:{0}/index.csv?image=COLUMN&label=COLUMN"),
        ("labels.csv", "file_name,label", "table:{0}/labels.csv?image=file_name&label=label"),
    ],
)  # fmt: skip
def test_folder__a_table_in_it_is_named(tmp_path, name, header, sentence):
    write_layout(tmp_path / "set", "{0..3}.png")
    (tmp_path / "set" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "set" / name).write_text(f"{header}\n1,2\n")
    place = f"{tmp_path}/set"
    text = (
        f"folder:{place}: {name} in it is no picture, and probably says what the pictures are: did you mean "
        f"'{sentence.replace('{0}', place)}'? (move it out of the folder if it does not)"
    )
    refused(DataError, text, open_photos, f"folder:{place}")


def test_folder__of_wilds(tmp_path):
    write_layout(tmp_path / "iwildcam_v2.0", "train/{0..3}.png")
    place = f"folder:{tmp_path}/iwildcam_v2.0"
    text = (
        f"{place}: this is a data set of WILDS, whose tables say what the pictures are: did you mean "
        f"'wilds:iwildcam?root={tmp_path}/iwildcam_v2.0'?"
    )
    refused(DataError, text, open_photos, place)


def photos_of(count):
    return PhotoSet.of_bytes("set", {f"{i}.jpg": b"" for i in range(count)})


def test_columns__that_cannot_be(tmp_path):
    text = (
        "set: split= has the values 'x' (2); camtrace knows train, val (valid, validation, dev) and test: name a "
        "column "
        "with these values"
    )
    refused(DataError, text, mapped_splits, labels_of(["train", "x", "x", "val"]), "set")
    text = "set: split= has only 'train': train and val are needed"
    refused(DataError, text, mapped_splits, labels_of(["train"] * 3), "set")
    text = "set: cluster=folder:1 gives none of the 3 photos a value (the first is 0.jpg)"
    refused(DataError, text, with_columns, photos_of(3), ColumnSources.of(cluster="folder:1"))
    text = "group=jpeg: jpeg is the name of a question already: write group=NAME=SOURCE"
    refused(UsageError, text, with_columns, photos_of(2), ColumnSources.of(group=(r"jpeg=re:(\d)",)))


def test_table__that_cannot_be(tmp_path):
    def table(text, name="t.csv"):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / name

    def photos(text, **named):
        return lambda: table_photos(str(table(text)), columns=NONE, **named)

    (tmp_path / "there.jpg").write_bytes(b"x")
    place, name = f"{tmp_path}/t.csv", "t.csv"
    for error, sentence, call in (
        (DataError, f"table:{tmp_path} is a folder: name the file, or write folder:{tmp_path} or hub:{tmp_path}",
         lambda: open_table(tmp_path, ())),
        (UsageError, f"table:{tmp_path}/t.xls: a table is a .csv or a .parquet file",
         lambda: open_table(tmp_path / "t.xls", ())),
        (DataError, f"{place}: it holds no row", lambda: open_table(table("a,b\n"), ())),
        (DataError, f"{place}: not UTF-8 text (byte 4)", lambda: open_table(table(b"a\n1,\xff"), ())),
        (DataError, f"{place}: two columns are called b", lambda: open_table(table("a,b,b\n1,2,3\n"), ())),
        (DataError, f"{place}, line 3: 3 values for 2 columns", lambda: open_table(table("a,b\n1,2\n1,2,3\n"), ())),
        (DataError, f"{place}, line 3: not a CSV file that can be read (',' expected after '\"')",
         lambda: open_table(table('a,b\n1,2\n"1"x,3\n'), ())),
        (UsageError, f"table:{name}: name the pictures (image=file_name), or, for embeddings made elsewhere, the ids "
         "(id=COLUMN)", photos("a,file_name\n1,2\n")),
        (UsageError, f"unknown image of {name} 'pathh': did you mean 'path'?", photos("path\nx\n", image="pathh")),
        (DataError, f"{name}: row 2 has no b, which is its id", photos("a,b\n1,2\n1,\n", id="a,b")),
        (DataError, f"{name}: the id '1-2' in a, b is there twice: name a column without repetition, or several: "
         "id=COLUMN,COLUMN joins them", photos("a,b\n1,2\n1,2\n", id="a, b")),
        (DataError, f"{name}: row 2 names no picture", photos("p,b\nthere.jpg,1\n,1\n", image="p")),
        (DataError, f"{name}: row 1 names an address ('https://a.org/b'): pictures are not fetched; download them, and "
         "name their files", photos("p\nhttps://a.org/b\n", image="p")),
        (DataError, f"{name}: row 1 names a picture outside the folder of pictures ('../a.jpg'): say which folder "
         f"holds "
         "them all (root=PATH)", photos("p\n../a.jpg\n", image="p")),
        (DataError, f"{name}: none of the first 2 pictures is there (the first: a.jpg): paths are relative to the "
         "folder of the table, or to root=PATH", photos("p\na.jpg\nb.jpg\n", image="p")),
        (DataError, f"{name}: the picture there.jpg is there twice: list it once, or name ids (id=COLUMN)",
         photos("p\nthere.jpg\n./there.jpg\n", image="p")),
    ):  # fmt: skip
        refused(error, sentence, call)
    pq.write_table(pa.table({"a": [[1]], "b": [b"x"]}), tmp_path / "t.parquet")
    for column, kind in (("a", "list<element: int64>"), ("b", "binary")):
        text = (
            f"{tmp_path}/t.parquet: the column {column} holds {kind}, not text or numbers: a table with pictures in "
            f"it is "
            "read by hub:FOLDER"
        )
        refused(DataError, text, open_table, tmp_path / "t.parquet", (column,))


def test_named_sets__that_cannot_be(tmp_path):
    for name in ("b.csv", "a.parquet", "x.txt"):
        (tmp_path / name).write_text("a\n1\n")
    text = f"pathorob:{tmp_path}: a folder with one table is needed, and it has a.parquet, b.csv: name the table"
    refused(DataError, text, open_photos, f"pathorob:{tmp_path}")
    (tmp_path / "empty").mkdir()
    text = f"pathorob:{tmp_path}/empty: a folder with one table is needed, and it has none: name the table"
    refused(DataError, text, open_photos, f"pathorob:{tmp_path}/empty")
    text = "wilds:fmow needs its folder: write wilds:fmow?root=PATH"
    refused(UsageError, text, open_photos, "wilds:fmow")
    text = f"wilds:fmow: {tmp_path}/empty holds neither rgb_metadata.csv nor a folder fmow_vVERSION"
    refused(DataError, text, open_photos, f"wilds:fmow?root={tmp_path}/empty")
    refused(DataError, f"wilds:fmow: {tmp_path}/no: no such folder", open_photos, f"wilds:fmow?root={tmp_path}/no")
    place = tmp_path / "empty" / "rgb_metadata.csv"
    place.write_text("category,country_code,timestamp\na,b,c\n")
    text = f"{place}: it has no column split, as version 2.0 of fmow has"
    refused(DataError, text, open_photos, f"wilds:fmow?root={tmp_path}/empty")
    (tmp_path / "empty" / "country_code_mapping.csv").write_text("alpha-3,region\nb,R\n")
    place.write_text("category,country_code,timestamp,split\na,b,year,train\n")
    text = f"{place}: a value is not of its form (invalid literal for int() with base 10: 'year')"
    refused(DataError, text, open_photos, f"wilds:fmow?root={tmp_path}/empty")
    write_layout(tmp_path / "ai", "{real,fake}/x/{0..2}.png")
    place = f"{tmp_path}/ai"
    text = (
        f"genimage:{place}: no folder ai or nature with photos in it; its folders fake and real may be meant: "
        f"folder:{place}?label=..."
    )
    refused(DataError, text, open_photos, f"genimage:{place}")
    write_layout(tmp_path / "plain", "{a,b}/x/{0..2}.png")
    text = f"univfd:{tmp_path}/plain: no folder 0_real or 1_fake with photos in it"
    refused(DataError, text, open_photos, f"univfd:{tmp_path}/plain")
    write_layout(tmp_path / "one", "{train,val}/{ai,nature}/{0..2}.png")
    meant = "give the folder that holds the folders of the generators"
    text = f"genimage:{tmp_path}/one: no folder names a generator: {meant}"
    refused(DataError, text, open_photos, f"genimage:{tmp_path}/one")
    assert with_usual(NONE, NONE) == NONE


def zipped(files, **options):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", **options) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


PHOTO = "D01_A_B_1/orig/D01_img_orig_0001.jpg"


def test_archives__that_cannot_be_read_in_place(tmp_path):
    encrypted = bytearray(zipped({PHOTO: b"x"}))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = encrypted.index(mark) + at
        encrypted[place : place + 2] = struct.pack("<H", 1)
    packed = zipped({"in.zip": zipped({PHOTO: b"x"})}, compression=zipfile.ZIP_DEFLATED)
    for name, data, sentence in (
        ("a.rar", b"x", "a.rar: a photo in such an archive is found only by unpacking it from the start: unpack it "
         "once, "
         "or repack it as .tar or .zip"),
        ("a.zip", bytes(encrypted), f"a.zip: {PHOTO} in it is encrypted: unpack it with its password"),
        ("a.zip", b"PK" * 99, "a.zip: damaged, or a part of a split archive (File is not a zip file); compare its size "
         "with the published one"),
        ("a.zip", packed, "a.zip: in.zip is compressed in it, so that its photos cannot be read in place: unpack a.zip "
         "once"),
        ("a.tar", tarred({"in.tar": b"x"}), "a.tar: in.tar is an archive in a tar, so that its photos cannot be read "
         "in "
         "place: unpack a.tar once"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(data)
        refused(DataError, f"fodb:{sentence}", entries_below, tmp_path / name, "fodb")
        (tmp_path / name).unlink()
    (tmp_path / "x.jpg").write_bytes(b"x")
    text = f"fodb:{tmp_path}/x.jpg: neither a folder nor a .zip or .tar archive"
    refused(DataError, text, entries_below, tmp_path / "x.jpg", "fodb")
    refused(DataError, f"fodb:{tmp_path}/no: no such folder or archive", entries_below, tmp_path / "no", "fodb")


def test_camera_sets__places_without_one(tmp_path):
    for number in (1, 2):
        path = f"D0{number}_A_B_1/orig/D0{number}_img_orig_"
        write_layout(tmp_path / "fodb", path + "000{1,2}.jpg")
        write_layout(tmp_path / "scene", path + "0001.jpg")
    write_layout(tmp_path / "other", "a/{0..2}.jpg", "notes.txt")
    place = f"{tmp_path}/fodb"
    text = f"vision:{place}: its files are in the layout of FODB: did you mean fodb:{place}?"
    refused(DataError, text, open_photos, f"vision:{place}")
    text = (
        f"fodb:{tmp_path}/other: no photo of FODB there, whose paths look like Dnn_NAME/{{orig,facebook,instagram,"
        f"telegram,twitter,whatsapp}}/Dnn_img_KIND_NNNN.jpg; {NOT_OF_LAYOUT}: 3 (the first: a/0.jpg); other files: 1 "
        "(the first: notes.txt)"
    )
    refused(DataError, text, open_photos, f"fodb:{tmp_path}/other")
    refused(
        DataError,
        "fodb:scene: all photos are of one scene, and a split needs two",
        open_photos,
        f"fodb:{tmp_path}/scene",
    )
    (tmp_path / "fodb" / "SIMULATED.json").write_text("{}")
    text = f"{place}: SIMULATED.json marks a simulated set, and cannot be read ('simulated')"
    refused(DataError, text, open_photos, f"fodb:{place}")
    parts = "{es-val,es-test}/param_control/l1/param_{1,2}/n02099601/{a,b}.JPEG"
    write_layout(tmp_path / "es", parts)
    place = f"imagenet-es:{tmp_path}/es"
    text = f"{place}: es-test and es-val have settings of their own, so that one is read at a time: add ?part=es-test"
    refused(DataError, text, open_photos, place)
    refused(UsageError, f"{place}: part=x: it holds es-test and es-val", open_photos, f"{place}?part=x")
    write_layout(tmp_path / "inner", parts.removeprefix("{es-val,es-test}/"))
    place = f"imagenet-es:{tmp_path}/inner"
    text = (
        f"{place}: no folder says what the settings mean: give the folder that holds es-val, es-test, es-diverse-test, "
        "or say which part it is: part=es-test"
    )
    refused(DataError, text, open_photos, place)


def test_tabled_sets__that_cannot_be(tmp_path):
    place = tmp_path / "set"
    place.mkdir()
    for kind, more in (("dresden", "the Dresden Image Database, which names the cameras and scenes"),
                       ("raise", "RAISE, which names the cameras")):  # fmt: skip
        text = f"{kind}:{place}: it holds no table; {kind}:FILE.csv?root=FOLDER reads the CSV file of {more}"
        refused(DataError, text, open_photos, f"{kind}:{place}")
    for name in ("b.csv", "a.CSV"):
        (place / name).write_text("file\nx\n")
    text = (
        f"raise:{place}: it holds the tables a.CSV, b.csv: name one; raise:FILE.csv?root=FOLDER reads the CSV file of "
        "RAISE, which names the cameras"
    )
    refused(DataError, text, open_photos, f"raise:{place}")
    refused(DataError, f"raise:{place}/no: no such table or folder", open_photos, f"raise:{place}/no")
    text = "raise:b.csv: no column device (its columns: file): the CSV file of RAISE has file, device"
    refused(DataError, text, open_photos, f"raise:{place}/b.csv")
    (place / "b.csv").write_text("File,Device\nx,Nikon D90\ny,\n")
    text = (
        f"raise:{place}/b.csv: none of the 2 photos that b.csv names is below {place} (the first: x); rows without a "
        "camera: 1 (the first: y)"
    )
    refused(DataError, text, open_photos, f"raise:{place}/b.csv")
    (place / "b.csv").write_text("File,Device\nx,Nikon D90\n")
    text = (
        f"raise:{place}/b.csv: none of the 1 photos that b.csv names is below {place} (the first: x); say which "
        f"folder or "
        "archive holds them: root=PATH"
    )
    refused(DataError, text, open_photos, f"raise:{place}/b.csv")


TERMS = {
    "fodb": "FODB: for research, not to be passed on, as a third party reports; the terms come with the download",
    "imagenet-es": "ImageNet-ES: no licence was found in its public repository: ask its authors; the scenes are "
    "photos of "
    "ImageNet, under its terms of access",
    "vision": "VISION: under an agreement of its own, which comes with the download",
    "dresden": "the Dresden Image Database: no licence was found: ask its authors",
    "raise": "RAISE: for research and teaching, under terms that are accepted before the download",
    "plism": "PLISM: CC BY 4.0, as owkin/plism-dataset states: name its authors",
    "scorpion": "SCORPION: CC BY 4.0, as its record on Zenodo states: name its authors",
}
OPTIONS = {
    "fodb": ("scenes",), "imagenet-es": ("part", "scenes"), "vision": ("scenes",), "dresden": ("root", "scenes"),
    "raise": ("root",), "plism": ("image", "id", "root", "scenes"), "scorpion": ("image", "id", "root", "scenes"),
}  # fmt: skip


def test_terms__of_each_camera_set():
    assert {kind: each.options for kind, each in CAMERA_SETS.items()} == OPTIONS
    for kind, terms in TERMS.items():
        assert terms_of(kind) == (
            f"{terms}. Pixels of such a set are not published by camtrace, only scores, ids and recipes."
        )
        assert terms_of(kind, simulated=True) == (
            f"Photos that camtrace simulated in the layout of {kind}. Pixels of a set in such a layout are not "
            "published: publish a simcams that was built without --layout."
        )
        assert CAMERA_SETS[kind].summary.startswith(terms.partition(":")[0])
