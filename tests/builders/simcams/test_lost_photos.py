"""Photos of scenes that change or cannot be read after they were listed; tables that lack fields; scenes of rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from builders.errors import DataError, PhotoError
from builders.simcams import PhotoScenes, catalogue, read_catalogue
from tests.support.images import image_bytes


def scenes_of(folder: Path, count: int = 2) -> PhotoScenes:
    for i in range(count):
        noise = np.random.default_rng(i).integers(0, 256, (96, 96, 3), dtype=np.uint8)
        (folder / f"{i}.png").write_bytes(image_bytes(noise))
    return PhotoScenes.of_folder(folder, 32, 32)


def test_fingerprint__of_a_photo_that_is_gone_is_another(tmp_path: Path) -> None:
    scenes = scenes_of(tmp_path)
    first = scenes.fingerprint()
    data = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").unlink()
    gone = scenes.fingerprint()
    (tmp_path / "1.png").mkdir()
    folder = scenes.fingerprint()
    (tmp_path / "1.png").rmdir()
    (tmp_path / "1.png").write_bytes(data)
    assert scenes.fingerprint() == first
    assert len({first, gone, folder}) == 3


def test_light__of_a_photo_that_has_become_too_small(tmp_path: Path) -> None:
    scenes = scenes_of(tmp_path)
    (tmp_path / "0.png").write_bytes(image_bytes(np.zeros((79, 90, 3), np.uint8)))
    with pytest.raises(PhotoError) as error:
        scenes.light(0)
    assert "90" in str(error.value)


def test_read_catalogue__fields_that_are_missing_are_named(tmp_path: Path) -> None:
    table = yaml.safe_load(Path(catalogue.__file__).with_name("cameras.yaml").read_text(encoding="utf-8"))
    for name in ("distortion_wide", "crop_factor"):
        models = [model for make in table["makes"].values() for model in make["models"].values()]
        for part in (*table["kinds"].values(), *table["makes"].values(), *models):
            part.get("lens", {}).pop(name, None)
    (tmp_path / "some.yaml").write_text(yaml.safe_dump(table, sort_keys=False), encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_catalogue(tmp_path / "some.yaml")
    make, _names = next((make, list(fields["models"])) for make, fields in table["makes"].items())
    assert str(make) in str(error.value)
