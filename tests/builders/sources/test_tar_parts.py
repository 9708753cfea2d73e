"""Archives that are read in place: the index of a tar, and ImageNet's archives and devkit, by hand."""

from __future__ import annotations

import io
import os
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.io import savemat

from builders.errors import DataError, PhotoError
from builders.photos import file_stamp
from builders.sources import imagenet, tar_index
from builders.sources.imagenet import DEVKIT_FOLDER, DEVKIT_TAR, TRAIN_TAR, VAL_TAR, TarSource, imagenet_photos
from builders.sources.tar_index import FileWindow, Member, indexed
from tests.support.camera_sets import tarred

CLASSES = ("n00000002", "n00000001")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))


def members_of(path):
    """Regular files of a tar by the library: (name, offset, size)."""
    with tarfile.open(path) as tar:
        return [Member(m.name, m.offset_data, m.size) for m in tar if m.isfile()]


def test_index__of_a_flat_archive(tmp_path, monkeypatch):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("folder"), None)
        for i, size in enumerate((0, 1, 511, 512, 513)):
            info = tarfile.TarInfo(f"folder/{i}.jpg")
            info.size = size
            tar.addfile(info, io.BytesIO(bytes(size)))
        link = tarfile.TarInfo("link.jpg")
        link.type = tarfile.SYMTYPE
        tar.addfile(link)
    expected = members_of(path)
    assert indexed(path, nested=False, whole_names=True) == expected
    with monkeypatch.context() as patched:
        patched.setattr(tar_index, "_flat", None)
        assert indexed(path, nested=False, whole_names=True) == expected  # from the cache
    short = [member._replace(name=member.name.rpartition("/")[2]) for member in expected]
    assert indexed(path, nested=False) == short  # both are cached, each under its name
    assert len(list((tmp_path / "cache" / "tar-index").iterdir())) == 2


