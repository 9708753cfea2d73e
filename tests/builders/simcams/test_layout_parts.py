"""Simulated sets in real layouts: stand-ins of platforms, the mark, the card, and which files are rendered."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.errors import PhotoError, UsageError
from builders.pixels import Processing
from builders.simcams import ProceduralScenes, SceneLight, Settings, Shot, camera_named, layouts
from builders.simcams.layouts import LayoutFile, LayoutPlan
from builders.simcams.settings import UNITS, unit_for
from builders.simcams.stages.optics import Moment

SHOT = Shot(camera_named("Alderin A6"), Settings(Fraction(1, 60), 2.8, 100, 50.0))
SCENES = ProceduralScenes(2, 32, 32)


def test_platforms__size_quality_and_chroma_of_each() -> None:
    assert {name: (p.name, p.scale, p.quality, p.subsampling) for name, p in layouts.PLATFORMS.items()} == {
        "facebook": ("simulated-facebook", 0.75, 71, "4:2:0"),
        "instagram": ("simulated-instagram", 0.7, 75, "4:2:0"),
        "telegram": ("simulated-telegram", 0.8, 87, "4:2:0"),
        "twitter": ("simulated-twitter", 1.0, 85, "4:2:0"),
        "whatsapp": ("simulated-whatsapp", 0.8, 70, "4:2:0"),
    }
    assert all(p == Processing(p.name, p.quality, "4:2:0", scale=p.scale) for p in layouts.PLATFORMS.values())


def test_units__bodies_of_a_model_by_split() -> None:
    assert UNITS == {"train": (1, 2, 3), "val": (4,), "test": (5, 6)}
    for split, units in UNITS.items():
        taken = {unit_for(split, f"scene {i}", camera, 0) for i in range(40) for camera in "ab"}
        assert taken == set(units)
    draws = {
        tuple(unit_for("train", f"{i}", camera, seed) for i in range(20))
        for camera, seed in (("a", 0), ("a", 1), ("b", 0))
    }
    assert len(draws) == 3


FILES = ((LayoutFile("a/1.jpg", SHOT), LayoutFile("a/2.jpg", SHOT, platform="twitter")), (LayoutFile("b/1.jpg", SHOT),))


def test_mark__what_was_simulated_and_what_decides_it() -> None:
    mark = layouts._mark("fodb", SCENES, FILES)
    assert mark == {
        "simulated": "simulated: rendered by camtrace's camera models from 2 procedural scenes; exact labels, no "
        "camera took these pictures; in the layout of fodb",
        "layout": "fodb",
        "recipe": mark["recipe"],
        "licence_of_scenes": "CC0-1.0",
        "cameras": ["Alderin A6"],
    }
    others = [
        layouts._mark("imagenet-es", SCENES, FILES),
        layouts._mark("fodb", replace(SCENES, seed=1), FILES),
        layouts._mark("fodb", SCENES, FILES[:1]),
        layouts._mark("fodb", SCENES, (FILES[0], (replace(FILES[1][0], stops=1.0),))),
    ]
    recipes = [str(each["recipe"]) for each in (mark, *others)]
    assert len(set(recipes)) == 5
    assert {len(recipe) for recipe in recipes} == {32}


@pytest.mark.parametrize(
    ("layout", "sentence"),
    [
        ("fodb", "The versions of social networks are stand-ins: their sizes and JPEG qualities are guesses."),
        (
            "imagenet-es",
            "A scene keeps its light, and classes (`n00000001`, ...) are kinds of scenes, not classes of WordNet.",
        ),
    ],
)
def test_card__the_whole_page(layout: str, sentence: str) -> None:
    mark = {"simulated": "SIMULATED", "files": 7, "licence_of_scenes": "MIT", "recipe": "abc"}
    assert layouts._card(layout, mark) == (
        f"# Simulated, in the layout of {layout}\n\n"
        "**No camera took these pictures.** They are for trying loaders, tasks and guides of the real set, and are no "
        "part of it.\nWhat is measured on them says how this simulation acts, and nothing about the real set or any "
        "manufacturer.\n\n- SIMULATED\n- 7 files; scenes under MIT; recipe abc\n\n"
        f"{sentence}\n\n"
        f"Read it with `--data {layout}:PATH_OF_THIS_FOLDER`. `{layouts.SIMULATED_FILE}` marks it: results and reports "
        'say "simulated".\n'
    )


def test_prepare__refusals_and_what_stays(tmp_path: Path) -> None:
    root, mark = tmp_path / "simulated-fodb", {"recipe": "one", "layout": "fodb"}
    layouts._prepare(root, mark, False)
    stored = root / layouts.SIMULATED_FILE
    assert json.loads(stored.read_text()) == mark
    (root / "a.jpg").write_bytes(b"1")
    layouts._prepare(root, {**mark, "files": 3}, False)  # the same recipe: it goes on
    assert (root / "a.jpg").exists()
    assert json.loads(stored.read_text()) == mark
    other = {**mark, "recipe": "two"}
    with pytest.raises(UsageError) as error:
        layouts._prepare(root, other, False)
    assert (
        str(error.value) == f"{root} holds a simulated set of other settings: say --fresh, or choose another --output"
    )
    layouts._prepare(root, mark, True)  # nothing to replace
    assert (root / "a.jpg").exists()
    layouts._prepare(root, other, True)
    assert not (root / "a.jpg").exists()
    assert json.loads(stored.read_text()) == other
    stored.unlink()
    layouts._prepare(root, mark, False)  # an empty folder
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").write_bytes(b"")
    for fresh in (True, False):
        with pytest.raises(UsageError) as error:
            layouts._prepare(tmp_path / "mine", mark, fresh)
        assert str(error.value) == (
            f"{tmp_path / 'mine'} holds files and no {layouts.SIMULATED_FILE}: choose another --output"
        )


def test_scene__files_that_are_there_are_taken_and_platforms_follow_the_camera(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    class Scenes:
        def light(self, index: int) -> str:
            calls.append(("light", index))
            return f"light {index}"

    monkeypatch.setattr(
        layouts, "_rendered", lambda light, file: calls.append((light, file.path)) or file.path.encode()
    )
    monkeypatch.setattr(layouts, "decode_rgb", lambda data: f"pixels of {data.decode()}")
    monkeypatch.setattr(
        layouts, "processed_file", lambda pixels, how, name: f"{pixels} by {how.name} as {name}".encode()
    )
    files = (
        LayoutFile("1.jpg", SHOT), LayoutFile("1t.jpg", SHOT, platform="twitter"),
        LayoutFile("2.jpg", SHOT), LayoutFile("2t.jpg", SHOT, platform="telegram"), LayoutFile("3.jpg", SHOT),
    )  # fmt: skip
    (tmp_path / "2.jpg").write_bytes(b"an earlier 2")
    ticks: list[int] = []
    plan = LayoutPlan(tmp_path, Scenes(), ((), files))  # type: ignore[arg-type]
    digests, reason = layouts._scene(plan, 1, lambda: ticks.append(1))
    contents = {
        "1.jpg": b"1.jpg", "1t.jpg": b"pixels of 1.jpg by simulated-twitter as 1t.jpg", "2.jpg": b"an earlier 2",
        "2t.jpg": b"pixels of an earlier 2 by simulated-telegram as 2t.jpg", "3.jpg": b"3.jpg",
    }  # fmt: skip
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == contents
    assert (digests, reason) == ([hashlib.sha256(data).hexdigest() for data in contents.values()], "")
    assert calls == [("light", 1), ("light 1", "1.jpg"), ("light 1", "3.jpg")]
    assert ticks == [1] * 5

    def broken(light: object, file: object) -> bytes:
        raise PhotoError("cannot be decoded")

    monkeypatch.setattr(layouts, "_rendered", broken)
    (tmp_path / "3.jpg").unlink()
    assert layouts._scene(plan, 1, lambda: None) == ([], "cannot be decoded")


@pytest.mark.parametrize(("stops", "factor"), [(0.0, 1), (1.0, 2), (-2.0, 0.25)])
@pytest.mark.parametrize("steady", [True, False])
def test_rendered__brighter_by_its_stops_and_still_in_a_studio(
    monkeypatch: pytest.MonkeyPatch, stops: float, factor: float, steady: bool
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(layouts, "render_shot", lambda *given: calls.append(given) or b"file")
    light = SceneLight.of_linear_rgb("s", np.full((8, 8, 3), 0.5, np.float32), 0, expose=False)
    assert layouts._rendered(light, LayoutFile("x", SHOT, stops, steady=steady)) == b"file"
    [(given, shot, moment)] = calls
    np.testing.assert_allclose(given.spectrum, light.spectrum * factor, rtol=1e-6)
    assert given.spectrum.dtype == light.spectrum.dtype
    assert (given.scene_id, given.height, shot) == ("s", 8, SHOT)
    assert moment == (Moment.still() if steady else None)


def test_word__marks_that_separate_parts_of_a_path_are_dashes() -> None:
    assert [layouts._word(text) for text in ("A b", "A_b.c", "E-1", "x/y", "é")] == ["A-b", "A-b-c", "E-1", "x-y", "é"]
