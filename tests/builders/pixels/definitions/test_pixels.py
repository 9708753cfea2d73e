"""Processings of files, pixel by pixel against plain Pillow loops that are written out here."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from builders.errors import PhotoError
from builders.pixels import (
    EditStep,
    Processing,
    decode_rgb,
    process_all,
    process_by_pillow,
    processed_file,
    read_definitions,
    use_processings,
)
from builders.pixels.edits import edited
from builders.pixels.processing import Fit

PHOTOS = 70
MODES = ("RGB", "RGB", "L", "CMYK", "RGBA", "LA", "P")


def photo(number: int) -> bytes:
    """A file of an odd size: RGB, grey, CMYK, with transparency, or with a palette."""
    noise = np.frombuffer(hashlib.shake_256(str(number).encode()).digest(40_000), np.uint8)
    width, height = 3 + int(noise[0]) % 71, 3 + int(noise[1]) % 59
    y, x = np.mgrid[:height, :width]
    rough = noise[2 : 2 + width * height * 3].reshape(height, width, 3)
    smooth = np.stack([x * 255 // width, y * 255 // height, (x * y) % 256], -1).astype(np.uint8)
    image = Image.fromarray(np.where(((x + y) % 5 < 2)[..., None], rough, smooth))
    mode = MODES[number % len(MODES)]
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(rough[..., 0]))
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, "JPEG" if mode in ("RGB", "L", "CMYK") else "PNG")
    return buffer.getvalue()


def saved(image: Image.Image, file_format: str, **options) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    opened = Image.open(buffer)
    opened.load()
    return opened


def chain_loop(image: Image.Image) -> Image.Image:
    image = saved(image, "JPEG", quality=60, subsampling="4:2:0")
    width, height = image.size
    size = [max(1, int(side * 0.8 + 0.5)) for side in image.size]
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    image = image.crop((left, top, left + size[0], top + size[1]))
    factor = 24 / max(image.size)
    if factor < 1:
        image = image.resize([max(1, int(side * factor + 0.5)) for side in image.size], Image.Resampling.LANCZOS)
    return saved(image, "JPEG", quality=85, subsampling="4:4:4", progressive=True)


def edits_loop(image: Image.Image) -> Image.Image:
    image = image.transpose(Image.Transpose.ROTATE_270).filter(ImageFilter.GaussianBlur(1.2))
    image = Image.fromarray(np.floor(255 * (np.asarray(image) / 255) ** (1 / 1.4) + 0.5).astype(np.uint8))
    image = image.filter(ImageFilter.UnsharpMask(2.0, 120, 3))
    return saved(image, "WEBP", quality=70)


def twice_loop(image: Image.Image) -> Image.Image:
    image = saved(ImageEnhance.Sharpness(image).enhance(2), "JPEG", quality=75, subsampling="4:2:0")
    image = image.resize([int(side * 0.5) for side in image.size], Image.Resampling.BICUBIC)
    return saved(image, "JPEG", quality=40, subsampling="4:2:0")


TABLES = [[min(255, 3 + i) for i in range(64)], [min(255, 9 + 2 * i) for i in range(64)]]

CASES = {
    "webp": ('{step = "webp", quality = 50}', lambda i: saved(i, "WEBP", quality=50)),
    "webp of quality 0": ('{step = "webp", quality = 0}', lambda i: saved(i, "WEBP", quality=0)),
    "avif of quality 0": (
        '{step = "avif", quality = 0, speed = 8}',
        lambda i: saved(i, "AVIF", quality=0, speed=8, max_threads=1, subsampling="4:2:0"),
    ),
    "heic of quality 0": ('{step = "heic", quality = 0}', lambda i: saved(i, "HEIF", quality=0, subsampling="4:2:0")),
    "sharpness 0": (
        '{step = "sharpen", factor = 0}, {step = "png"}',
        lambda i: saved(ImageEnhance.Sharpness(i).enhance(0), "PNG"),
    ),
    "webp lossless": ('{step = "webp", lossless = true}', lambda i: saved(i, "WEBP", lossless=True)),
    "avif": (
        '{step = "avif", quality = 40, speed = 8}',
        lambda i: saved(i, "AVIF", quality=40, speed=8, max_threads=1, subsampling="4:2:0"),
    ),
    "heic": ('{step = "heic", quality = 40}', lambda i: saved(i, "HEIF", quality=40, subsampling="4:2:0")),
    "jxl": ('{step = "jxl", quality = 60, effort = 3}', lambda i: saved(i, "JXL", quality=60, effort=3)),
    "png": ('{step = "greyscale"}, {step = "png"}', lambda i: saved(i.convert("L").convert("RGB"), "PNG")),
    "jpeg 4:2:2": (
        '{step = "jpeg", quality = 30, chroma = "4:2:2", optimise = true}',
        lambda i: saved(i, "JPEG", quality=30, subsampling="4:2:2"),
    ),
    "jpeg tables": (
        f'{{step = "jpeg", tables = {TABLES}}}',
        lambda i: saved(i, "JPEG", quality=100, subsampling="4:2:0", qtables=TABLES),
    ),
    "chain": (
        '{step = "jpeg", quality = 60}, {step = "crop", share = 0.8}, {step = "resize", width = 24, height = 24, '
        'filter = "lanczos"}, {step = "jpeg", quality = 85, chroma = "4:4:4", progressive = true}',
        chain_loop,
    ),
    "edits": (
        '{step = "orient", exif = 6}, {step = "blur", radius = 1.2}, {step = "gamma", gamma = 1.4}, '
        '{step = "sharpen", radius = 2.0, percent = 120}, {step = "webp", quality = 70}',
        edits_loop,
    ),
    "twice": (
        '{step = "sharpen", factor = 2}, {step = "jpeg", quality = 75}, {step = "resize", scale = 0.5, '
        'filter = "bicubic"}, {step = "jpeg", quality = 40}',
        twice_loop,
    ),
}


def defined(tmp_path, steps: dict[str, str]) -> list[Processing]:
    path = tmp_path / "mine.toml"
    tables = [f'[[processing]]\nname = "{name}"\nsteps = [{text}]\n' for name, text in steps.items()]
    path.write_text("schema = 1\n" + "".join(tables), encoding="utf-8")
    return list(read_definitions(str(path)).processings.values())


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_process_all__pixels_are_those_of_a_plain_loop(tmp_path, case):
    """Photos of odd sizes, grey, CMYK, with transparency."""
    if case == "jxl":
        pytest.importorskip("pillow_jxl")
    steps, loop = CASES[case]
    (processing,) = defined(tmp_path, {"mine": steps})
    for number in range(20 if "heic" in case else PHOTOS):  # whose encoder starts threads for each picture
        image = decode_rgb(photo(number))
        (view,) = process_all(image, [processing], str(number))
        expected = loop(image)
        assert view.size == expected.size
        np.testing.assert_array_equal(np.asarray(view), np.asarray(expected), err_msg=f"photo {number}")


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["study", "web", "messengers", "ntire"])
def test_process_all__shared_stages_change_nothing(preset):
    """All processings of a preset at once, by the engine where it can, equal each by Pillow alone."""
    processings = list(read_definitions(preset).processings.values())
    for number in range(20):
        image = decode_rgb(photo(number))
        views = process_all(image, processings, str(number), seed=number)
        for processing, view in zip(processings, views, strict=True):
            expected = process_by_pillow(image, processing, str(number), seed=number)
            np.testing.assert_array_equal(np.asarray(view), np.asarray(expected), err_msg=processing.name)


def test_process_all__random_numbers_depend_on_photo_and_seed_alone(tmp_path):
    (processing,) = defined(
        tmp_path,
        {"a": '{step = "crop", share = [0.3, 0.9]}, {step = "resize", scale = [0.5, 2.0]}, '
         '{step = "jpeg", quality = [20, 90]}'},
    )  # fmt: skip
    drawn = [processing.drawn(str(i), 0) for i in range(400)]
    assert drawn[7] == processing.drawn("7", 0) != processing.drawn("7", 1)
    qualities = [d.quality for d in drawn]
    assert 20 <= min(qualities) < 25
    assert 85 < max(qualities) <= 90
    scales = np.array([d.scale for d in drawn])
    shares = np.array([dict(d.edits[0].values)["share"] for d in drawn])
    assert 0.5 <= scales.min() < 0.55
    assert 1.95 < scales.max() < 2
    assert abs(np.corrcoef(scales, shares)[0, 1]) < 0.15  # drawn independently


J420, WEBP = '{step = "jpeg", quality = 80}', '{step = "webp", quality = 80}'


FITS = [
    (Fit(100, 100), (300, 200), (100, 67)),
    (Fit(100, 100), (200, 300), (67, 100)),
    (Fit(None, 100), (300, 200), (150, 100)),
    (Fit(100, 100, "outside"), (300, 200), (150, 100)),
    (Fit(100, 50, "exact"), (300, 20), (100, 20)),
    (Fit(100, 50, "exact", True), (300, 20), (100, 50)),
    (Fit(400, 400), (300, 200), (300, 200)),
    (Fit(600, 600, "fit", True), (300, 200), (600, 400)),
    (Fit(1, 1), (300, 2), (1, 1)),
]


@pytest.mark.parametrize(("fit", "before", "after"), FITS)
def test_fit__sizes_by_hand(fit, before, after):
    assert fit.size(before) == after


def test_edited__borders_that_leave_nothing_are_a_photo_error():
    with pytest.raises(PhotoError):
        edited(Image.new("RGB", (9, 9)), EditStep("crop", (("left", 5), ("right", 4))))


def test_processed_file__too_many_pixels_are_refused_before_they_are_made():
    with pytest.raises(PhotoError, match="more than 178956970 pixels"):
        processed_file(Image.new("RGB", (5000, 5000)), Processing("a", scale=8), "id")


def test_use_processings__are_known_in_a_worker_that_did_not_inherit_them(tmp_path):
    import pickle

    from benchmark.views import ProcessingViews

    path = tmp_path / "mine.toml"
    path.write_text('schema = 1\n[[processing]]\nname = "mine"\nsteps = [{step = "png"}]\n', encoding="utf-8")
    use_processings(read_definitions(str(path)).text)
    sent = pickle.dumps(ProcessingViews(("mine",)))
    use_processings("")
    try:
        ((view,),) = pickle.loads(sent).make(photo(0), "a", [np.asarray])
        np.testing.assert_array_equal(view, np.asarray(decode_rgb(photo(0))))
    finally:
        use_processings("")
