"""Archives and tables that no honest tool writes are refused in a sentence, before anything of them is believed."""

import io
import struct
import tarfile
import zipfile

import datasets
import pytest

from builders.data_specs import open_photos
from builders.errors import DataError, PhotoError
from builders.extras.cameras.archives import entries_below
from builders.photos import ColumnSources
from builders.sources import read_pair_photos, unpack, webdataset_photos
from builders.sources.bundles import pack
from builders.sources.tar_index import indexed

HEADERS = {
    "map": {"GNU.sparse.map": "a,b", "GNU.sparse.size": "1"},
    "sparse": {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
    "size": {"GNU.sparse.size": "x"},
    "huge": {"size": "9" * 23},
    "negative": {"size": "-5"},
}


@pytest.mark.parametrize("name", HEADERS)
def test_tar__numbers_in_headers_that_are_none(name, tmp_path, monkeypatch):
    """A negative size would read all that follows."""
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("a.jpg")
        member.size, member.pax_headers = 3, HEADERS[name]
        tar.addfile(member, io.BytesIO(b"abc"))
    with pytest.raises(DataError, match=r"a\.tar"):
        indexed(path, nested=False)
    with pytest.raises(DataError, match=r"a\.tar"):
        webdataset_photos(str(path), columns=ColumnSources())


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_zip__an_inner_one_whose_header_is_damaged(tmp_path):
    inner = zipped({"a.jpg": b"x"})
    whole = zipped({"inner.zip": inner})
    (tmp_path / "a.zip").write_bytes(whole)
    assert [(entry.path, entry.archive) for entry in entries_below(tmp_path, "fodb")] == [("a.jpg", "a.zip/inner.zip")]
    (tmp_path / "a.zip").write_bytes(b"XX" + whole[2:])
    with pytest.raises(DataError, match=r"a\.zip/inner\.zip"):
        entries_below(tmp_path, "fodb")


def test_bundle__the_files_that_were_packed():
    for files in ([], [b""], [b"one"], [b"one", b"", b"three"]):
        assert unpack(pack(files)) == files


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b[:-4]])
def test_bundle__cut_off_or_longer(change):
    with pytest.raises(PhotoError):
        unpack(change(pack([b"one", b"two"])))


@pytest.mark.parametrize(
    "bundle", [b"", b"\1\0", struct.pack("<I", 1), struct.pack("<IQ", 2, 0), struct.pack("<I", 2**32 - 1)]
)
def test_bundle__without_its_head(bundle):
    with pytest.raises(PhotoError):
        unpack(bundle)


def test_bundle__lengths_whose_sum_overflows():
    """As numbers of 64 bits they would add up to the length of the bundle."""
    with pytest.raises(PhotoError, match="cut off"):
        unpack(struct.pack("<IQQ", 2, 2**64 - 5, 8) + b"abc")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("p", "X", "phone"), (None, "Y", "camera")], "pair"),
        ([("p", None, "phone"), ("p", "Y", "camera")], "camera"),
        ([("p", "X", "phone"), ("p", "", "camera")], "camera"),
    ],
)
def test_pairs__a_table_without_a_pair_or_a_camera(rows, words, tmp_path):
    """Rows without a pair would be the pair None."""
    text = datasets.Value("string")
    features = datasets.Features(image=datasets.Image(), pair_id=text, camera=text, camera_type=text)
    names = ("pair_id", "camera", "camera_type")
    listed = [{"image": {"bytes": b"x", "path": None}, **dict(zip(names, row, strict=True))} for row in rows]
    datasets.Dataset.from_list(listed, features=features).to_parquet(
        str(tmp_path / "data/train-00000-of-00001.parquet")
    )
    with pytest.raises(DataError, match=words):
        read_pair_photos(f"hub:{tmp_path}")


def test_pairs__cameras_that_are_stored_as_classes(tmp_path):
    text = datasets.Value("string")
    kinds = datasets.ClassLabel(names=["Y9", "X1"])
    features = datasets.Features(image=datasets.Image(), pair_id=text, camera=kinds, camera_type=text)
    rows = [{"image": {"bytes": b"x", "path": None}, "pair_id": "p", "camera": code, "camera_type": kind}
            for code, kind in ((0, "camera"), (1, "phone"))]  # fmt: skip
    datasets.Dataset.from_list(rows, features=features).to_parquet(str(tmp_path / "data/train-00000-of-00001.parquet"))
    photos = read_pair_photos(f"hub:{tmp_path}")
    assert photos.columns["camera"].tolist() == ["X1", "Y9"]
    assert photos.evidence["cameras"] == "X1, Y9"


@pytest.mark.parametrize(
    ("folders", "classes", "how"),
    [
        (("train", "test"), ("a", "b"), "as given by the folder"),
        (("training", "dev"), ("a", "b"), "as given by the folder"),
        (("train", "val", "test"), ("a", "b"), "as given by the folder"),
        (("val", "test"), ("test", "val"), "seeded split"),
        (("train",), ("train",), "seeded split"),
        (("train", "other"), ("other", "train"), "seeded split"),
    ],
)
def test_folder__is_divided_as_its_folders_say(folders, classes, how, tmp_path):
    from builders.sources import labelled_folder

    for folder in folders:
        for name in ("a", "b"):
            (tmp_path / folder / name).mkdir(parents=True)
            (tmp_path / folder / name / "1.jpg").write_bytes(b"x")
    photos = labelled_folder(str(tmp_path))
    assert photos.labels.names == classes
    assert photos.evidence["splits"].startswith(how)
    assert photos.drawn_splits is (how == "seeded split")
    if not photos.drawn_splits:
        sides = {id.split("/")[0]: int(split) for id, split in zip(photos.ids, photos.splits, strict=True)}
        words = {"train": 0, "training": 0, "val": 1, "dev": 1, "test": 2 if len(folders) == 3 else 1}
        assert sides == {folder: words[folder] for folder in folders}


def test_inaturalist__a_species_folder_that_is_no_number(tmp_path):
    for name in ("7", "\u00b2"):
        (tmp_path / "2018" / "Birds" / name).mkdir(parents=True)
        (tmp_path / "2018" / "Birds" / name / "1.jpg").write_bytes(b"x")
    photos = open_photos(f"inat2018:{tmp_path}")
    assert sorted(photos.labels.names) == ["0007", "\u00b2"]
