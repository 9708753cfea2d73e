"""Options of the command of simulated cameras: each arrives, and wrong ones are refused by their words."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.__main__ import main
from builders.data_specs import open_photos
from builders.errors import UsageError
from builders.photos import SPLITS, UNLABELLED, Labels
from builders.simcams import (
    ProceduralScenes,
    bundled_catalogue,
    camera_named,
    cli,
    layouts,
    simcams_photos,
    simpairs_photos,
)
from builders.simcams import build as build_module
from builders.simcams.photo_sets import camera_labels
from builders.simcams.render import SimulatedShots, date_taken
from builders.simcams.settings import (
    STOPS,
    STUDY_CLASSES,
    ClassLists,
    balanced,
    setting_labels,
    settings_for_scene,
    split_scenes,
)
from builders.sources import SIMULATED_FILE


def arguments(words: str, output: Path) -> list[str]:
    return ["simcams", "--scenes", "4", "--size", "32", *words.split(), "--output", str(output)]


def png(pixels: np.ndarray) -> bytes:
    from tests.support.images import image_bytes

    return image_bytes(pixels)


def test_jobs__of_ranks(tmp_path: Path) -> None:
    def jobs(words: str, sizes: dict[str, int] | None = None) -> Any:
        parsed = cli.parser().parse_args(arguments(words, tmp_path)[1:])
        return parsed.jobs(parsed, sizes)

    with pytest.raises(UsageError, match="--layout"):
        jobs("--layout fodb")
    photos = simcams_photos(scenes=ProceduralScenes(4, 32, 32))
    expected = build_module.simcams_jobs(photos, tmp_path, ("iso", "make"))
    made = jobs("--configs iso,make", {f"photos/{job.split}": 3 for job in expected})
    assert [(job.config, job.split, list(job.ids), job.items_per_shard) for job in made] == [
        (job.config, job.split, list(job.ids), 3) for job in expected
    ]
    assert [job.recipe for job in made] == [job.recipe for job in expected]
    [pairs] = jobs("--pairs", {"pairs/test": 2})
    assert (pairs.config, pairs.split, len(pairs.ids), pairs.items_per_shard) == ("pairs", "test", 8, 2)


def test_simcams_jobs__other_labels_are_other_recipes(tmp_path: Path) -> None:
    photos = simcams_photos(scenes=ProceduralScenes(3, 32, 32))
    iso = photos.attributes["iso"]
    other = replace(photos, attributes={**photos.attributes, "iso": Labels(iso.names, iso.values[::-1].copy())})
    recipes = [
        {job.split: job.recipe for job in build_module.simcams_jobs(p, tmp_path, ("iso",))} for p in (photos, other)
    ]
    assert recipes[0] != recipes[1]
    with pytest.raises(UsageError, match="'isos'"):
        build_module.build_simcams(photos, tmp_path, configs=("isos",))


def test_layouts__files_of_imagenet_es(tmp_path: Path) -> None:
    """27 settings, the middle one exposed correctly under the first light and two stops darker under the second."""
    scenes = ProceduralScenes(5, 32, 32)
    files = layouts.imagenet_es_files(scenes, bundled_catalogue(), 4)
    camera = next(camera for camera in bundled_catalogue() if camera.kind == "dslr")
    kinds = sorted({scenes.kind(i) for i in range(5)})
    for i, of_scene in enumerate(files):
        assert len(of_scene) == 54
        for at, file in enumerate(of_scene):
            light, number = divmod(at, 27)
            aperture, rest = divmod(number, 9)
            settings = file.shot.settings
            assert settings.f_number == (5, 9, 16)[aperture]
            assert settings.exposure_s == (Fraction(1, 4), Fraction(1, 60), Fraction(1, 1000))[rest // 3]
            assert (settings.iso, settings.focal_length_35mm) == ((250, 2000, 16000)[rest % 3], 50)
            folder = f"n{kinds.index(scenes.kind(i)) + 1:08}"
            path = f"es-test/param_control/{('l1', 'l5')[light]}/param_{number + 1}/{folder}/{scenes.ids[i]}.JPEG"
            assert (file.path, file.steady, file.platform) == (path, True, "")
            assert (file.shot.camera, file.shot.seed, file.shot.unit) == (camera, 8 + light, 1)
            brighter = np.log2(float(settings.exposure_s) * 60 * settings.iso / 2000 * 81 / settings.f_number**2)
            assert file.stops == pytest.approx((0, -2)[light] + brighter)
    with pytest.raises(UsageError, match="--layout"):
        layouts.imagenet_es_files(scenes, [c for c in bundled_catalogue() if c.kind != "dslr"], 0)  # type: ignore[arg-type]


def test_layouts__record_mark_and_failures(tmp_path: Path, capsys: Any) -> None:
    """Seven photos, six of which are cut when they are rendered: five are named."""
    (tmp_path / "photos").mkdir()
    for i in range(7):
        noise = np.random.default_rng(i).integers(0, 256, (96, 96, 3), dtype=np.uint8)
        data = png(noise)
        (tmp_path / "photos" / f"{i}.png").write_bytes(data[: len(data) // 2] if i else data)
    command = ["simcams", "--layout", "imagenet-es", "--data", f"folder:{tmp_path / 'photos'}", "--size", "32"]
    command += ["--workers", "1", "--license", "cc0-1.0", "--output", str(tmp_path / "out")]
    (tmp_path / "out" / "simulated-imagenet-es").mkdir(parents=True)  # an empty folder is no other set
    assert main([*command, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    folder = tmp_path / "out" / "simulated-imagenet-es"
    assert (record["folder"], record["files"], record["simulated"]) == (str(folder), 54, True)
    assert len(record["failures"]) == 6
    mark = json.loads((folder / SIMULATED_FILE).read_text())
    assert (mark["layout"], mark["files"], mark["failures"]) == ("imagenet-es", 54, record["failures"])
    assert (mark["licence_of_scenes"], len(mark["cameras"]), len(mark["recipe"])) == ("cc0-1.0", 1, 32)
    assert mark["simulated"].endswith(
        "7 folder scenes; exact labels, no camera took these pictures; in the layout of imagenet-es"
    )
    card = (folder / "README.md").read_text()
    assert "54 files; scenes under cc0-1.0" in card
    assert "classes of WordNet" in card
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert f"54 simulated photos in {folder}: score them with --data imagenet-es:{folder}" in printed
    assert printed.count("not rendered: photo-") == 5
    (folder / SIMULATED_FILE).write_text("[]")
    assert main(command) == 2
    assert "holds a simulated set of other settings: say --fresh" in capsys.readouterr().err
    for path in (tmp_path / "photos").iterdir():
        path.write_bytes(path.read_bytes()[:2000])
    assert main([*command, "--fresh"]) == 2
    assert "no scene could be rendered (the first: photo-" in capsys.readouterr().err


def test_photo_sets__what_is_drawn_for_pairs() -> None:
    pairs = simpairs_photos(800, 32, 5)
    assert isinstance(pairs.source, SimulatedShots)
    for i, shot in enumerate(pairs.source.shots):
        phone, settings, framing = i % 2 == 0, shot.settings, shot.framing
        assert shot.camera.kind == ("phone" if phone else "compact")
        assert settings.exposure_s in (Fraction(1, 60), Fraction(1, 125), Fraction(1, 250))
        assert settings.iso in (100, 200, 400)
        assert settings.f_number in ((1.8, 2.2, 2.4) if phone else (2.8, 3.5, 4.5))
        assert settings.focal_length_35mm in ((26, 28) if phone else (28, 35))
        assert shot.unit in (1, 2, 3)
        assert max(abs(framing.shift_x), abs(framing.shift_y), abs(np.log(framing.scale))) <= 0.03 + 1e-12
        assert abs(framing.rotation_deg) <= 1.5
    shots = pairs.source.shots
    assert {shot.unit for shot in shots} == {1, 2, 3}
    assert len({(shot.settings, shot.framing) for shot in shots}) == len(shots)
    for name, spread, most in (("shift_x", 0.011, 0.03), ("shift_y", 0.011, 0.03), ("rotation_deg", 0.5, 1.5)):
        values = np.array([getattr(shot.framing, name) for shot in shots])
        assert values.std() == pytest.approx(spread, rel=0.1)
        assert abs(values).max() == most  # one of some hundreds is cut
    scales = np.log([shot.framing.scale for shot in shots])
    assert scales.std() == pytest.approx(0.011, rel=0.1)
    assert abs(scales).max() == pytest.approx(0.03, abs=1e-12)
    assert set(pairs.splits) == {SPLITS.index("test")}
    assert not pairs.attributes
    assert pairs.ids[0] == f"proc-5-00000/{shots[0].camera.name.replace(' ', '-')}"


def test_photo_sets__wrong_input() -> None:
    cameras = bundled_catalogue()
    for kind in ("phone", "compact"):
        with pytest.raises(UsageError):
            simpairs_photos(3, 32, cameras=tuple(c for c in cameras if c.kind != kind))
    with pytest.raises(UsageError):
        simpairs_photos(0, 32)
    for size in (30, 33):
        for make in (simcams_photos, simpairs_photos):
            with pytest.raises(UsageError, match=re.escape(str(size))):
                make(3, size)
    assert len(simpairs_photos(1, 32)) == 2


def test_camera_labels__phones_alone_have_a_model_of_a_smartphone() -> None:
    cameras = [camera_named(name) for name in ("Galdren G300", "Alderin A6", "Brevik Nord 2", "Alderin A6")]
    labels = {
        name: [(*column.names, None)[v] for v in column.values] for name, column in camera_labels(cameras).items()
    }
    assert labels["make"] == ["Galdren", "Alderin", "Brevik", "Alderin"]
    assert labels["model"] == [camera.name for camera in cameras]
    assert labels["smartphone_model"] == [None, "Alderin A6", "Brevik Nord 2", "Alderin A6"]
    assert len(set(labels["is_smartphone"][1:])) == 1
    assert labels["is_smartphone"][0] != labels["is_smartphone"][1]


def test_settings__of_a_scene_and_their_labels() -> None:
    lists = ClassLists(("1/2", "2"), ("1.8", "11.0"), ("100", "200", "400"), ("24.0", "70.0"))
    shots = settings_for_scene("a", 7, lists, 1)
    for values, classes in (
        ([s.exposure_s for s in shots], [Fraction(1, 2), Fraction(2)]),
        ([s.f_number for s in shots], [1.8, 11.0]),
        ([s.iso for s in shots], [100, 200, 400]),
        ([s.focal_length_35mm for s in shots], [24.0, 70.0]),
    ):
        counts = sorted(values.count(c) for c in classes)  # type: ignore[arg-type]
        assert counts == ([2, 2, 3] if len(classes) == 3 else [3, 4])
    labels = setting_labels(shots, lists)
    assert [labels["exposure"].names[v] for v in labels["exposure"].values] == [str(s.exposure_s) for s in shots]
    assert [labels["aperture"].names[v] for v in labels["aperture"].values] == [str(s.f_number) for s in shots]
    assert [labels["iso"].names[v] for v in labels["iso"].values] == [str(s.iso) for s in shots]
    named = [labels["focal_length"].names[v] for v in labels["focal_length"].values]
    assert named == [str(s.focal_length_35mm) for s in shots]
    assert shots != settings_for_scene("b", 7, lists, 1) != settings_for_scene("a", 7, lists, 2)
    assert min(map(int, STUDY_CLASSES.iso)) == 100
    assert min(map(float, STUDY_CLASSES.focal_length)) == 18
    assert len(STOPS.focal_length) == 5


@pytest.mark.parametrize(("count", "sizes"), [(1, {0: 1}), (3, {0: 1, 1: 1, 2: 1}), (8, {0: 5, 1: 1, 2: 2}),
                                              (50, {0: 32, 1: 6, 2: 12})])  # fmt: skip
def test_split_scenes__sizes(count: int, sizes: dict[int, int]) -> None:
    splits = split_scenes([f"s{i}" for i in range(count)], 0)
    assert dict(zip(*np.unique(splits, return_counts=True), strict=True)) == sizes
    if count > 3:
        assert not np.array_equal(splits, split_scenes([f"s{i}" for i in range(count)], 1))


def test_balanced__a_class_without_a_photo_leaves_none() -> None:
    labels = Labels(("a", "b"), np.array([0, 0, 0, 1, UNLABELLED], dtype=np.int32))
    splits = np.array([0, 0, 2, 2, 1], dtype=np.int8)
    assert balanced(labels, splits, "test", 0).values.tolist() == [-1, -1, 0, 1, -1]
    assert labels.values.tolist() == [0, 0, 0, 1, UNLABELLED]


def test_date_taken__is_a_date_of_eight_years() -> None:
    dates = [date_taken(f"scene {i}") for i in range(400)]
    assert {date[:4] for date in dates} == {str(year) for year in range(2015, 2023)}
    assert {date[5:7] for date in dates} == {f"{month:02}" for month in range(1, 13)}
    assert {date[8:10] for date in dates} == {f"{day:02}" for day in range(1, 29)}
    assert {date[11:13] for date in dates} == {f"{hour:02}" for hour in range(24)}
    assert {date[14:16] for date in dates} == {date[17:19] for date in dates} == {f"{m:02}" for m in range(60)}
    assert date_taken("scene 3") == dates[3]


def test_scenes__have_numbers_of_five_digits() -> None:
    assert ProceduralScenes(100_000, 32, 32).count == 100_000
    with pytest.raises(UsageError, match="100,001 scenes are more than 100,000"):
        ProceduralScenes(100_001, 32, 32)
    with pytest.raises(UsageError, match="999,999,999 scenes are more than 100,000"):
        open_photos("simcams:?scenes=999999999")
