"""What a build of simulated photos is given: its card, its jobs, its rows, and where the build goes, field by field."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from builders.errors import DataError
from builders.photos import PhotoSet
from builders.pixels import read_jpeg_header
from builders.simcams import build, simcams_photos, simpairs_photos
from builders.simcams.build import SIMPAIRS_FEATURES, simcams_features, simcams_jobs
from builders.simcams.render import SimulatedShots

OUT = Path("out")


@pytest.fixture(scope="module")
def sets() -> tuple[PhotoSet, PhotoSet]:
    return simcams_photos(4, 32), simpairs_photos(3, 32)


def test_jobs__members_labels_and_recipe_of_each_group(sets: tuple[PhotoSet, PhotoSet]) -> None:
    photos = sets[0]
    source = photos.source
    assert isinstance(source, SimulatedShots)
    seen: dict[str, dict[int, list[int]]] = {}
    for job in simcams_jobs(photos, OUT, ("iso", "make")):
        rows = job.make_rows
        assert isinstance(rows, build.SimulatedRows)
        assert (job.output, job.config, rows.configs) == (OUT, "photos", ("iso", "make"))
        assert rows.kinds == tuple(photos.labels.names[v] for v in photos.labels.values)
        assert list(job.ids) == [photos.ids[i] for i in rows.photos]
        assert rows.labels is not None
        digest = hashlib.sha256(rows.labels.astype("<i8").tobytes()).hexdigest()[:16]
        assert job.recipe == {"shots": source.fingerprint(), "labels": digest, "licence": "CC0-1.0"}
        split = job.split.partition("-")[0]
        for photo, labels in zip(rows.photos.tolist(), rows.labels.tolist(), strict=True):
            assert photo not in seen.setdefault(split, {})
            seen[split][photo] = labels
    for number, split in enumerate(("train", "validation", "test")):
        expected = {
            i: [int(photos.attributes[config].values[i]) for config in ("iso", "make")]
            for i in np.flatnonzero(photos.splits == number).tolist()
        }
        assert seen[split] == {i: labels for i, labels in expected.items() if labels != [-1, -1]}
    [job] = build.simpairs_jobs(sets[1], OUT)
    assert job.recipe["labels"] == "none"
    assert (job.config, job.split, list(job.ids)) == ("pairs", "test", list(sets[1].ids))


def test_rows__every_cell_of_a_pair_and_of_a_labelled_photo(sets: tuple[PhotoSet, PhotoSet]) -> None:
    for photos in sets:
        source = photos.source
        assert isinstance(source, SimulatedShots)
        pairs = photos is sets[1]
        at = 3 if pairs else 40
        data, shot, scene = source.read(at), source.shots[at], source.scene_of[at]
        labels = None if pairs else np.array([[5, -1]])
        rows = build.SimulatedRows(
            source, photos.ids, ("leaves",) * len(photos), np.array([at]), labels, ("iso", "make")
        )
        settings = shot.settings
        header = read_jpeg_header(data)
        assert header is not None
        expected = {
            "image": {"bytes": data, "path": f"{photos.ids[at].replace('/', '-')}.jpg"},
            "photo_id": photos.ids[at],
            "sha256": hashlib.sha256(data).hexdigest(),
            "width": 32, "height": 32, "licence": "CC0-1.0", "attribution": "rendered by camtrace simcams",
            "scene": f"proc-0-{scene:05}", "scene_kind": "leaves", "shrink_factor": 0.0,
            "camera_make": shot.camera.make, "camera_model": shot.camera.model,
            "camera_type": "phone" if shot.camera.kind == "phone" else "camera", "unit": shot.unit,
            "exposure_s": str(settings.exposure_s), "f_number": f"{settings.f_number:.1f}",
            "iso_speed": settings.iso, "focal_length_35mm": settings.focal_length_35mm,
            "focal_length_mm": f"{settings.focal_length_35mm / shot.camera.lens.crop_factor:.2f}",
            "scene_luminance_cd_m2": 120 * settings.f_number**2 / (float(settings.exposure_s) * settings.iso),
        }  # fmt: skip
        if pairs:
            expected |= {
                "source_quality": header.quality, "source_subsampling": header.subsampling,
                "pair_id": f"proc-0-{scene:05}", "camera": shot.camera.name,
            }  # fmt: skip
        else:
            expected |= dict.fromkeys(("licence_url", "licence_checked", "page", "url"), "")
            expected |= {"iso": 5, "make": -1, "owner": f"proc-0-{scene:05}", "size": "original"}
        [row] = rows(0)
        assert row.pop("scene_luminance_cd_m2") == pytest.approx(expected.pop("scene_luminance_cd_m2"))
        assert row == expected
        features = SIMPAIRS_FEATURES if pairs else simcams_features({"iso": tuple("abcdef"), "make": ("b",)})
        assert set(row) | {"scene_luminance_cd_m2"} == set(features)


def test_build__of_other_photos_is_refused() -> None:
    with pytest.raises(DataError) as error:
        simcams_jobs(replace(PhotoSet.of_bytes("mine", {"a": b""}), attributes={}), OUT, ())
    assert str(error.value)
