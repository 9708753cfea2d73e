"""All usual forms of ImageNet and iNaturalist give the same photos under the same ids."""

import dataclasses
import io
import json
import pickle
import tarfile

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from builders.data_specs import open_photos
from builders.errors import DataError
from builders.sources import imagenet_photos, inaturalist_photos
from builders.sources.imagenet import DEVKIT_TAR, TRAIN_TAR, VAL_TAR

CLASSES = ("n01440764", "n01443537", "n02099601")


def photo(seed):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


TRAIN = {f"{c}/{c}_{i}.JPEG": photo(100 * k + i) for k, c in enumerate(CLASSES) for i in (3, 17, 9)}
VAL = {f"ILSVRC2012_val_{i:08d}.JPEG": photo(1000 + i) for i in range(1, 7)}
TRUTH = (2, 1, 3, 3, 2, 1)
"""ILSVRC2012 ids, whose order is not that of the WordNet ids."""
SYNSETS = {1: CLASSES[2], 2: CLASSES[0], 3: CLASSES[1], 4: "n00001740"}


def add(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def official(tmp_path):
    root = tmp_path / "official"
    root.mkdir()
    with tarfile.open(root / TRAIN_TAR, "w") as outer:
        for wordnet_id in CLASSES:
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as tar:
                for name, data in TRAIN.items():
                    if name.startswith(wordnet_id):
                        add(tar, name.split("/")[1], data)
            add(outer, f"{wordnet_id}.tar", inner.getvalue())
    with tarfile.open(root / VAL_TAR, "w") as tar:
        for name, data in reversed(VAL.items()):
            add(tar, name, data)
    meta = io.BytesIO()
    kind = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("num_children", "O")]
    rows = [(number, name, 3 if number == 4 else 0) for number, name in SYNSETS.items()]
    savemat(meta, {"synsets": np.array(rows, dtype=kind).reshape(-1, 1)})
    with tarfile.open(root / DEVKIT_TAR, "w:gz") as tar:
        add(tar, "ILSVRC2012_devkit_t12/data/meta.mat", meta.getvalue())
        add(
            tar,
            "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt",
            "".join(f"{n}\n" for n in TRUTH).encode(),
        )
    return root


@pytest.fixture
def torchvision(tmp_path):
    root = tmp_path / "torchvision"
    for name, data in TRAIN.items():
        write(root / "train" / name, data)
    for (name, data), number in zip(VAL.items(), TRUTH, strict=True):
        write(root / "val" / SYNSETS[number] / name, data)
    return root


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_imagenet_photos__official_tars_equal_class_folders(official, torchvision):
    tars, folders = imagenet_photos(str(official)), imagenet_photos(str(torchvision))
    assert tars.ids == folders.ids
    assert tars.ids[0] == "train/n01440764/n01440764_17.JPEG"
    assert tars.ids_hash() == folders.ids_hash()
    assert tars.question_hash() == folders.question_hash()
    assert [tars.read(i) for i in range(len(tars))] == [folders.read(i) for i in range(len(folders))]
    assert {tars.name, folders.name} == {"imagenet"}
    assert len(tars.indices("train")) == 9
    assert [tars.labels.names[v] for v in tars.labels.values[tars.indices("val")]] == sorted(SYNSETS[n] for n in TRUTH)


def test_imagenet_photos__survives_pickling(official):
    photos = imagenet_photos(str(official))
    copy = pickle.loads(pickle.dumps(photos.source))
    assert copy.read(2) == photos.source.read(2)


def test_imagenet_photos__training_tar_alone_and_val_without_devkit(official):
    (official / DEVKIT_TAR).unlink()
    with pytest.raises(DataError, match=f"needs {DEVKIT_TAR}"):
        imagenet_photos(str(official))
    (official / VAL_TAR).unlink()
    assert len(imagenet_photos(str(official))) == 9


