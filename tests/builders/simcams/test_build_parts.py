"""What a build of simulated photos is given: its card, its jobs, its rows, and where the build goes, field by field."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.dataset import ORIGINAL, BuildOptions, Card, PixelRights, pixel_rights
from builders.errors import DataError
from builders.photos import PhotoSet
from builders.pixels import read_jpeg_header
from builders.simcams import ProceduralScenes, build, simcams_photos, simpairs_photos
from builders.simcams.build import SIMPAIRS_FEATURES, build_simcams, build_simpairs, simcams_features, simcams_jobs
from builders.simcams.render import SimulatedShots

OUT = Path("out")
OPTIONS: dict[str, Any] = {"workers": 3, "fresh": True, "ignore_space": True, "progress": False}


@pytest.fixture(scope="module")
def sets() -> tuple[PhotoSet, PhotoSet]:
    return simcams_photos(4, 32), simpairs_photos(3, 32)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(build, "_build", lambda *positional: calls.append(positional))
    return calls


def with_licence(photos: PhotoSet, licence: str) -> PhotoSet:
    source = photos.source
    assert isinstance(source, SimulatedShots)
    assert isinstance(source.scenes, ProceduralScenes)
    return replace(photos, source=replace(source, scenes=replace(source.scenes, licence=licence)))


@pytest.mark.parametrize(("licence", "of_card", "sources"), [("CC0-1.0", "cc0-1.0", ORIGINAL), ("MIT", "mit", ())])
def test_build__card_features_and_options_of_both_kinds(
    sets: tuple[PhotoSet, PhotoSet], given: list[tuple[Any, ...]], licence: str, of_card: str, sources: Any
) -> None:
    cameras, pairs = (with_licence(photos, licence) for photos in sets)
    build_simcams(cameras, OUT, configs=("iso", "make"), **OPTIONS)
    build_simpairs(pairs, OUT, **OPTIONS)
    build_simpairs(pairs, OUT)
    build_simcams(cameras, OUT)
    (kind, photos, jobs, features, card, options), other, plain, whole = given
    assert (kind, photos) == ("simcams", cameras)
    assert options == BuildOptions(OUT, 3, True, True, False)
    assert card == Card(
        template="simcams.md.jinja",
        pretty_name="simcams: one scene, many cameras",
        license=of_card,
        source_datasets=sources,
        tags=("image-forensics", "camera-identification", "synthetic", "acquisition-traces"),
        context={
            "photos": cameras, "pairs": False,
            "attributes": {"iso": cameras.attributes["iso"], "make": cameras.attributes["make"]},
        },
    )  # fmt: skip
    columns = simcams_features({name: cameras.attributes[name].names for name in ("iso", "make")})
    assert features == {"iso": columns, "make": columns, "photos": columns}
    assert list(features) == ["iso", "make", "photos"]
    assert {job.config for job in jobs} == {"photos"}
    assert other[:2] == ("simpairs", pairs)
    assert other[3:] == (
        {"pairs": SIMPAIRS_FEATURES},
        Card(
            template="simcams.md.jinja",
            pretty_name="simpairs: each scene by a phone and by an older compact",
            license=of_card,
            source_datasets=sources,
            tags=("image-forensics", "image-retrieval", "synthetic", "acquisition-traces"),
            task_categories=("image-feature-extraction",),
            context={"photos": pairs, "attributes": {}, "pairs": True},
        ),
        BuildOptions(OUT, 3, True, True, False),
    )
    assert plain[5] == whole[5] == BuildOptions(OUT, 1, False, False, True)
    assert list(whole[3]) == [
        "make", "model", "smartphone_model", "is_smartphone", "exposure", "aperture", "iso", "focal_length", "photos",
    ]  # fmt: skip


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


@pytest.mark.parametrize("shared", [True, False])
def test_build__how_the_folder_is_finished(
    sets: tuple[PhotoSet, PhotoSet], monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    photos = sets[0] if shared else sets[1]
    calls: list[tuple[Any, ...]] = []

    def build_data_set(jobs: Any, options: Any, finish: Any, **how: Any) -> Any:
        calls.append((options, how))
        return finish(["split"], {})

    monkeypatch.setattr(build, "build_data_set", build_data_set)
    monkeypatch.setattr(build, "finish_folder", lambda *given, **how: (given, how))
    source = photos.source
    assert isinstance(source, SimulatedShots)
    if shared:
        given, how = build_simcams(photos, OUT, configs=("iso", "make"))  # type: ignore[misc]
    else:
        given, how = build_simpairs(photos, OUT)  # type: ignore[misc]
    assert calls == [
        (BuildOptions(OUT, 1, False, False, True), {
            "name": photos.name, "item": "scene could be rendered", "alike": True, "write": build.write_groups,
        }),
    ]  # fmt: skip
    assert given == (OUT,)
    assert how["recipe"] == {
        "source": photos.name, "evidence": dict(photos.evidence), "ids_hash": photos.ids_hash(),
        "shots": source.fingerprint(),
    }  # fmt: skip
    assert how["pixels"].allowed
    assert (how["kind"], how["default"]) == (("simcams", "iso") if shared else ("simpairs", "pairs"))
    assert how["splits"] == (() if shared else ["split"])
    if shared:
        assert how["shared"] == build.SharedShards(("iso", "make"), ("split",))
        assert how["counted"] == {"iso": ["iso"], "make": ["make"], "photos": []}
    else:
        assert (how["shared"], how["counted"]) == (None, None)


IMAGENET = PhotoSet.of_bytes("imagenet", {"a": b""})
UNKNOWN_LICENCE = "The licence of the source photos is not known; state it with --license when building."


@pytest.mark.parametrize(
    ("licence", "name", "evidence", "reason"),
    [
        ("CC0-1.0", "simcams", {}, None),
        ("MIT", "folder:pets", {}, None),
        ("unknown", "simcams", {}, UNKNOWN_LICENCE),
        ("Unknown", "folder:pets", {}, UNKNOWN_LICENCE),
        ("MIT", "folder:pets", {"terms": "Not to be passed on."}, "Not to be passed on."),
        ("unknown", "folder:pets", {"terms": "Not to be passed on."}, "Not to be passed on."),
        *((licence, "folder:imagenet", {}, pixel_rights(IMAGENET).reason) for licence in ("unknown", "MIT")),
    ],
)
def test_rights__of_the_source_before_those_that_a_licence_would_give(
    sets: tuple[PhotoSet, PhotoSet], licence: str, name: str, evidence: dict[str, str], reason: str | None
) -> None:
    """A licence that is stated does not allow what the terms of the photos forbid, and is then not demanded either."""
    rights = build._rights(replace(with_licence(sets[1], licence), name=name, evidence=evidence))
    assert rights == (PixelRights(True) if reason is None else PixelRights(False, reason))


def test_build__of_other_photos_is_refused() -> None:
    with pytest.raises(DataError) as error:
        simcams_jobs(replace(PhotoSet.of_bytes("mine", {"a": b""}), attributes={}), OUT, ())
    assert str(error.value) == "mine: not a set of simulated shots"
