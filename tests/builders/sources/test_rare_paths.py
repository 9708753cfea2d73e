"""Paths that are taken seldom, each by a direct call."""

import numpy as np

from builders.photos import file_stamp
from builders.sources import inaturalist_photos
from builders.sources.cameras.archives import ArchiveSource
from builders.sources.inaturalist import OFFICIAL_FOLDER


def test_inaturalist__photos_of_a_folder_by_the_whole_of_their_names(tmp_path):
    """Also where that is not the order of the folders: a hyphen comes before a slash."""
    names = ["Birds/2/a.jpg", "Birds-of-prey/1/b.jpg", "Birds/10/c.jpg", "Ants/zz/d.jpg"]
    for name in names:
        file = tmp_path / OFFICIAL_FOLDER / name
        file.parent.mkdir(parents=True)
        file.write_bytes(b"")
    photos = inaturalist_photos(str(tmp_path))
    assert photos.ids == tuple(f"{OFFICIAL_FOLDER}/{name}" for name in sorted(names))
    assert [photos.labels.names[value] for value in photos.labels.values] == ["zz", "0001", "0010", "0002"]


def test_archives__stamps_of_a_selection_are_those_of_its_photos(tmp_path):
    for name in ("a.tar", "b.zip"):
        (tmp_path / name).write_bytes(name.encode())
    paths = tuple(str(tmp_path / name) for name in ("a.tar", "b.zip"))
    numbers = [np.array(part) for part in ([0, 1, 1, 0], [512, 0, 99, 2048], [7, 8, 9, 10], [7, 8, 90, 10])]
    source = ArchiveSource(paths, *numbers, np.zeros(4, np.int16), np.zeros(4, np.int64))
    (a, b) = (file_stamp(path).text for path in paths)
    every = [f"{a} 512+7", f"{b} 0+8", f"{b} 99+9", f"{a} 2048+10"]
    for rows in ([0, 1, 2, 3], [3, 1], [2]):
        assert [stamp.text for stamp in source.stamps(np.array(rows))] == [every[row] for row in rows]