def test_imagenet_photos__a_truncated_archive_is_one_sentence_or_one_failure(official):
    data = (official / TRAIN_TAR).read_bytes()
    for damaged in (data[: len(data) // 2], b"no tar file" * 100):
        (official / TRAIN_TAR).write_bytes(damaged)
        with pytest.raises(DataError, match=TRAIN_TAR):
            imagenet_photos(str(official))


def test_imagenet_photos__class_folders_alone_get_a_seeded_split(torchvision):
    photos = imagenet_photos(str(torchvision / "train"))
    assert len(photos.indices("train")) + len(photos.indices("val")) == 9
    assert len(photos.indices("val")) == 3


def test_imagenet_photos__flat_val_says_what_is_missing(torchvision):
    for path in list((torchvision / "val").glob("*/*")):
        path.rename(torchvision / "val" / path.name)
    for folder in list((torchvision / "val").iterdir()):
        if folder.is_dir():
            folder.rmdir()
    with pytest.raises(DataError, match="folders"):
        imagenet_photos(str(torchvision))


def test_open_photos__imagenet_and_nothing_there(official, tmp_path):
    assert len(open_photos(f"imagenet:{official}")) == 15
    with pytest.raises(DataError, match="no such folder"):
        open_photos(f"imagenet:{tmp_path / 'nowhere'}")


@pytest.mark.parametrize("tar", [TRAIN_TAR, VAL_TAR])
def test_imagenet_photos__unpacked_folders_are_read_and_not_their_tars(tmp_path, tar):
    for split, n in (("train", 0), ("val", 1)):
        write(tmp_path / split / "n01440764" / f"{n}.JPEG", photo(n))
    (tmp_path / tar).write_bytes(b"half a download")
    photos = imagenet_photos(str(tmp_path))
    assert photos.ids == ("train/n01440764/0.JPEG", "val/n01440764/1.JPEG")
    assert (photos.name, photos.evidence["splits"]) == ("imagenet", "as given by the folder")


@pytest.fixture
def inat(tmp_path):
    root = tmp_path / "inat"
    for split, numbers in (("train", (0, 1, 2, 3)), ("val", (4, 5))):
        images, annotations = [], []
        for n in numbers:
            name = f"train_val2018/Aves/{7 + n % 2}/{n:03d}.jpg"
            write(root / name, photo(n))
            images.append({"id": n, "file_name": name})
            annotations.append({"image_id": n, "category_id": 7 + n % 2})
        (root / f"{split}2018.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    return root


def test_inaturalist_photos__torchvision_layout_has_the_same_ids_and_bytes(inat):
    official = inaturalist_photos(str(inat))
    (inat / "train_val2018").rename(inat / "2018")
    renamed = inaturalist_photos(str(inat))
    assert renamed.ids == official.ids
    assert renamed.ids_hash() == official.ids_hash()
    assert [renamed.read(i) for i in range(6)] == [photo(n) for n in range(6)]
    assert renamed.labels.names == ("0007", "0008")
    assert renamed.neighbours == 1


def test_inaturalist_photos__without_annotations_the_split_is_seeded_and_says_so(inat):
    official = inaturalist_photos(str(inat))
    for name in ("train2018.json", "val2018.json"):
        (inat / name).unlink()
    photos = inaturalist_photos(str(inat))
    assert set(photos.ids) == set(official.ids)
    assert photos.labels.names == official.labels.names
    assert len(photos.indices("val")) == 2
    assert "seeded" in photos.evidence["splits"]
    assert dataclasses.replace(photos).read(0) in [photo(n) for n in range(6)]


@pytest.mark.parametrize("absent", ["train2018.json", "val2018.json"])
def test_inaturalist_photos__one_annotation_file_alone_is_refused_and_draws_no_split(inat, absent):
    (inat / absent).unlink()
    with pytest.raises(DataError) as error:
        inaturalist_photos(str(inat))
    assert str(inat / absent) in str(error.value)


def test_inaturalist_photos__no_photos_folder(tmp_path):
    with pytest.raises(DataError, match="train_val2018"):
        inaturalist_photos(str(tmp_path))
