"""Photo sets: labels agree with the Exif of the files, splits have no scene in common, pairs show the same scene."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import simcams
from builders.data_specs import open_photos
from builders.exif import acquisition_from_file
from builders.photos import UNLABELLED, PhotoSet
from builders.simcams import (
    PhotoScenes,
    bundled_catalogue,
    simcams_photos,
    simpairs_photos,
)
from builders.simcams.render import SimulatedShots, renderer_hash
from builders.simcams.settings import STUDY_CLASSES
from tests.builders.splits.test_variants import scene as picture
from tests.support.images import image_pixels


@pytest.fixture(scope="module")
def photos() -> PhotoSet:
    return simcams_photos(n_scenes=6, size=48)


@pytest.fixture(scope="module")
def pairs() -> PhotoSet:
    return simpairs_photos(n_scenes=12, size=96)


def grey(data: bytes) -> np.ndarray:
    return image_pixels(data, "L").astype(float)


def test_simcams__every_scene_through_every_camera(photos: PhotoSet) -> None:
    assert len(photos) == 6 * len(bundled_catalogue())
    seen = set(zip(photos.columns["scene"].tolist(), photos.columns["camera"].tolist(), strict=True))
    assert len(seen) == 6 * len(bundled_catalogue())


def test_simcams__splits_share_no_scene(photos: PhotoSet) -> None:
    for scene in np.unique(photos.columns["scene"]):
        assert len(set(photos.splits[photos.columns["scene"] == scene])) == 1


def test_simcams__every_attribute_is_balanced_in_every_split(photos: PhotoSet) -> None:
    assert list(photos.attributes) == [
        "make", "model", "smartphone_model", "is_smartphone", "exposure", "aperture", "iso", "focal_length",
    ]  # fmt: skip
    for name, column in photos.attributes.items():
        for split in range(3):
            values = column.values[(photos.splits == split) & (column.values != UNLABELLED)]
            assert len(set(np.bincount(values, minlength=len(column.names)))) == 1, name


def test_simcams__labels_agree_with_exif(photos: PhotoSet) -> None:
    def named(attribute: str, i: int) -> str | None:
        column = photos.attributes[attribute]
        return column.names[column.values[i]] if column.values[i] != UNLABELLED else None

    for i in range(0, len(photos), 7):
        read = acquisition_from_file(photos.read(i))
        assert named("make", i) in (read.make, None)
        assert named("model", i) in (f"{read.make} {read.model}", None)
        assert named("exposure", i) in (str(read.exposure_s), None)
        assert named("aperture", i) in (f"{float(read.f_number or 0):.1f}", None)
        assert named("iso", i) in (str(read.iso), None)


def test_simcams__source_can_go_to_a_worker_and_gives_the_same_bytes(photos: PhotoSet) -> None:
    copy = pickle.loads(pickle.dumps(photos.source))
    assert [copy.read(i) for i in (40, 3)] == [photos.read(i) for i in (40, 3)]


def test_fingerprint__names_what_decides_the_bytes_and_nothing_else(photos: PhotoSet) -> None:
    def of(**changes: object) -> str:
        made = simcams_photos(**{"n_scenes": 6, "size": 48, **changes})  # type: ignore[arg-type]
        assert isinstance(made.source, SimulatedShots)
        return made.source.fingerprint()

    cameras = bundled_catalogue()
    again = of()
    assert again == of()
    assert (
        len({again, of(size=50), of(seed=1), of(n_scenes=7), of(cameras=cameras[:9]), of(classes=STUDY_CLASSES)}) == 6
    )


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("stages/optics.py", True),
        ("stages/jpeg_tables.yaml", True),
        ("kernels/sensor.py", True),
        ("cameras.yaml", True),
        ("random_numbers.py", True),
        ("settings.py", True),
        ("stages/new.py", True),
        ("cli.py", False),
        ("layouts.py", False),
        ("build.py", False),
    ],
)
def test_renderer_hash__changes_with_every_file_that_decides_a_shot(tmp_path: Path, file: str, counts: bool) -> None:
    package = Path(simcams.__file__).parent
    copy = shutil.copytree(package, tmp_path / "simcams")
    assert renderer_hash(copy) == renderer_hash(package)
    with open(copy / file, "ab") as changed:
        changed.write(b"#")
    assert (renderer_hash(copy) != renderer_hash(package)) is counts


def test_specification__takes_as_many_photos_of_a_folder_as_it_says(tmp_path: Path) -> None:
    for i in range(8):
        picture(i, (320, 320)).save(tmp_path / f"{i}.png")
    for count in (3, 5):
        source = open_photos(f"simcams:{tmp_path}?scenes={count}&size=32").source
        assert isinstance(source, SimulatedShots)
        assert source.scenes.count == count


def test_fingerprint__of_photos_follows_their_bytes_not_their_place(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
    Image.fromarray(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)).save(tmp_path / "a" / "p.png")
    (tmp_path / "b" / "p.png").write_bytes((tmp_path / "a" / "p.png").read_bytes())
    Image.fromarray(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)).save(tmp_path / "c" / "p.png")
    a, b, c = (PhotoScenes.of_folder(tmp_path / folder, 32, 32).fingerprint() for folder in ("a", "b", "c"))
    assert a == b
    assert a != c


def test_simcams__a_copy_of_a_photo_is_no_scene_of_its_own(tmp_path: Path) -> None:
    """Of six photos one is there twice, one saved again and one mirrored."""
    for i in range(6):
        picture(i, (320, 320)).save(tmp_path / f"{i}.png")
    shutil.copyfile(tmp_path / "0.png", tmp_path / "a.png")
    Image.open(tmp_path / "1.png").save(tmp_path / "b.jpg", quality=80)
    Image.open(tmp_path / "2.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "c.png")
    scenes = PhotoScenes.of_folder(tmp_path, 32, 32)
    photos = simcams_photos(scenes=scenes, cameras=bundled_catalogue()[:2])
    assert (scenes.count, len(photos)) == (9, 12)
    source = photos.source
    assert isinstance(source, SimulatedShots)
    assert isinstance(source.scenes, PhotoScenes)
    assert source.scenes.paths == tuple(f"{i}.png" for i in range(6))
    assert photos.evidence["copies"] == "3 photos that nearly equal another are no scenes"


def test_simcams__evidence_names_the_simulation(photos: PhotoSet) -> None:
    assert photos.name == "simcams:procedural"
    assert photos.smoke_test is False
    assert "simulated" in photos.evidence["simulated"]


def test_simpairs__a_phone_and_a_compact_of_every_scene(pairs: PhotoSet) -> None:
    types = pairs.columns["camera_type"].reshape(12, 2)
    assert (types == ["phone", "camera"]).all()
    assert (pairs.columns["pair_id"][::2] == pairs.columns["pair_id"][1::2]).all()
    assert len(set(pairs.columns["camera"])) > 6


def test_simpairs__the_two_shots_differ_and_show_the_same(pairs: PhotoSet) -> None:
    """Coarse pictures, moved against each other by up to 6 %, correlate best with their own partner."""
    coarse = [grey(pairs.read(i)).reshape(24, 4, 24, 4).mean(axis=(1, 3)) for i in range(24)]

    def alike(a: np.ndarray, b: np.ndarray) -> float:
        inner = a[3:-3, 3:-3].ravel()
        return max(
            float(np.corrcoef(inner, b[3 + dy : 21 + dy, 3 + dx : 21 + dx].ravel())[0, 1])
            for dy in range(-2, 3)
            for dx in range(-2, 3)
        )

    table = np.array([[alike(a, b) for b in coarse[1::2]] for a in coarse[::2]])
    assert (table.argmax(axis=1) == np.arange(12)).all()
    assert table.diagonal().min() > 0.7
    for a, b in zip(range(0, 24, 2), range(1, 24, 2), strict=True):
        assert abs(grey(pairs.read(a)) - grey(pairs.read(b))).mean() > 2
