"""Fetched files looked into: pixels and Exif in sandboxes."""

import hashlib

import pytest

from builders.flickrexif.assemble import inspect_files
from builders.flickrexif.assemble.inspect_files import InspectedPixels, inspect_pixels
from builders.processes import SandboxError, WorkerLost
from tests.support.exif_files import picture


def file(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


def test_inspect_pixels__as_in_this_process_and_in_order(tmp_path):
    good, other = file(tmp_path, "a.jpg", picture()), file(tmp_path, "b.jpg", b"no photo")
    changed = good[0], "0" * 64
    absent = tmp_path / "absent.jpg", good[1]
    files = [good, other, changed, absent, good]
    paths, hashes = [path for path, _ in files], [sha for _, sha in files]
    inspected = inspect_files._inspect_pixels_of(paths, hashes, 2)
    assert inspected == [inspect_pixels(*each) for each in files]
    assert [each.damaged for each in inspected] == [False, False, True, True, False]
    assert inspected[0].width > 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (WorkerLost(-11), "decoding it ends the process that does it"),
        (SandboxError("took longer than 300 s"), "decoding it took longer than 300 s"),
    ],
)
def test_inspect_pixels__a_file_that_takes_its_process_down_has_a_reason(tmp_path, error, reason):
    class Broken:
        def call(self, *_, **__):
            raise error

    assert inspect_files._inspect(Broken(), (tmp_path, "")) == InspectedPixels(reason=reason)


@pytest.mark.parametrize(
    "change",
    [
        *({"hashes": [2**63] * 32}, {"hashes": [-1] * 32}, {"hashes": [1]}, {"hashes": None}),
        *({"width": 2**40}, {"height": -3}),
    ],
)
def test_inspected__numbers_that_no_photo_has_are_malformed(change):
    good = {"hashes": [1] * 32, "width": 4, "height": 3, "reason": None, "damaged": False}
    assert inspect_files._inspected(good) == InspectedPixels((1,) * 32, 4, 3)
    assert inspect_files._inspected(good).hash == 1
    with pytest.raises((ValueError, TypeError)):
        inspect_files._inspected(good | change)
