"""Ways as texts, mappings and functions; decoders and libraries against their own calls."""

import io

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageCms
from torchvision.transforms import functional

from benchmark.encoders import Pixels, with_library
from benchmark.encoders.preprocess.by_library import LibraryTransform
from benchmark.encoders.preprocess.pixels import CenterCrop, CenterSquare, ResizeShort, ResizeTo
from benchmark.extras.diff.decoders import decoded
from benchmark.extras.diff.paths import PathSpec, parse_path, steps_between
from builders.errors import PhotoError, UsageError
from tests.benchmark.extras.diff.conftest import picture
from tests.support.images import image_bytes
from tests.support.scoring import as_rows, toy_encoder

BICUBIC = int(Image.Resampling.BICUBIC)


def test_parse_path__steps_that_are_not_given_are_those_of_the_base():
    first = parse_path("resize=squash,dtype=float32")
    second = parse_path({"decoder": "opencv"}, first)
    assert second == PathSpec(decoder="opencv", resize="squash")
    assert second.text(first) == "decoder=opencv"
    assert first.text() == "resize=squash"
    assert parse_path("", first).text(first) == "the same as A"
    assert list(steps_between(first, parse_path("decoder=opencv,colour=bgr", first))) == [
        "decoder=opencv",
        "colour=bgr",
    ]
    assert steps_between(first, second) == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("decodr=opencv", "'decoder'"),
        ("decoder=opncv", "'opencv'"),
        ("squash", "NAME=VALUE"),
        ("decoder=opencv,colour=srgb", "decoder=pillow"),
        (7, "path"),
    ],
)
def test_parse_path__what_is_wrong_is_one_sentence(given, message):
    with pytest.raises(UsageError, match=message):
        parse_path(given)


def test_decoded__each_library_as_it_is_called_directly():
    data = image_bytes(picture(1, 71, 53), "JPEG", quality=80)
    assert np.array_equal(decoded(data, "opencv"), cv2.imdecode(np.frombuffer(data, np.uint8), 1)[..., ::-1])
    assert np.array_equal(decoded(data, "simplejpeg"), simplejpeg.decode_jpeg(data))
    reference = np.asarray(Image.open(io.BytesIO(data)), np.int64)
    assert np.abs(np.asarray(decoded(data, "torchvision"), np.int64) - reference).max() <= 4
    assert np.array_equal(np.asarray(decoded(data, colour="bgr")), reference[..., ::-1])


@pytest.mark.parametrize("decoder", ["pillow", "opencv", "torchvision", "simplejpeg"])
def test_decoded__orientation_is_applied_or_not(decoder):
    image = picture(2, 40, 24)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    data = image_bytes(image, "JPEG", exif=exif.tobytes())
    assert decoded(data, decoder).size == (24, 40)
    stored = decoded(data, decoder, "stored")
    assert stored.size == (40, 24)
    turned = np.rot90(np.asarray(stored), -1).astype(np.int64)
    assert np.abs(turned - np.asarray(decoded(data, decoder))).max() <= 4


def test_decoded__profile_to_srgb():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = picture(3)
    with_profile = image_bytes(image, "PNG", icc_profile=profile)
    assert np.abs(np.asarray(decoded(with_profile, colour="srgb"), int) - np.asarray(image, int)).max() <= 1
    assert np.array_equal(decoded(image_bytes(image), colour="srgb"), image)


@pytest.mark.parametrize("decoder", ["opencv", "torchvision", "simplejpeg"])
def test_decoded__damaged_files_and_other_formats(decoder):
    data = image_bytes(picture(4), "JPEG")
    for bad in (b"", b"no photo", data[:40]):
        with pytest.raises(PhotoError):
            decoded(bad, decoder)
    if decoder == "simplejpeg":
        with pytest.raises(PhotoError, match="simplejpeg"):
            decoded(image_bytes(picture(4), "PNG"), decoder)


def encoder_of(*steps):
    return toy_encoder(as_rows, Pixels(steps), 12)


SHORT = (ResizeShort(40, BICUBIC), CenterCrop(32, 32, "round"))


