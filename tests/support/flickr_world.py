"""A small Flickr: tens of thousands of photos that exist only as numbers until somebody asks for one."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import piexif
from PIL import Image

from tests.support.images import image_bytes

START = 1325376000
"""2012-01-01, UTC."""
DAYS = 731
"""Two years."""
BURST_START = 1339761600
"""2012-06-15 12:00 UTC: thousands of photos arrive within 100 seconds."""

SERVED = (4, 5, 7, 8, 9, 10, 11, 12)
CAMERAS = (
    ("Canon", "Canon EOS 5D Mark II"),
    ("Canon", "Canon EOS 40D"),
    ("Canon", "Canon EOS REBEL T3i"),
    ("NIKON CORPORATION", "NIKON D90"),
    ("NIKON CORPORATION", "NIKON D700"),
    ("NIKON", "E5700"),
    ("Apple", "iPhone 6"),
    ("Apple", "iPhone 7"),
    ("Apple", "iPhone XR"),
    ("SONY", "ILCE-7"),
    ("FUJIFILM", "X-T2"),
    ("Panasonic", "DMC-FZ20"),
    ("OLYMPUS OPTICAL CO.,LTD", "C3040Z"),
    ("samsung", "SM-G900F"),
    ("EASTMAN KODAK COMPANY", "KODAK DX4530 ZOOM DIGITAL CAMERA"),
)
EXPOSURES = ((1, 60), (1, 125), (1, 250), (1, 500), (1, 100), (512, 8809), (1, 40), (1, 1000))
APERTURES = ((28, 10), (4, 1), (56, 10), (18, 10), (35, 10), (8, 1), (22, 10))
ISOS = (100, 200, 400, 800, 1600, 65535, 50, 3200)
FOCALS = ((50, 1), (18, 1), (42, 10), (35, 1), (200, 1), (58, 10))


class Shot(NamedTuple):
    """What the camera of one photo wrote."""

    make: str
    model: str
    exposure: tuple[int, int]
    f_number: tuple[int, int]
    iso: int
    focal: tuple[int, int]
    flash: int


@dataclass(frozen=True)
class World:
    """Photos by position; every property is a function of position and seed."""

    count: int = 22_000
    burst: int = 5_600
    owners: int = 400
    seed: int = 0
    skew: float = 0.0
    """0: uploads are as frequent at any time; more: more frequent over the years, and towards the evening."""

    @functools.cached_property
    def ids(self) -> np.ndarray:
        return 7_000_000_000 + np.arange(self.count, dtype=np.int64) * 37

    @functools.cached_property
    def uploaded(self) -> np.ndarray:
        rng = np.random.default_rng((self.seed, 1))
        times = START + rng.integers(0, DAYS * 86400, self.count)
        if self.skew:
            day = (DAYS * rng.random(self.count) ** (1 / (1 + self.skew))).astype(np.int64)
            times = START + day * 86400 + (86400 * rng.beta(4, 2, self.count)).astype(np.int64)
        burst = min(self.burst, self.count)
        times[:burst] = BURST_START + rng.integers(0, 100, burst)
        return times

    @functools.cached_property
    def owner(self) -> np.ndarray:
        """Few owners have many photos, many have few."""
        rng = np.random.default_rng((self.seed, 2))
        return (self.owners * rng.random(self.count) ** 2.5).astype(int)

    @functools.cached_property
    def licence(self) -> np.ndarray:
        rng = np.random.default_rng((self.seed, 3))
        return np.where(
            rng.random(self.count) < 0.92, rng.choice(SERVED, self.count), rng.choice((0, 1, 2, 6), self.count)
        )

    @functools.cached_property
    def kind(self) -> np.ndarray:
        """Uniform [0, 1) per photo: which of the rarer things it is."""
        return np.random.default_rng((self.seed, 4)).random(self.count)

    @functools.cached_property
    def order(self) -> np.ndarray:
        return np.lexsort((self.ids, self.uploaded))

    def index(self, id: int) -> int | None:
        at, rest = divmod(id - 7_000_000_000, 37)
        return at if rest == 0 and 0 <= at < self.count else None

    def nsid(self, at: int) -> str:
        return f"{20_000_000 + int(self.owner[at])}@N0{int(self.owner[at]) % 8}"

    # the rarer things, by ``kind``
    def unsafe(self, at: int) -> bool:
        return self.kind[at] < 0.02

    def video(self, at: int) -> bool:
        return 0.02 <= self.kind[at] < 0.03

    def hidden_exif(self, at: int) -> bool:
        return 0.10 <= self.kind[at] < 0.15

    def deleted(self, at: int) -> bool:
        return 0.15 <= self.kind[at] < 0.18

    def no_original(self, at: int) -> bool:
        return 0.18 <= self.kind[at] < 0.21

    def silent_placeholder(self, at: int) -> bool:
        """The file is a picture that says that there is none, with status 200."""
        return 0.21 <= self.kind[at] < 0.23

    def no_exif(self, at: int) -> bool:
        return 0.23 <= self.kind[at] < 0.25

    def results(self, start: int, end: int, licences: tuple[int, ...], safe: bool = True) -> np.ndarray:
        """Positions of the photos that a search for [start, end] gives, oldest upload first."""
        mask = (self.uploaded >= start) & (self.uploaded <= end) & np.isin(self.licence, licences)
        mask &= ~((self.kind >= 0.02) & (self.kind < 0.03))
        if safe:
            mask &= self.kind >= 0.02
        return self.order[mask[self.order]]

    def names(self, at: int, text: str) -> bool:
        """Whether title or tags hold some words: most owners name their camera, some another one."""
        kind = int(self.ids[at]) % 10
        shot = self.shot(at if kind < 7 else (at * 7 + 1) % self.count) if kind < 8 else None
        return shot is not None and set(text.lower().split()) <= set(f"{shot.make} {shot.model}".lower().split())

    def shot(self, at: int) -> Shot:
        return _shot(self.seed, at)

    def search_entry(self, at: int, base: str) -> dict:
        """One photo as ``flickr.photos.search`` lists it."""
        id, licence = int(self.ids[at]), int(self.licence[at])
        entry = {
            "id": str(id),
            "owner": self.nsid(at),
            "secret": "0a1b2c",
            "server": "1",
            "title": f"Photo {id} \u2013 caf\u00e9" if at % 7 else "",
            "ispublic": 1,
            "license": str(licence),
            "dateupload": str(int(self.uploaded[at])),
            "datetaken": "2012-01-01 10:00:00",
            "datetakenunknown": "0",
            "ownername": f"Owner {int(self.owner[at])}",
            "originalformat": "jpg",
            "media": "photo",
            "url_l": f"{base}/1/{id}_0a1b2c_b.jpg",
            "width_l": 48,
            "height_l": "36",
        }
        if not self.no_original(at):
            entry |= {"url_o": f"{base}/1/{id}_0a1b2c_o.jpg", "width_o": "64", "height_o": 48}
        return entry

    def exif_answer(self, at: int) -> dict:
        """What ``flickr.photos.getExif`` says of one photo: with translations, repeats and private things."""
        shot = self.shot(at)

        def entry(space: str, tag: str, raw: object, label: str | None = None) -> dict:
            return {"tagspace": space, "tagspaceid": 0, "tag": tag, "label": label or tag, "raw": raw}

        entries = [
            entry("JFIF", "JFIFVersion", {"_content": 1.01}),
            entry("XMP-tiff", "Make", {"_content": "An editor"}),
            entry("IFD0", "Make", {"_content": shot.make}),
            entry("IFD0", "Model", {"_content": shot.model}),
            entry("IFD0", "Artist", {"_content": "A Person"}),
            entry("IFD0", "Software", {}),
            entry("ExifIFD", "ExposureTime", {"_content": f"{shot.exposure[0]}/{shot.exposure[1]}"}, "Exposure"),
            entry("ExifIFD", "FNumber", {"_content": shot.f_number[0] / shot.f_number[1]}, "Aperture"),
            entry("ExifIFD", "ISO", {"_content": shot.iso}, "ISO Speed"),
            entry("ExifIFD", "FocalLength", {"_content": f"{shot.focal[0] / shot.focal[1]:.1f} mm"}),
            entry("ExifIFD", "Flash", {"_content": "Fired" if shot.flash else "Off, Did not fire"}),
            entry("ExifIFD", "SerialNumber", {"_content": "12345"}),
            entry("GPS", "GPSLatitude", {"_content": "35 deg 0' 0.00\""}),
        ]
        return {"id": str(int(self.ids[at])), "camera": shot.model, "exif": [] if self.no_exif(at) else entries}

    def file(self, at: int, size: str) -> bytes:
        """A real JPEG; the original carries real Exif."""
        if self.silent_placeholder(at):
            return _placeholder()
        return _jpeg(self, at, size)

    def released_row(self, at: int, base: str) -> dict:
        """One row of the released table."""
        shot = self.shot(at)
        return {
            "Flickr ID": int(self.ids[at]),
            "url": f"{base}/1/{int(self.ids[at])}_0a1b2c_o.jpg",
            "owner": self.nsid(at),
            "Make": shot.make,
            "Model": shot.model,
            "Exposure": f"{shot.exposure[0]}/{shot.exposure[1]}",
            "Aperture": f"{shot.f_number[0] / shot.f_number[1]}",
            "ISO Speed": str(shot.iso),
            "Focal Length": f"{shot.focal[0] / shot.focal[1]:.1f} mm",
        }


@functools.cache
def _shot(seed: int, at: int) -> Shot:
    rng = np.random.default_rng((seed, 5, at))
    make, model = CAMERAS[int(rng.integers(len(CAMERAS)))]
    return Shot(
        make,
        model,
        EXPOSURES[int(rng.integers(len(EXPOSURES)))],
        APERTURES[int(rng.integers(len(APERTURES)))],
        ISOS[int(rng.integers(len(ISOS)))],
        FOCALS[int(rng.integers(len(FOCALS)))],
        int(rng.integers(2)),
    )


@functools.lru_cache(maxsize=8192)
def _jpeg(world: World, at: int, size: str) -> bytes:
    noise = np.random.default_rng((world.seed, 6, at)).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    width, height = (64, 48) if size == "o" else (48, 36)
    image = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    shot, exif = world.shot(at), b""
    if size == "o" and not world.no_exif(at):
        exif = piexif.dump(
            {
                "0th": {piexif.ImageIFD.Make: shot.make + "\0", piexif.ImageIFD.Model: shot.model + "\0"},
                "Exif": {
                    piexif.ExifIFD.ExposureTime: shot.exposure,
                    piexif.ExifIFD.FNumber: shot.f_number,
                    piexif.ExifIFD.ISOSpeedRatings: shot.iso,
                    piexif.ExifIFD.FocalLength: shot.focal,
                    piexif.ExifIFD.Flash: shot.flash,
                    piexif.ExifIFD.DateTimeOriginal: b"2012:01:01 10:00:00",
                },
                "GPS": {piexif.GPSIFD.GPSLatitude: ((35, 1), (0, 1), (0, 1))},
            }
        )
    return image_bytes(image, "JPEG", quality=85, **{"exif": exif} if exif else {})


@functools.cache
def _placeholder() -> bytes:
    return image_bytes(Image.new("RGB", (64, 48), (200, 200, 200)), "PNG")


def licences_answer() -> dict:
    """``flickr.photos.licenses.getInfo``."""
    cc = "https://creativecommons.org"
    urls = {4: "by/2.0", 5: "by-sa/2.0", 1: "by-nc-sa/2.0", 2: "by-nc/2.0", 3: "by-nc-nd/2.0", 6: "by-nd/2.0"}
    urls |= {11: "by/4.0", 12: "by-sa/4.0", 13: "by-nd/4.0", 14: "by-nc/4.0", 15: "by-nc-sa/4.0", 16: "by-nc-nd/4.0"}
    listed = [{"id": id, "name": path, "url": f"{cc}/licenses/{path}/"} for id, path in urls.items()]
    listed += [
        {"id": "0", "name": "All Rights Reserved", "url": ""},
        {"id": 7, "name": "No known copyright restrictions", "url": "https://www.flickr.com/commons/usage/"},
        {"id": 8, "name": "United States Government Work", "url": "http://www.usa.gov/copyright.shtml"},
        {"id": 9, "name": "CC0", "url": f"{cc}/publicdomain/zero/1.0/"},
        {"id": 10, "name": "PDM", "url": f"{cc}/publicdomain/mark/1.0/"},
    ]
    return {"license": listed}


def as_json(answer: dict) -> bytes:
    return json.dumps(answer).encode()
