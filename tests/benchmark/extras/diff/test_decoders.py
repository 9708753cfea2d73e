"""Decoders: what is refused before another library reads a file, in which words, and which profiles are converted."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from benchmark.extras.diff.decoders import decoded
from builders.errors import PhotoError
from builders.pixels import decode_rgb
from tests.support.images import image_bytes

COLOURFUL = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)


def swapped_profile() -> bytes:
    """sRGB whose first channel drives the blue primary and whose third one the red."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert profile.count(b"rXYZ") == profile.count(b"bXYZ") == 1
    return profile.replace(b"rXYZ", b"----").replace(b"bXYZ", b"rXYZ").replace(b"----", b"bXYZ")


def test_decoded__srgb_converts_the_profile_of_colour_photos_alone():
    data = image_bytes(COLOURFUL, icc_profile=swapped_profile())
    for colour, expected in (("rgb", COLOURFUL), ("bgr", COLOURFUL[..., ::-1]), ("srgb", COLOURFUL[..., ::-1])):
        assert np.abs(np.asarray(decoded(data, colour=colour), int) - expected).max() <= (colour == "srgb")
    palette = Image.fromarray(COLOURFUL).quantize(16)
    of_palette = image_bytes(palette, icc_profile=swapped_profile())
    assert np.array_equal(decoded(of_palette, colour="srgb"), decode_rgb(of_palette))
    broken = image_bytes(COLOURFUL, icc_profile=b"no profile")
    with pytest.raises(PhotoError, match=r"^pillow "):
        decoded(broken, colour="srgb")


@pytest.mark.parametrize("decoder", ["pillow", "opencv", "torchvision"])
def test_decoded__channels_of_every_decoder(decoder):
    data = image_bytes(COLOURFUL)
    assert np.array_equal(decoded(data, decoder), COLOURFUL)
    assert np.array_equal(decoded(data, decoder, colour="bgr"), COLOURFUL[..., ::-1])
