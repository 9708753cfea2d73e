"""Parameters: the pixels of each class match its name; the class assigned to a photo."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from builders.pixels import ALL_PARAMETERS, PARAMETERS, PROCESSINGS, assigned_class, assigned_classes, random_scale
from builders.pixels.process import process

ID = "some/photo.jpg"


def photo() -> Image.Image:
    coarse = np.random.default_rng(3).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((66, 50), Image.Resampling.BICUBIC)


def saved(image: Image.Image, quality: int = 95, subsampling: str = "4:4:4") -> np.ndarray:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(buffer).convert("RGB"))


def resized(factor: float, name: str = "bilinear") -> Image.Image:
    image = photo()
    size = (int(image.width * factor), int(image.height * factor))
    return image.resize(size, Image.Resampling[name.upper()])


PROMISED = {
    ("jpeg", "q75-420"): lambda: saved(photo(), 75, "4:2:0"),
    ("jpeg", "q75-444"): lambda: saved(photo(), 75),
    ("jpeg", "q85-420"): lambda: saved(photo(), 85, "4:2:0"),
    ("jpeg", "q85-444"): lambda: saved(photo(), 85),
    ("jpeg", "q95-420"): lambda: saved(photo(), 95, "4:2:0"),
    ("jpeg", "q95-444"): lambda: saved(photo()),
    ("sharpening", "none"): lambda: saved(photo()),
    ("sharpening", "x2"): lambda: saved(ImageEnhance.Sharpness(photo()).enhance(2)),
    ("sharpening", "x4"): lambda: saved(ImageEnhance.Sharpness(photo()).enhance(4)),
    ("resizing", "none"): lambda: saved(photo()),
    ("resizing", "x0.5"): lambda: saved(resized(0.5)),
    ("resizing", "x2"): lambda: saved(resized(2)),
    **{
        ("interpolation", name): lambda name=name: saved(resized(random_scale(ID), name))
        for name in ("bilinear", "bicubic", "lanczos", "box")
    },
}


@pytest.mark.parametrize(("parameter", "name"), PROMISED)
def test_parameter__a_class_is_what_its_name_says(parameter, name):
    question = PARAMETERS[parameter]
    processing = PROCESSINGS[question.processings[question.classes.index(name)]]
    np.testing.assert_array_equal(np.asarray(process(photo(), processing, ID)), PROMISED[parameter, name]())


def unit(message: str) -> float:
    """53 bits of BLAKE2b as a number in [0, 1): the fraction that the first 8 bytes are of 2^64, cut to a double."""
    head = hashlib.blake2b(message.encode(), digest_size=8).digest()
    return (int.from_bytes(head, "big") // 2**11) / 2**53


@pytest.mark.parametrize("parameter", ["jpeg", "sharpening", "resizing", "interpolation"])
@pytest.mark.parametrize("seed", [0, 3])
def test_assigned_class__from_the_names_of_parameter_seed_and_photo(parameter, seed):
    question = PARAMETERS[parameter]
    ids = [f"n{i:04d}.jpg" for i in range(50)]
    expected = [int(unit(f"class/{parameter}\0{seed}\0{i}") * len(question.classes)) for i in ids]
    assert [assigned_class(i, question, seed) for i in ids] == expected


def test_assigned_class__two_parameters_of_three_classes_are_assigned_apart():
    """Sharpening and resizing agree by chance, on a third of the photos, and not on all of them."""
    ids = [f"{i}" for i in range(3000)]
    same = [assigned_class(i, PARAMETERS["sharpening"]) == assigned_class(i, PARAMETERS["resizing"]) for i in ids]
    assert abs(np.mean(same) - 1 / 3) < 4 * np.sqrt(2 / 9 / 3000)


def test_random_scale__from_the_names_of_seed_and_photo():
    assert random_scale(ID, 4) == pytest.approx(0.8 + 0.4 * unit(f"scale\0{4}\0{ID}"), abs=1e-15)


def test_assigned_classes__as_one_by_one():
    ids = [f"photo {i}" for i in range(300)] + ["\udcff.jpg", "", "ü\0x"]
    for parameter in PARAMETERS.values():
        for seed in (0, 12):
            assert assigned_classes(ids, parameter, seed).tolist() == [assigned_class(i, parameter, seed) for i in ids]
    assert assigned_classes([], PARAMETERS["jpeg"]).tolist() == []


def test_parameters__a_title_is_the_name_with_a_capital():
    for name, parameter in ALL_PARAMETERS.items():
        assert parameter.title[:1].isupper(), name
        assert parameter.title.lower().replace(", ", "-").replace(" ", "-") == name
