"""Photos as scenes: which of a folder are taken, how they lie in their frame, and what a turned one is."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders.errors import DataError, PhotoError, UsageError
from builders.photos import PhotoSet
from builders.simcams import PhotoScenes, simcams_photos, simpairs_photos
from builders.simcams.build import build_simpairs
from builders.simcams.render import SimulatedShots
from builders.simcams.stages.light import margin_for
from tests.support.images import image_bytes

SIDE = 32
PADDED = SIDE + 2 * margin_for(SIDE, SIDE)


def grey(width: int, height: int, level: int = 90, **options: object) -> bytes:
    return image_bytes(np.full((height, width, 3), level, np.uint8), "JPEG", **options)


def write(folder: Path, name: str, data: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", [None, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0])
def test_shrink_factor__is_that_of_the_upright_photo(tmp_path: Path, orientation: int | None) -> None:
    """A frame of 64 x 32: a photo of 4 by 2 frames that lies on its side has room for less."""
    width, height = (side + 2 * margin_for(32, 64) for side in (64, 32))
    exif = {} if orientation is None else {"exif": turned(orientation)}
    write(tmp_path, "a.jpg", grey(4 * width, 4 * height, **exif))
    scenes = PhotoScenes.of_folder(tmp_path, 32, 64)
    assert scenes.shrink_factor(0) == (
        min(4 * height // width, 4 * width // height) if orientation in range(5, 9) else 4
    )
    assert scenes.light(0).width == 64


@pytest.mark.parametrize("orientation", [None, 3, 5, 8, 9])
@pytest.mark.parametrize("across", [True, False])
def test_of_folder__a_photo_that_lies_across_the_frame_is_too_small(
    tmp_path: Path, orientation: int | None, across: bool
) -> None:
    """Twice a frame of 64 x 32 with its margin, as it lies when it is upright."""
    sides = [2 * (side + 2 * margin_for(32, 64)) for side in (64, 32)]
    exif = {} if orientation is None else {"exif": turned(orientation)}
    write(tmp_path, "a.jpg", grey(*(sides[::-1] if across else sides), **exif))
    if across is (orientation in range(5, 9)):
        scenes = PhotoScenes.of_folder(tmp_path, 32, 64)
        assert (scenes.shrink_factor(0), scenes.light(0).width) == (2, 64)
    else:
        with pytest.raises(DataError, match=re.escape(str(sides[0]))):
            PhotoScenes.of_folder(tmp_path, 32, 64)


def test_shrink_factor__a_broken_exif_block_is_upright_and_a_broken_photo_is_not_opened(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", grey(2 * PADDED, 2 * PADDED, exif=b"Exif\0\0no block at all"))
    scenes = PhotoScenes.of_folder(tmp_path, SIDE, SIDE)
    assert scenes.shrink_factor(0) == 2
    assert scenes.light(0).height == SIDE
    write(tmp_path, "a.jpg", b"no photo")
    with pytest.raises(PhotoError, match="UnidentifiedImageError"):
        scenes.shrink_factor(0)
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(PhotoError):
        scenes.light(0)


def test_of_folder__takes_photos_that_are_large_enough_by_the_hash_of_their_paths(tmp_path: Path) -> None:
    least = 2 * PADDED
    for i, (width, height) in enumerate([(least, least), (least - 1, least), (least, least - 1), (least, least + 9)]):
        write(tmp_path, f"c{i % 2}/{i}.JPG", grey(width, height))
    write(tmp_path, "deep/er/5.png", image_bytes(np.zeros((least, least, 3), np.uint8)))
    write(tmp_path, "6.jpeg", grey(least, least))
    write(tmp_path, "7.txt", grey(least, least))
    write(tmp_path, "8.jpg", b"no photo")
    names = ["6.jpeg", "c0/0.JPG", "c1/3.JPG", "deep/er/5.png"]
    everything = PhotoScenes.of_folder(tmp_path, SIDE, SIDE, licence="cc0-1.0")
    assert everything.paths == tuple(names)
    assert (everything.licence, everything.source, everything.count) == ("cc0-1.0", "folder", 4)
    assert [everything.kind(i) for i in range(4)] == ["photo", "c0", "c1", "er"]
    assert everything.ids == tuple(
        f"photo-{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}" for name in names
    )
    by_hash = sorted(names, key=lambda name: hashlib.blake2b(name.encode()).digest())
    for limit in (1, 2, 4, 9):
        assert PhotoScenes.of_folder(tmp_path, SIDE, SIDE, limit).paths == tuple(sorted(by_hash[:limit]))
    assert PhotoScenes.of_folder(tmp_path, SIDE, SIDE).licence == "unknown"
    with pytest.raises(DataError, match=re.escape(str(2 * (64 + 2 * margin_for(32, 64))))):
        PhotoScenes.of_folder(tmp_path, 32, 64)


def photos_of(folder: Path, licence: str) -> PhotoSet:
    return simpairs_photos(scenes=PhotoScenes.of_folder(folder, SIDE, SIDE, licence=licence))


def test_build__another_licence_of_the_photos_is_another_build(tmp_path: Path) -> None:
    """Rows and card state it; the pixels are the same."""
    write(tmp_path / "photos", "a.jpg", grey(2 * PADDED, 2 * PADDED))
    build = build_simpairs(photos_of(tmp_path / "photos", "unknown"), tmp_path / "out", progress=False)
    reason = "The licence of the source photos is not known; state it with --license when building."
    assert (build.pixels.allowed, build.pixels.reason) == (False, reason)
    stated = photos_of(tmp_path / "photos", "CC-BY-4.0")
    with pytest.raises(UsageError):
        build_simpairs(stated, tmp_path / "out", progress=False)
    build = build_simpairs(stated, tmp_path / "out", fresh=True, progress=False)
    assert build.pixels.allowed
    card = (tmp_path / "out" / "README.md").read_text()
    assert "license: cc-by-4.0" in card
    assert "source_datasets:\n- original" not in card


def test_simcams__copies_and_too_few_scenes(tmp_path: Path) -> None:
    for i in range(3):
        noise = np.random.default_rng(i // 2).integers(0, 256, (2 * PADDED, 2 * PADDED, 3), dtype=np.uint8)
        write(tmp_path, f"{i}.png", image_bytes(noise))
    with pytest.raises(UsageError):
        simcams_photos(scenes=PhotoScenes.of_folder(tmp_path, SIDE, SIDE))
    pairs = simpairs_photos(scenes=PhotoScenes.of_folder(tmp_path, SIDE, SIDE))
    assert isinstance(pairs.source, SimulatedShots)
    assert (len(pairs), pairs.name) == (6, "simpairs:folder")