def test_index__is_saved_every_so_many_seconds_and_at_the_end(tmp_path, monkeypatch):
    path = tmp_path / "a.tar"
    path.write_bytes(tarred({f"{i}.jpg": b"x" * i for i in range(7)}))
    saved, clock = [], iter(range(0, 10_000, 20))
    monkeypatch.setattr(tar_index, "BATCH", 2)
    monkeypatch.setattr(tar_index, "SAVED_EVERY_S", 40)
    monkeypatch.setattr(tar_index, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    write = tar_index._write_index
    monkeypatch.setattr(
        tar_index, "_write_index", lambda *given: saved.append((len(given[2]), given[3])) or write(*given)
    )
    indexed(path, nested=False)
    ends = [tar_index._padded(member.offset + member.size) for member in members_of(path)]
    assert saved == [(6, ends[5]), (7, path.stat().st_size)]


def archive_of(path, names):
    with tarfile.open(path, "w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 600
            tar.addfile(info, io.BytesIO(name.encode() * 120))
    os.utime(path, ns=(10**18, 10**18))  # as reproducible archives have it
    return path


@pytest.mark.parametrize("how", ["replaced", "written over", "moved"])
def test_index__of_another_archive_of_equal_size_and_time(tmp_path, how):
    path = archive_of(tmp_path / "a.tar", ["a.jpg", "b.jpg", "c.jpg"])
    before = path.stat()
    assert indexed(path, nested=False) == members_of(path)
    other = archive_of(tmp_path / "other.tar", ["c.jpg", "x.jpg", "a.jpg"])
    if how == "replaced":
        os.replace(other, path)
    elif how == "written over":
        path.write_bytes(other.read_bytes())
        os.utime(path, ns=(10**18, 10**18))
    else:
        (tmp_path / "elsewhere").mkdir()
        path = other.rename(tmp_path / "elsewhere" / "a.tar")
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert indexed(path, nested=False) == members_of(path)


def test_index__refusals(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(b"no tar" * 1000)
    with pytest.raises(DataError) as refused:
        indexed(path, nested=False)
    text = str(refused.value)
    assert text.startswith(f"{path}: damaged or not a tar file (")
    assert text.endswith("); compare its size with the official one")
    path.write_bytes(tarred({"n00000001.tar": tarred({"a.jpg": b"x"}), "other.tar": b""}))
    with pytest.raises(DataError, match=r"^'other\.tar' in the archive is not the tar of a class$"):
        indexed(path, nested=True)
    info = tarfile.TarInfo("a\n.jpg")
    info.size = -1
    with pytest.raises(tarfile.ReadError, match=r"^a\\x0a\.jpg has a negative size$"):
        tar_index.check_size(info)
    info.size = 0
    tar_index.check_size(info)


def test_window__is_a_part_of_a_file():
    window = FileWindow(io.BytesIO(b"0123456789"), 3, 5)
    assert (window.read(), window.read(), window.seek(2), window.read(2), window.tell()) == (b"34567", b"", 2, b"56", 4)
    assert (window.seek(-1, os.SEEK_END), window.read(9), window.seek(-3, os.SEEK_CUR), window.read(1)) == (
        4, b"7", 2, b"5",
    )  # fmt: skip


def meta(*rows):
    """``meta.mat`` of synsets: (number, WordNet id, children)."""
    content = io.BytesIO()
    kind = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("num_children", "O")]
    savemat(content, {"synsets": np.array(list(rows), dtype=kind).reshape(-1, 1)})
    return content.getvalue()


def unpacked_devkit(root, truth="1\n2\n2\n", synsets=((1, CLASSES[0], 0), (2, CLASSES[1], 0), (3, "n00000009", 2))):
    (root / DEVKIT_FOLDER / "data").mkdir(parents=True)
    (root / DEVKIT_FOLDER / "data" / "ILSVRC2012_validation_ground_truth.txt").write_text(truth)
    (root / DEVKIT_FOLDER / "data" / "meta.mat").write_bytes(meta(*synsets))


VAL = {"c.JPEG": b"third", "a.JPEG": b"first", "b.JPEG": b"second"}
TRAIN = {"n00000002.tar": {"z.JPEG": b"1", "y.JPEG": b"22"}, "n00000001.tar": {"x.JPEG": b"333"}}


@pytest.fixture
def archives(tmp_path):
    root = tmp_path / "archives"
    root.mkdir()
    (root / TRAIN_TAR).write_bytes(tarred({name: tarred(files) for name, files in TRAIN.items()}))
    (root / VAL_TAR).write_bytes(tarred(VAL))
    unpacked_devkit(root)
    return root


def test_archives__train_before_val_each_by_name(archives):
    photos = imagenet_photos(str(archives))
    assert photos.ids == (
        "train/n00000001/x.JPEG", "train/n00000002/y.JPEG", "train/n00000002/z.JPEG", "val/n00000001/b.JPEG",
        "val/n00000001/c.JPEG", "val/n00000002/a.JPEG",
    )  # fmt: skip
    assert [photos.read(i) for i in range(6)] == [b"333", b"22", b"1", b"second", b"third", b"first"]
    assert photos.splits.tolist() == [0, 0, 0, 1, 1, 1]
    assert photos.labels.names == ("n00000001", "n00000002")
    assert photos.labels.values.tolist() == [0, 1, 1, 0, 0, 1]
    assert (photos.name, dict(photos.evidence)) == ("imagenet", {"splits": "official"})
    assert photos.source.archives == (str(archives / TRAIN_TAR), str(archives / VAL_TAR))
    assert photos.source.archive.tolist() == [0, 0, 0, 1, 1, 1]
    stamps = photos.stamps()
    texts = [file_stamp(path).text for path in photos.source.archives]
    at = photos.rows
    assert [stamp.text for stamp in stamps] == [
        f"{texts[photos.source.archive[i]]} {photos.source.offsets[i]}+{photos.source.sizes[i]}" for i in at
    ]


def test_archive__photos_that_cannot_be_read(tmp_path, monkeypatch):
    path = tmp_path / "a.tar"
    path.write_bytes(b"0123456789")
    source = TarSource(
        (str(path), str(tmp_path / "gone")), np.array([0, 0, 1]), np.array([2, 8, 0]), np.array([3, 3, 1])
    )
    monkeypatch.setattr(imagenet, "MAX_PHOTO_BYTES", 3)
    assert source.read(0) == b"234"
    for row, sentence in (
        (1, "the archive a.tar ends in the middle of the photo"),
        (2, "the archive cannot be read (No such file or directory)"),
    ):
        with pytest.raises(PhotoError) as refused:
            source.read(row)
        assert str(refused.value) == sentence
    monkeypatch.setattr(imagenet, "MAX_PHOTO_BYTES", 2)
    with pytest.raises(PhotoError, match=r"^the file is larger than 0 MiB$"):
        source.read(0)


def test_imagenet__a_folder_of_every_form(archives, tmp_path):
    """Class folders are preferred to archives; class folders alone are split; others need train and val."""
    for name in ("train/n00000001/1.jpg", "val/n00000001/2.jpg", "plain/n00000003/1.jpg", "other/cat/1.jpg"):
        (archives / name).parent.mkdir(parents=True)
        (archives / name).write_bytes(name.encode())
    photos = imagenet_photos(str(archives))
    assert (photos.name, photos.ids) == ("imagenet", ("train/n00000001/1.jpg", "val/n00000001/2.jpg"))
    assert (
        imagenet_photos(str(archives / "plain"), seed=4)
        .evidence["splits"]
        .startswith("seeded split of each class, seed 4")
    )
    with pytest.raises(DataError, match="other: expected the folders train and val in it"):
        imagenet_photos(str(archives / "other"))
    (archives / "val" / "n00000001" / "2.jpg").rename(archives / "val" / "2.jpg")
    (archives / "val" / "n00000001").rmdir()
    with pytest.raises(DataError) as refused:
        imagenet_photos(str(archives))
    assert str(refused.value) == (
        f"{archives}/val: has no class folders; put {VAL_TAR} and {DEVKIT_TAR} next to it, or sort it into them"
    )
    with pytest.raises(DataError) as refused:
        imagenet_photos(f"{tmp_path}/nowhere")
    assert str(refused.value) == f"{tmp_path}/nowhere: no such folder"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"truth": "1\n2\n"}, "{root}/" + VAL_TAR + ": 3 photos, the devkit names 2 classes"),
        ({"truth": "1\n2\n3\n"}, "{root}: the devkit's ground truth names an unknown class (3)"),
        ({"truth": "1\n2\nx\n"}, "{root}: the devkit's ground truth names an unknown class (invalid literal "
                                 "for int() with base 10: 'x')"),
        ({"synsets": [(1, "cat", 0), (2, CLASSES[1], 0)]},
         "{root}: the devkit's meta.mat names a class that is not a WordNet id"),
        ({"synsets": [(1, "n00000001x", 0), (2, CLASSES[1], 0)]},
         "{root}: the devkit's meta.mat names a class that is not a WordNet id"),
        ({"mat": b"no MATLAB"}, "{root}: the devkit's meta.mat cannot be read (MatReadError)"),
        ({"absent": True}, "{root}: " + VAL_TAR + " needs " + DEVKIT_TAR + " next to it, with the classes"),
        ({"tar": {f"{DEVKIT_FOLDER}/data/meta.mat": b""}},
         "{root}/" + DEVKIT_TAR + ": cannot be read (\"filename 'ILSVRC2012_devkit_t12/data/"
         "ILSVRC2012_validation_ground_truth.txt' not found\")"),
    ],
)  # fmt: skip
def test_devkit__that_does_not_fit(tmp_path, change, sentence):
    root = tmp_path / "archives"
    root.mkdir()
    (root / VAL_TAR).write_bytes(tarred(VAL))
    if "tar" in change:
        with tarfile.open(root / DEVKIT_TAR, "w:gz") as tar:
            for name, data in change["tar"].items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    elif "absent" not in change:
        unpacked_devkit(root, **{name: value for name, value in change.items() if name != "mat"})
    if "mat" in change:
        (root / DEVKIT_FOLDER / "data" / "meta.mat").write_bytes(change["mat"])
    with pytest.raises(DataError) as refused:
        imagenet_photos(str(root))
    assert str(refused.value) == sentence.format(root=root)


def test_archives__without_a_photo(tmp_path):
    (tmp_path / TRAIN_TAR).write_bytes(tarred({}))
    with pytest.raises(DataError) as refused:
        imagenet_photos(str(tmp_path))
    assert str(refused.value) == f"{tmp_path}: no photo in the archives"
