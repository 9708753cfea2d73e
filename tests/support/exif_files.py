"""Files with Exif: by piexif, and TIFF structures by hand."""

from __future__ import annotations

import struct

import piexif
from PIL import Image

from tests.support.images import image_bytes

CAMERA = {
    "0th": {piexif.ImageIFD.Make: b"HTC", piexif.ImageIFD.Model: "Désiré X".encode(), piexif.ImageIFD.Artist: b"Ann"},
    "Exif": {
        piexif.ExifIFD.ExposureTime: (10, 600),
        piexif.ExifIFD.FNumber: (28, 10),
        piexif.ExifIFD.FocalLength: (4250, 1000),
        piexif.ExifIFD.ISOSpeedRatings: 400,
        piexif.ExifIFD.Flash: 25,
        piexif.ExifIFD.DateTimeOriginal: b"2014:09:21 16:00:56",
        piexif.ExifIFD.BodySerialNumber: b"SECRET-SERIAL",
        piexif.ExifIFD.CameraOwnerName: b"SECRET-OWNER",
        piexif.ExifIFD.MakerNote: b"SECRET-NOTE" * 50,
    },
    "GPS": {piexif.GPSIFD.GPSLatitudeRef: b"N", piexif.GPSIFD.GPSLatitude: ((48, 1), (51, 1), (0, 1))},
}


def picture(format: str = "JPEG", exif: bytes = b"") -> bytes:
    return image_bytes(Image.new("RGB", (16, 16), (90, 30, 200)), format, **{"exif": exif} if exif else {})


def tiff(entries: list[tuple[int, int, int, bytes]], exif: list[tuple[int, int, int, bytes]] = (), order=">") -> bytes:
    """A TIFF structure whose IFD0 has ``entries`` (tag, type, count, the four value bytes or more) and an Exif IFD."""
    head = b"MM\0*" if order == ">" else b"II*\0"
    top = [*entries]
    exif_at = 8 + 2 + 12 * (len(top) + bool(exif)) + 4
    data_at = exif_at + (2 + 12 * len(exif) + 4 if exif else 0)
    if exif:
        top.append((0x8769, 4, 1, struct.pack(order + "I", exif_at)))
    heap = b""
    out = head + struct.pack(order + "I", 8)
    for directory in [top, [*exif]] if exif else [top]:
        out += struct.pack(order + "H", len(directory))
        for tag, kind, count, value in directory:
            if len(value) > 4:
                value, heap = struct.pack(order + "I", data_at + len(heap)), heap + value
            out += struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")
        out += b"\0\0\0\0"
    return out + heap


MAKE = (0x010F, 2, 6, b"Canon\0")
