"""Simulated cameras in the layouts of real camera sets: read by the loaders of those, and marked everywhere."""

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from builders.__main__ import main
from builders.data_specs import open_photos
from builders.dataset import pixel_rights
from builders.exif import read_many
from builders.extras.cameras import SIMULATED_FILE
from tests.support.camera_sets import zipped

pytestmark = pytest.mark.slow

SIZE = ("--size", "32", "--scenes", "3", "--workers", "1")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("layouts")
    for layout in ("fodb", "imagenet-es"):
        assert main(["simcams", "--layout", layout, *SIZE, "--output", str(folder)]) == 0
    return folder


def mean_level(data):
    return float(np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=np.float64).mean())


def names(labels):
    return [labels.names[value] for value in labels.values]


def test_fodb__is_complete_and_says_what_the_files_say(built):
    photos = open_photos(f"fodb:{built / 'simulated-fodb'}")
    assert photos.evidence["design"] == "3 scenes, 27 devices x 6 platforms: 486 photos"
    assert photos.evidence["missing"] == "140 of 143 scenes"
    assert "left out" not in photos.evidence
    original = [i for i, platform in enumerate(names(photos.groups["platform"])) if platform == "original"]
    readings = read_many([photos.read(i) for i in original])
    models = names(photos.attributes["model"])
    for i, reading in zip(original, readings, strict=True):
        stated = f"{reading.acquisition.raw['Make']} {reading.acquisition.raw['Model']}"
        assert models[i].replace("-", " ") == stated.replace("-", " ")


def test_fodb__platforms_save_the_photo_of_the_camera_again(built):
    root = built / "simulated-fodb" / "D01_Alderin_A6_1"
    original = Image.open(root / "orig" / "D01_img_orig_0001.jpg")
    small = Image.open(root / "facebook" / "D01_img_facebook_0001.jpg")
    assert original.size == (32, 32)
    assert small.size == (24, 24)
    assert "Software" not in small.getexif()
    again = np.asarray(original.convert("RGB").resize((24, 24), Image.Resampling.BILINEAR), dtype=float)
    assert np.abs(np.asarray(small.convert("RGB"), dtype=float) - again).mean() < 16


def test_imagenet_es__settings_are_causal_with_the_scene_held_fixed(built):
    photos = open_photos(f"imagenet-es:{built}")
    assert photos.evidence["design"] == "3 scenes, 2 lights x 27 settings: 162 photos"
    readings = read_many([photos.read(i) for i in range(len(photos))])
    exposure, aperture, iso = (names(photos.attributes[name]) for name in ("exposure", "aperture", "iso"))
    for i, reading in enumerate(readings):
        acquisition = reading.acquisition
        assert str(acquisition.exposure_s) == exposure[i]
        assert float(acquisition.f_number) == float(aperture[i])
        assert str(acquisition.iso) == iso[i]
    for scene in set(photos.columns["scene"]):
        for light in ("l1", "l5"):
            at = {
                (aperture[i], exposure[i], iso[i]): mean_level(photos.read(i))
                for i in range(len(photos))
                if photos.columns["scene"][i] == scene and names(photos.groups["light"])[i] == light
            }
            assert len(at) == 27
            by_exposure = [at["9.0", time, "2000"] for time in ("1/1000", "1/60", "1/4")]
            by_iso = [at["9.0", "1/60", speed] for speed in ("250", "2000", "16000")]
            by_aperture = [at[number, "1/60", "2000"] for number in ("16.0", "9.0", "5.0")]
            for levels in (by_exposure, by_iso, by_aperture):
                assert levels == sorted(levels)
                assert levels[2] > levels[0] + 10


@pytest.mark.parametrize("layout", ["fodb", "imagenet-es"])
def test_marks__are_everywhere_and_survive_archives(layout, built, tmp_path):
    folder = built / f"simulated-{layout}"
    assert json.loads((folder / SIMULATED_FILE).read_text())["simulated"].startswith("simulated: rendered by camtrace")
    assert "No camera took these pictures" in (folder / "README.md").read_text()
    files = {f"x/{path.relative_to(folder)}": path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    (tmp_path / "download.zip").write_bytes(zipped(files))
    inner = next(path for path in folder.iterdir() if path.is_dir())
    for place in (folder, tmp_path, inner):
        photos = open_photos(f"{layout}:{place}{'?part=es-test' if layout != 'fodb' else ''}")
        assert "simulated" in photos.name
        assert photos.evidence["simulated"].startswith("simulated: rendered by camtrace")
        assert not pixel_rights(photos).allowed


def test_build__goes_on_and_gives_the_same_bytes(built, tmp_path):
    copy = shutil.copytree(built / "simulated-fodb", tmp_path / "simulated-fodb")
    before = {path: path.read_bytes() for path in copy.rglob("*.jpg")}
    lost = sorted(before)[::7]
    for path in lost:
        path.unlink()
    assert main(["simcams", "--layout", "fodb", *SIZE, "--output", str(tmp_path)]) == 0
    assert {path: path.read_bytes() for path in copy.rglob("*.jpg")} == before
    assert (copy / SIMULATED_FILE).read_bytes() == (built / "simulated-fodb" / SIMULATED_FILE).read_bytes()


def test_pairs__have_two_devices_a_scene(tmp_path):
    assert main(["simcams", "--layout", "fodb", "--pairs", *SIZE, "--output", str(tmp_path)]) == 0
    photos = open_photos(f"fodb:{tmp_path}")
    assert len(photos) == 3 * 2 * 6
    for scene in set(photos.columns["scene"]):
        assert len(set(photos.columns["device"][photos.columns["scene"] == scene])) == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--layout", "fodbb"], "unknown layout 'fodbb'"),
        (["--layout", "imagenet-es", "--pairs"], "--layout"),
        (["--layout", "fodb", "--configs", "iso"], "--layout"),
        (["--layout", "fodb", "--seed", "5"], "--fresh"),
    ],
)
def test_options__that_do_not_fit_are_refused(options, sentence, built, tmp_path, capsys):
    shutil.copytree(built / "simulated-fodb", tmp_path / "simulated-fodb")
    assert main(["simcams", *options, *SIZE, "--output", str(tmp_path)]) == 2
    assert sentence in capsys.readouterr().err


def test_fresh__replaces_a_simulated_set_and_nothing_else(built, tmp_path, capsys):
    shutil.copytree(built / "simulated-fodb", tmp_path / "simulated-fodb")
    one = [*SIZE, "--seed", "5", "--fresh", "--output", str(tmp_path)]
    assert main(["simcams", "--layout", "fodb", "--pairs", *one]) == 0
    assert len(open_photos(f"fodb:{tmp_path}")) == 36
    (tmp_path / "simulated-imagenet-es").mkdir()
    (tmp_path / "simulated-imagenet-es" / "mine.txt").write_text("mine")
    assert main(["simcams", "--layout", "imagenet-es", *one]) == 2
    assert "choose another --output" in capsys.readouterr().err
    assert (tmp_path / "simulated-imagenet-es" / "mine.txt").read_text() == "mine"
