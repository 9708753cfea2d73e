"""The Exif block of a simulated shot: exactly what was rendered, nothing about the machine that rendered it."""

from __future__ import annotations

from fractions import Fraction

import piexif

from builders.simcams.camera import Camera, Settings

SOFTWARE = "camtrace simcams"
"""Says in every file that no camera took it."""


def exif_block(camera: Camera, settings: Settings, width: int, height: int, taken: str) -> bytes:
    """An Exif block for ``encode_file``.

    Args:
        camera: gives make and model.
        settings: exposure time, f-number, ISO and both focal lengths.
        width: of the picture, pixels.
        height: of the picture, pixels.
        taken: ``YYYY:MM:DD HH:MM:SS``, the same for all shots of a scene so that the date names no camera.
    """
    real_mm = Fraction(settings.focal_length_mm(camera.lens)).limit_denominator(100)
    return piexif.dump(
        {
            "0th": {
                piexif.ImageIFD.Make: camera.make.encode(),
                piexif.ImageIFD.Model: camera.model.encode(),
                piexif.ImageIFD.Software: SOFTWARE.encode(),
                piexif.ImageIFD.Orientation: 1,
                piexif.ImageIFD.DateTime: taken.encode(),
            },
            "Exif": {
                piexif.ExifIFD.ExposureTime: settings.exposure_s.as_integer_ratio(),
                piexif.ExifIFD.FNumber: _rational(settings.f_number),
                piexif.ExifIFD.ISOSpeedRatings: settings.iso,
                piexif.ExifIFD.ExifVersion: b"0230",
                piexif.ExifIFD.DateTimeOriginal: taken.encode(),
                piexif.ExifIFD.FocalLength: real_mm.as_integer_ratio(),
                piexif.ExifIFD.FocalLengthIn35mmFilm: round(settings.focal_length_35mm),
                piexif.ExifIFD.ColorSpace: 1,
                piexif.ExifIFD.PixelXDimension: width,
                piexif.ExifIFD.PixelYDimension: height,
                piexif.ExifIFD.Flash: 0,
            },
        }
    )


def _rational(value: float) -> tuple[int, int]:
    return Fraction(value).limit_denominator(10).as_integer_ratio()
