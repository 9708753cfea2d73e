"""The table of cameras: complete, varied, physically plausible, and strict about what it reads."""

from __future__ import annotations

import copy
import functools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders.errors import DataError, UsageError
from builders.exif import acquisition_from_file
from builders.simcams import bundled_catalogue, camera_named, catalogue, read_catalogue, simcams_photos

BUNDLED = Path(catalogue.__file__).with_name("cameras.yaml")


@pytest.mark.parametrize("camera", bundled_catalogue(), ids=lambda c: c.name)
def test_bundled__full_well_implies_a_possible_efficiency(camera) -> None:  # type: ignore[no-untyped-def]
    """ISO 100 saturates near 8,500 photons a square micrometre of white light; real greens catch about a fifth."""
    body = camera.body
    efficiency = body.full_well_e * body.base_iso / 100 / (8500 * body.pitch_um**2)
    assert 0.12 < efficiency < 0.4
    assert body.base_iso <= 100


@functools.cache
def bundled() -> Any:
    return yaml.safe_load(BUNDLED.read_text(encoding="utf-8"))


def changed(tmp_path: Path, edit: str, value: object) -> Path:
    """The bundled table with one entry changed, by a path of keys."""
    table = copy.deepcopy(bundled())
    at = table
    *path, last = edit.split("/")
    for key in path:
        at = at[key]
    at[last] = value
    file = tmp_path / "cameras.yaml"
    file.write_text(json.dumps(table), encoding="utf-8")  # which is YAML too
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


POSITIVE, NOISE = "full_well_e, pitch_um, base_iso must be above 0", "a noise is below 0"
SCALES, NO_TWO = "scales are not whole per cents above 0", "white_balance or lateral_ca does not have two values"
BELOW = "blur_px, luma_threshold or row_noise_share is below 0"
WRONG: list[tuple[str, dict[str, list[object]], str]] = [
    ("body", {"full_well_e": [0, -1], "pitch_um": [0], "base_iso": [0]}, POSITIVE),
    ("body", {"black_level": [-1, 1023, 1024]}, "black_level does not lie in the range of adc_bits"),
    ("body", {"read_noise_e": [-0.1], "downstream_noise_e": [-0.1], "prnu": [-0.001], "dark_e_per_s": [-0.1]}, NOISE),
    ("body", {"adc_bits": [0, 17, -1, 12.5]}, "adc_bits is not a whole number from 1 to 16"),
    ("body", {"white_balance": [[2.0], [2.0, 1.0, 1.5]]}, NO_TWO),
    ("lens", {"lateral_ca": [[0.1]]}, NO_TWO),
    ("body", {"row_noise_share": [-0.1]}, BELOW),
    ("lens", {"blur_px": [-0.1]}, BELOW),
    ("pipeline", {"luma_threshold": [-0.1]}, BELOW),
    ("lens", {"crop_factor": [0, -1]}, "crop_factor must be above 0"),
    ("lens", {"shading_correction": [-0.01, 1.01]}, "shading_correction is not in [0, 1]"),
    ("lens", {"distortion_wide": [-0.051, 0.051], "distortion_tele": [-0.051, 0.051]}, "distortion is beyond 5 %"),
    ("pipeline", {"chroma_levels": [-1, 4, 1.5]}, "chroma_levels is not 0 to 3"),
    ("pipeline", {"contrast": [-0.01, 1.01]}, "contrast is not in [0, 1]"),
    ("pipeline", {"sharpen_radius_px": [0, -1]}, "sharpen_radius_px must be above 0"),
    ("jpeg", {"scales": [[], [0], [100, -1], [99.5]]}, SCALES),
    ("body", {"pitch_um": ["wide", float("nan"), True]}, "pitch_um is no finite number"),
    ("body", {"white_balance": [["a", 1.0]]}, "white_balance is no finite number"),
    ("lens", {"distortion_tele": [float("inf")]}, "distortion_tele is no finite number"),
    ("jpeg", {"scales": [["a"]]}, "scales is no finite number"),
]
"""Of a part of the camera, by field: values that are refused, and why."""


