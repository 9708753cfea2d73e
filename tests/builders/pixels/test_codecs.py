"""File formats: what is registered, what is missing, and the versions that canaries and records hold."""

from PIL import Image

from builders.pixels import (
    PROCESSINGS,
    EditStep,
    Processing,
    process_by_pillow,
)
from builders.pixels.processing import Fit

STAGE = Processing("", 80)


def test_processing__key_leaves_out_later_fields_at_their_defaults():
    first = ["name", "quality", "subsampling", "sharpness", "scale", "resample", "file_format", "options"]
    assert list(Processing("a").key()) == first
    edits = (EditStep("greyscale"),)
    whole = Processing("a", random=(("quality", (1, 2)),), fit=Fit(3, 4), edits=edits, before=(STAGE,))
    key = whole.key()
    assert list(key) == [*first, "random", "fit", "edits", "before"]
    assert key["before"] == [STAGE.key()]
    assert (key["edits"], tuple(key["fit"])) == (({"kind": "greyscale", "values": ()},), (3, 4, "fit", False))
    assert "fit" not in Processing("a", edits=edits).key()


def test_processing__formats_suffixes_and_saving():
    chain = Processing("a", file_format="WEBP", before=(Processing("", file_format="PNG"), STAGE))
    assert chain.formats == {"WEBP", "PNG", "JPEG"}
    suffixes = {kind: Processing("a", file_format=kind).suffix for kind in ("JPEG", "HEIF", "WEBP", "JXL")}
    assert suffixes == {"JPEG": ".jpg", "HEIF": ".heic", "WEBP": ".webp", "JXL": ".jxl"}
    options = (("lossless", True),)
    assert Processing("a", 7, file_format="WEBP", options=options).saving == {
        "format": "WEBP", "quality": 7, "lossless": True,
    }  # fmt: skip
    assert Processing("a", 7).saving == {"format": "JPEG", "quality": 7, "subsampling": "4:4:4"}


def test_process_by_pillow__sharpens_before_it_resizes_and_edits_before_both():
    picture = Image.effect_noise((24, 18), 60).convert("RGB")
    both = Processing("a", sharpness=4, scale=0.5, file_format="PNG", edits=(EditStep("orient", (("exif", 6),)),))
    from PIL import ImageEnhance

    expected = ImageEnhance.Sharpness(picture.transpose(Image.Transpose.ROTATE_270)).enhance(4)
    expected = expected.resize((9, 12), Image.Resampling.BILINEAR)
    assert process_by_pillow(picture, both, "a").tobytes() == expected.tobytes()
    seeds = {process_by_pillow(picture, Processing("a", scale=None), "a", seed).size for seed in range(9)}
    assert len(seeds) > 1


def test_process_by_pillow__whatever_limit_a_program_has_set(monkeypatch):
    picture = Image.effect_noise((40, 30), 60).convert("RGB")
    expected = process_by_pillow(picture, PROCESSINGS["jpeg-q75-420"], "a").tobytes()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert process_by_pillow(picture, PROCESSINGS["jpeg-q75-420"], "a").tobytes() == expected
