"""An archive of other bytes, of equal size and time, is indexed again; of the old one no photo is read from it."""

import io
import os
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from builders.data_specs import open_photos
from builders.errors import PhotoError
from builders.sources.imagenet import TRAIN_TAR

LONG_AGO = 315_532_800


def tarred(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def classes(members):
    """A tar of tars, as ImageNet's."""
    names = sorted({name.split("/")[0] for name, _ in members}, reverse=members[0][0] > members[-1][0])
    inner = [(f"{one}.tar", tarred([m for m in members if m[0].startswith(one)])) for one in names]
    return tarred(inner)


def arrays(members):
    buffer = io.BytesIO()
    images = np.stack([np.full((4, 4, 3), data[0], np.uint8) for _, data in members])
    np.savez(buffer, images=images, label=np.arange(len(members)))
    return buffer.getvalue()


FORMS = {
    "imagenet": (TRAIN_TAR, "imagenet:{folder}", classes),
    "shard": ("a.tar", "webdataset:{folder}/a.tar", tarred),
    "camera tar": ("a.tar", "fodb:{folder}/a.tar", tarred),
    "camera zip": ("a.zip", "fodb:{folder}/a.zip", zipped),
    "arrays": ("a.npz", "table:{folder}/a.npz?image=images&label=label", arrays),
}

NAMES = {
    "imagenet": [f"n0000000{c}/n0000000{c}_{i}.JPEG" for c in (1, 2) for i in (1, 2)],
    "camera": [f"D0{c}_Maker_Model_1/orig/D0{c}_img_orig_000{i}.jpg" for c in (1, 2) for i in (1, 2)],
}


def replaced(way, path, data, beside):
    """Write other bytes under a path, with its time of modification."""
    if way == "in place":
        path.write_bytes(data)
    else:
        beside.write_bytes(data)
        os.utime(beside, (LONG_AGO, LONG_AGO))
        if way == "linked":
            path.unlink()
            path.symlink_to(beside)
        else:
            os.replace(beside, path)
    os.utime(path, (LONG_AGO, LONG_AGO))


@pytest.mark.parametrize("form", FORMS)
def test_archive__of_equal_size_and_time_is_read_anew(form, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "set"
    folder.mkdir()
    name, spec, written = FORMS[form]
    names = NAMES.get(form.split()[0], [f"{i}.jpg" for i in range(4)])
    first = [(one, bytes([65 + i]) * 700) for i, one in enumerate(names)]
    swapped = [(one, data) for one, (_, data) in zip(names, reversed(first), strict=True)]
    path = folder / name
    replaced("in place", path, written(first), tmp_path / "new")
    for way in ("in place", "moved", "linked"):
        for members in (swapped, first[::-1], first):
            photos = open_photos(spec.format(folder=folder))
            size = path.stat().st_size
            replaced(way, path, written(members), tmp_path / "new")
            assert path.stat().st_size == size
            if form != "arrays":  # which are in memory
                with pytest.raises(PhotoError, match=name):
                    photos.read(0)
            again = open_photos(spec.format(folder=folder))
            now = {key.rpartition("/")[2].partition(".")[0]: again.read(i) for i, key in enumerate(again.ids)}
            if form == "arrays":
                firsts = [Image.open(io.BytesIO(data)).getpixel((0, 0))[0] for data in now.values()]
                assert firsts == [data[0] for _, data in members]
            else:
                assert now == {one.rpartition("/")[2].partition(".")[0]: data for one, data in members}