@pytest.mark.parametrize(
    ("edit", "value", "sentence"),
    [
        ("makes/Alderin/models/A6/kind", "film", "'film'"),
        ("makes/Alderin/models/A6/body", {"pitch_mm": 1}, "'pitch_um'"),
        (
            "makes/Alderin/body/colour_matrix",
            [[1, 0, 0], [0, 1, 0], [0, 0, 2]],
            "colour_matrix",
        ),
        ("makes/Alderin/jpeg/table", "L330", "unknown quantisation table 'L330'"),
        ("makes/Alderin/jpeg/subsampling", "4:1:1", "subsampling is not"),
        ("makes/Alderin/body/bayer", "RGBG", "bayer"),
        ("makes/Alderin/models/A6/body", {"black_level": 5000}, "black_level"),
        ("makes/Alderin/models/A6/pipeline", {"demosaic": "vng"}, "demosaic"),
        ("makes/Alderin/models/A6/kind", None, "compact"),
        ("makes/Alderin/body/colour_matrix", [[1, 0], [0, 1]], "colour_matrix"),
        *(
            (f"makes/Alderin/models/A6/{part}", {field: value}, sentence)
            for part, fields, sentence in WRONG
            for field, values in fields.items()
            for value in values[:1]
        ),
    ],
)
def test_read__a_wrong_field_is_one_sentence_with_the_camera(
    tmp_path: Path, edit: str, value: object, sentence: str
) -> None:
    with pytest.raises(DataError, match="camera Alderin") as caught:
        read_catalogue(changed(tmp_path, edit, value))
    assert sentence in str(caught.value)


def test_read__values_at_the_ends_of_their_ranges(tmp_path: Path) -> None:
    """The model's fields win over those of the make, and these over those of the kind."""
    ends = {
        "body": {"black_level": 0, "read_noise_e": 0, "downstream_noise_e": 0, "prnu": 0, "dark_e_per_s": 0,
                 "row_noise_share": 0, "adc_bits": 16},
        "lens": {"shading_correction": 0, "distortion_wide": -0.05, "distortion_tele": 0.05, "blur_px": 0},
        "pipeline": {"chroma_levels": 0, "contrast": 0, "luma_threshold": 0},
        "jpeg": {"subsampling": "4:2:2", "scales": [1, 300]},
    }  # fmt: skip
    other = {
        "body": {"black_level": 1022},
        "lens": {"shading_correction": 1},
        "pipeline": {"chroma_levels": 3, "contrast": 1},
    }
    for values in (ends, other):
        camera = camera_named(
            "Alderin A6", read_catalogue(changed(tmp_path, "makes/Alderin/models/A6", {"kind": "phone", **values}))
        )
        for part, fields in values.items():
            for field, value in fields.items():
                assert getattr(getattr(camera, part), field) == (tuple(value) if isinstance(value, list) else value)
    table = yaml.safe_load(BUNDLED.read_text(encoding="utf-8"))
    table["kinds"]["phone"]["pipeline"]["saturation"] = 1.25
    for values, expected in (({}, 1.25), ({"saturation": 1.5}, 1.5)):
        table["makes"]["Alderin"]["pipeline"] = values
        (tmp_path / "cameras.yaml").write_text(yaml.safe_dump(table), encoding="utf-8")
        assert camera_named("Alderin A6", read_catalogue(tmp_path / "cameras.yaml")).pipeline.saturation == expected


@pytest.mark.parametrize("text", ["", "makes: 3", "[1, 2]", "kinds: {}\nmakes: {}", "\x00", "a: [1"])
def test_read__another_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "cameras.yaml").write_text(text)
    with pytest.raises(DataError, match=r"cameras.yaml"):
        read_catalogue(tmp_path / "cameras.yaml")


def test_camera_named__error_has_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="G850"):
        camera_named("Galdren G851")
