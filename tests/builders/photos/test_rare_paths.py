"""Paths that are taken seldom, each by a direct call."""

import numpy as np

from builders.photos import file_stamp
from builders.photos.stamps import FileStamps


def test_stamps__of_files_by_row(tmp_path):
    for i in range(3):
        (tmp_path / str(i)).write_bytes(b"x" * i)
    stamps = FileStamps(lambda row: str(tmp_path / str(row)), np.array([2, 0]))
    assert len(stamps) == 2
    assert list(stamps) == [file_stamp(str(tmp_path / "2")), file_stamp(str(tmp_path / "0"))]
