"""The table of cameras: complete, varied, physically plausible, and strict about what it reads."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from builders.errors import DataError, UsageError
from builders.exif.acquisition import acquisition_from_file
from builders.simcams import bundled_catalogue, camera_named, catalogue, read_catalogue, simcams_photos

BUNDLED = Path(catalogue.__file__).with_name("cameras.yaml")
REAL_MAKERS = {
    *("apple", "canon", "casio", "fuji", "google", "hasselblad", "htc", "huawei", "kodak", "konica", "leica", "lg"),
    *("minolta", "motorola", "nikon", "nokia", "olympus", "oneplus", "oppo", "panasonic", "pentax", "polaroid"),
    *("ricoh", "samsung", "sanyo", "sigma", "sony", "toshiba", "vivo", "xiaomi", "yashica"),
}


def test_bundled__nine_makes_of_three_models_of_all_kinds() -> None:
    cameras = bundled_catalogue()
    assert sorted(Counter(c.make for c in cameras).values()) == [3] * 9
    kinds = Counter(c.kind for c in cameras)
    assert kinds == {"phone": 9, "compact": 10, "dslr": 8}
    assert {c.body.bayer for c in cameras} == {"RGGB", "BGGR", "GRBG", "GBRG"}
    assert {c.pipeline.demosaic for c in cameras} == {"bilinear", "malvar"}
    assert {c.jpeg.subsampling for c in cameras} == {"4:4:4", "4:2:2", "4:2:0"}


def test_bundled__names_are_invented() -> None:
    names = " ".join(c.name.lower() for c in bundled_catalogue())
    assert not REAL_MAKERS & set(names.split())


def test_bundled__no_two_makes_share_their_tables() -> None:
    assert len({(c.make, c.jpeg.table) for c in bundled_catalogue()}) == 9
    assert len({c.jpeg.table for c in bundled_catalogue()}) == 9


@pytest.mark.parametrize("camera", bundled_catalogue(), ids=lambda c: c.name)
def test_bundled__full_well_implies_a_possible_efficiency(camera) -> None:  # type: ignore[no-untyped-def]
    """ISO 100 saturates near 8,500 photons a square micrometre of white light; real greens catch about a fifth."""
    body = camera.body
    efficiency = body.full_well_e * body.base_iso / 100 / (8500 * body.pitch_um**2)
    assert 0.12 < efficiency < 0.4
    assert body.base_iso <= 100


def changed(tmp_path: Path, edit: str, value: object) -> Path:
    """The bundled table with one entry changed, by a path of keys."""
    table = yaml.safe_load(BUNDLED.read_text(encoding="utf-8"))
    at = table
    *path, last = edit.split("/")
    for key in path:
        at = at[key]
    at[last] = value
    file = tmp_path / "cameras.yaml"
    file.write_text(yaml.safe_dump(table), encoding="utf-8")
    return file


def test_read__a_camera_is_added_by_a_few_lines(tmp_path: Path) -> None:
    file = changed(tmp_path, "makes/Alderin/models/A15", {"kind": "phone", "body": {"pitch_um": 1.0}})
    added = camera_named("Alderin A15", read_catalogue(file))
    assert added.body.pitch_um == 1.0
    assert added.jpeg == camera_named("Alderin A6").jpeg
    assert added.lens.crop_factor == 6.2  # its kind's


def test_simcams__of_a_table_with_a_camera_more(tmp_path: Path) -> None:
    """The data set follows the table: photos, labels and rendered files."""
    file = changed(tmp_path, "makes/Alderin/models/A15", {"kind": "phone", "body": {"pitch_um": 1.0}})
    usual, photos = simcams_photos(3, 32), simcams_photos(3, 32, cameras=read_catalogue(file))
    assert len(photos) == len(usual) + 3
    assert {i.split("/")[1] for i in photos.ids} - {i.split("/")[1] for i in usual.ids} == {"Alderin-A15"}
    for attribute in ("model", "smartphone_model"):
        names = set(photos.attributes[attribute].names)
        assert names - set(usual.attributes[attribute].names) == {"Alderin A15"}
    of_it = next(i for i, photo_id in enumerate(photos.ids) if photo_id.endswith("/Alderin-A15"))
    assert acquisition_from_file(photos.read(of_it)).model == "A15"


@pytest.mark.parametrize(
    ("edit", "value", "sentence"),
    [
        ("makes/Alderin/models/A6/kind", "film", "camera Alderin A6: kind 'film'"),
        ("makes/Alderin/models/A6/body", {"pitch_mm": 1}, "did you mean 'pitch_um'"),
        (
            "makes/Alderin/body/colour_matrix",
            [[1, 0, 0], [0, 1, 0], [0, 0, 2]],
            "rows of colour_matrix do not sum to 1",
        ),
        ("makes/Alderin/jpeg/table", "L330", "unknown quantisation table 'L330'"),
        ("makes/Alderin/jpeg/subsampling", "4:1:1", "subsampling is not"),
        ("makes/Alderin/body/bayer", "RGBG", "bayer is not one of"),
        ("makes/Alderin/models/A6/body", {"black_level": 5000}, "black_level"),
        ("makes/Alderin/models/A6/pipeline", {"demosaic": "vng"}, "demosaic is not one of"),
    ],
)
def test_read__a_wrong_field_is_one_sentence_with_the_camera(
    tmp_path: Path, edit: str, value: object, sentence: str
) -> None:
    with pytest.raises(DataError, match="camera Alderin") as caught:
        read_catalogue(changed(tmp_path, edit, value))
    assert sentence in str(caught.value)


@pytest.mark.parametrize("text", ["", "makes: 3", "[1, 2]", "kinds: {}\nmakes: {}", "\x00", "a: [1"])
def test_read__another_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "cameras.yaml").write_text(text)
    with pytest.raises(DataError, match=r"cameras.yaml"):
        read_catalogue(tmp_path / "cameras.yaml")


def test_camera_named__error_has_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'Galdren G850'"):
        camera_named("Galdren G851")
