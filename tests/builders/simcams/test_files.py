"""Tables, subsampling and Exif of the files, read by independent code."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import piexif
import pytest
from PIL import Image

from builders.exif import acquisition_from_file, label
from builders.pixels import read_jpeg_header
from builders.simcams import Camera, SceneLight, Settings, Shot, bundled_catalogue, camera_named, render_shot
from builders.simcams.stages.jpeg_file import all_tables, encode_file, exif_block, quantisation_tables

Flat = Callable[..., SceneLight]
CAMERAS = [camera.name for camera in bundled_catalogue()[::4]]
SAMPLING = {"4:4:4": (1, 1), "4:2:2": (2, 1), "4:2:0": (2, 2)}


def frame_sampling(data: bytes) -> tuple[int, int]:
    """Horizontal and vertical sampling factor of the first component, from the SOF0 segment (ITU-T T.81, B.2.2)."""
    at = 2
    while data[at + 1] != 0xC0:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    factors = data[at + 11]
    return factors >> 4, factors & 15


@pytest.mark.parametrize("name", CAMERAS)
def test_render__file_has_the_makes_tables_and_subsampling(name: str, settings: Settings, flat: Flat) -> None:
    camera = camera_named(name)
    data = render_shot(flat(0.2, side=32, margin=8), Shot(camera, settings))
    image = Image.open(io.BytesIO(data))
    tables = image.quantization  # type: ignore[attr-defined]
    allowed = [quantisation_tables(camera.jpeg.table).scaled(s) for s in camera.jpeg.scales]
    assert (tuple(tables[0]), tuple(tables[1])) in [(t.luma, t.chroma) for t in allowed]
    assert frame_sampling(data) == SAMPLING[camera.jpeg.subsampling]
    header = read_jpeg_header(data)
    assert header is not None
    assert header.subsampling == camera.jpeg.subsampling


@pytest.mark.parametrize("name", CAMERAS)
def test_render__exif_says_what_was_rendered(name: str, flat: Flat) -> None:
    """Read by ``builders.exif.acquisition``, which shares no code with the writer."""
    camera = camera_named(name)
    settings = Settings(Fraction(1, 640), 7.1, 1600, 70.0)
    read = acquisition_from_file(render_shot(flat(0.2, side=32, margin=8), Shot(camera, settings)))
    assert (read.make, read.model, read.software) == (camera.make, camera.model, "camtrace simcams")
    assert (read.exposure_s, read.f_number, read.iso) == (Fraction(1, 640), Fraction(71, 10), 1600)
    assert float(read.focal_length_mm or 0) == pytest.approx(70.0 / camera.lens.crop_factor, abs=0.01)
    assert read.flash_fired is False
    assert [label(read, a) for a in ("exposure", "aperture", "iso")] == ["1/640", "7.1", "1600"]


def test_render__equivalent_focal_length_is_in_the_exif_too(camera: Camera, settings: Settings, flat: Flat) -> None:
    exif = Image.open(io.BytesIO(render_shot(flat(0.2, side=32, margin=8), Shot(camera, settings)))).getexif()
    assert exif.get_ifd(0x8769)[0xA405] == 50


def test_rate_control__draws_its_quality_per_scene(settings: Settings, flat: Flat) -> None:
    camera = camera_named("Dunmere D500")
    sums = set()
    for i in range(20):
        data = render_shot(flat(0.2, side=32, margin=8, scene_id=f"scene {i}"), Shot(camera, settings))
        sums.add(sum(Image.open(io.BytesIO(data)).quantization[0]))  # type: ignore[attr-defined]
    assert sums == {sum(quantisation_tables(camera.jpeg.table).scaled(s).luma) for s in camera.jpeg.scales}


def test_encode_file__pixels_are_pillows_own(camera: Camera) -> None:
    """With the standard tables of quality 95 the file's pixels are those of Pillow at quality 95."""
    rgb = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    jpeg = dataclasses.replace(camera.jpeg, table="L369-C558", subsampling="4:2:0")
    measured = np.asarray(Image.open(io.BytesIO(encode_file(rgb, jpeg, 100))))
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=95, subsampling="4:2:0")
    np.testing.assert_array_equal(measured, np.asarray(Image.open(buffer)))


def test_tables__names_are_their_sums_and_all_have_a_source() -> None:
    for name, tables in all_tables().items():
        assert name == f"L{sum(tables.luma)}-C{sum(tables.chroma)}"
        assert len(tables.luma) == len(tables.chroma) == 64
        assert tables.source


def test_tables__scaling_is_libjpegs() -> None:
    """Standard tables at quality 50 times 10 % are quality 95's: L369-C558."""
    base = quantisation_tables("L1109-C1666")  # quality 85: 30 %
    assert base.scaled(100) == base
    assert max(base.scaled(100_000).luma) == 255
    assert min(base.scaled(1).luma) == 1


@pytest.mark.parametrize("name", CAMERAS[::4])
def test_exif_block__the_bytes_that_piexif_writes(name: str) -> None:
    camera, taken = camera_named(name), "2019:11:04 07:08:09"
    settings = Settings(Fraction(1, 60), 3.5, 3200, 35.0)
    real_mm = Fraction(35.0 / camera.lens.crop_factor).limit_denominator(100)
    first = {
        piexif.ImageIFD.Make: camera.make.encode(),
        piexif.ImageIFD.Model: camera.model.encode(),
        piexif.ImageIFD.Software: b"camtrace simcams",
        piexif.ImageIFD.Orientation: 1,
        piexif.ImageIFD.DateTime: taken.encode(),
    }
    exif = {
        piexif.ExifIFD.ExposureTime: (1, 60),
        piexif.ExifIFD.FNumber: (7, 2),
        piexif.ExifIFD.ISOSpeedRatings: 3200,
        piexif.ExifIFD.ExifVersion: b"0230",
        piexif.ExifIFD.DateTimeOriginal: taken.encode(),
        piexif.ExifIFD.FocalLength: (real_mm.numerator, real_mm.denominator),
        piexif.ExifIFD.FocalLengthIn35mmFilm: 35,
        piexif.ExifIFD.ColorSpace: 1,
        piexif.ExifIFD.PixelXDimension: 640,
        piexif.ExifIFD.PixelYDimension: 480,
        piexif.ExifIFD.Flash: 0,
    }
    assert exif_block(camera, settings, 640, 480, taken) == piexif.dump({"0th": first, "Exif": exif})