def test_with_library__opencv_and_torchvision_as_called_directly():
    image = picture(5, 150, 90)
    by_opencv = with_library(encoder_of(ResizeTo(50, 30, BICUBIC)), "opencv").preprocess(image)
    assert np.array_equal(by_opencv, cv2.resize(np.asarray(image), (50, 30), interpolation=cv2.INTER_CUBIC))
    area = with_library(encoder_of(ResizeTo(50, 30, BICUBIC)), "opencv", "box", "yes").preprocess(image)
    assert np.array_equal(area, cv2.resize(np.asarray(image), (50, 30), interpolation=cv2.INTER_AREA))
    without = with_library(encoder_of(ResizeTo(50, 30, BICUBIC)), "torchvision", "bilinear", "no").preprocess(image)
    tensor = functional.pil_to_tensor(image)
    expected = functional.resize(tensor, [30, 50], functional.InterpolationMode.BILINEAR, antialias=False)
    assert np.array_equal(without, expected.permute(1, 2, 0).numpy())


def test_with_library__pillow_without_antialiasing_is_the_plain_interpolation_of_others():
    image = picture(6, 151, 90)
    steps = (ResizeTo(50, 30, BICUBIC),)
    made = with_library(encoder_of(*steps), "pillow", "bilinear", "no").preprocess(image).astype(int)
    theirs = cv2.resize(np.asarray(image), (50, 30), interpolation=cv2.INTER_LINEAR).astype(int)
    assert np.abs(made - theirs).max() <= 1
    antialiased = np.asarray(image.resize((50, 30), Image.Resampling.BILINEAR), int)
    assert np.abs(made - antialiased).mean() > 3


@pytest.mark.parametrize("library", ["timm", "open_clip", "transformers-slow", "transformers-fast"])
@pytest.mark.parametrize("steps", [SHORT, (ResizeShort(32, BICUBIC), SHORT[1]), (ResizeTo(48, 32, BICUBIC),)])
def test_with_library__the_same_rule_by_every_library(library, steps):
    image, expected = picture(7, 150, 91), Pixels(steps)(picture(7, 150, 91)).astype(int)
    if library == "open_clip" and steps is SHORT:
        with pytest.raises(UsageError, match="no margin"):
            LibraryTransform(Pixels(steps), library)(image)
        return
    made = LibraryTransform(Pixels(steps), library)(image).astype(int)
    assert made.shape == expected.shape
    # PIL carries out all of them but the fast processor, which rounds tensors
    assert np.abs(made - expected).max() <= (1 if library == "transformers-fast" else 0)


def test_with_library__own_three_times_changes_nothing_and_the_record_says_what_else_does():
    encoder = encoder_of(*SHORT)
    assert with_library(encoder) is encoder
    assert with_library(encoder, "pillow").preprocess == encoder.preprocess
    changed = with_library(encoder, "timm", "bilinear").info.preprocessing
    assert changed["carried_out"] == {"library": "timm", "filter": "bilinear", "antialias": "own"}
    assert changed["steps"][0]["resample"] == "bilinear"


@pytest.mark.parametrize(
    ("how", "steps", "message"),
    [
        (("timm", "own", "no"), SHORT, "timm always antialiases"),
        (("timm",), (CenterSquare(0.8), ResizeTo(8, 8, BICUBIC)), "resize=short-side"),
        (("opencv", "bilinear", "yes"), SHORT, "add filter=box"),
        (("opencv", "box"), SHORT, "add antialias=yes"),
        (("torchvision", "lanczos"), SHORT, "bilinear"),
        (("own", "lanczos", "no"), SHORT, "lanczos"),
        (("tim",), SHORT, "'timm'"),
    ],
)
def test_with_library__what_cannot_be_done_is_one_sentence(how, steps, message):
    with pytest.raises(UsageError, match=message):
        with_library(encoder_of(*steps), *how)


def test_parse_path__spaces_and_values_with_commas():
    path = parse_path(" decoder = opencv ,model=weights:a.pt?mean=0.5,0.4,0.3,resize= squash ")
    assert path == PathSpec(decoder="opencv", model="weights:a.pt?mean=0.5,0.4,0.3", resize="squash")
    with pytest.raises(UsageError, match="'std'"):
        parse_path("model=weights:a.pt?mean=0.5,std=0.4,0.3")  # a name with = begins a step
    assert parse_path(PathSpec(colour="bgr"), PathSpec(resize="squash")) == PathSpec(colour="bgr")
    assert parse_path("   ") == PathSpec()
    names = (
        "decoder",
        "orientation",
        "colour",
        "resize",
        "library",
        "filter",
        "antialias",
        "runtime",
        "dtype",
        "model",
        "processing",
    )
    assert list(PathSpec().record()) == list(names)
    assert PathSpec(resize="squash", model="m").record() == {**PathSpec().record(), "resize": "squash", "model": "m"}
