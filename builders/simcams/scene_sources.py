"""Sources of scenes: procedural ones, and photos.

Photos are decoded, converted to linear light and shrunk there, which removes most traces of their camera and codec.
"""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from builders.errors import DataError, PhotoError, UsageError
from builders.files import MAX_PHOTO_BYTES
from builders.pixels import decode_rgb
from builders.simcams.engine import chosen_stages
from builders.simcams.random_numbers import generator
from builders.simcams.stages.light import SceneLight, margin_for
from builders.simcams.stages.scene import SCENE_KINDS, draw_illuminant
from builders.untrusted import UntrustedInputError, files_below, open_untrusted, read_untrusted

LEAST_SHRINK = 2
"""Least factor. The residual of noise and blocks of the source is 1.0 of the ISO 100 shot noise of a camera at a factor
of 2, 0.57 at 4, 0.37 at 6."""

CLIP_START = 0.9
"""Grey level above which the highlights of a photo count as clipped (Brooks et al. 2019, section 4.1.2)."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".heic", ".heif", ".avif", ".bmp")


MAX_SCENES = 100_000
"""Their numbers have five digits, and every photo of every camera is listed in memory."""


@dataclass(frozen=True)
class ProceduralScenes:
    """A numbered series of scenes. Scene ``i`` does not depend on how many there are.

    Raises:
        UsageError: there are more than ``MAX_SCENES``.
    """

    count: int
    height: int
    width: int
    seed: int = 0

    licence: str = "CC0-1.0"
    source: str = "procedural"

    def __post_init__(self) -> None:
        if self.count > MAX_SCENES:
            raise UsageError(f"{self.count:,} scenes are more than {MAX_SCENES:,}")

    @property
    def ids(self) -> tuple[str, ...]:
        """``proc-<seed>-<number>``."""
        return tuple(f"proc-{self.seed}-{i:05}" for i in range(self.count))

    def kind(self, index: int) -> str:
        """One of ``SCENE_KINDS``, in turn."""
        return SCENE_KINDS[index % len(SCENE_KINDS)]

    def shrink_factor(self, index: int) -> float:
        """Factor by which the source was shrunk; 0, because there is no source."""
        return 0.0

    def fingerprint(self) -> str:
        """Identifies everything that determines the light."""
        return repr(self)

    def light(self, index: int) -> SceneLight:
        """The light of scene ``index``."""
        scene_id = self.ids[index]
        margin = margin_for(self.height, self.width)
        rng = generator("scene", scene_id, self.height, self.width)
        linear = chosen_stages().paint(self.kind(index), self.height + 2 * margin, self.width + 2 * margin, rng)
        return SceneLight.of_linear_rgb(scene_id, linear, margin, illuminant=draw_illuminant(rng))


@dataclass(frozen=True)
class PhotoScenes:
    """Photos of a folder as scenes, in the order of their ids."""

    root: Path
    paths: tuple[str, ...]
    """Relative to ``root``, ``/`` between parts."""
    height: int
    width: int

    licence: str = "unknown"
    """Licence of the photos, an identifier of the Hub's list."""
    source: str = "folder"

    @classmethod
    def of_folder(
        cls, root: Path, height: int, width: int, limit: int | None = None, licence: str = "unknown"
    ) -> PhotoScenes:
        """The photos under a folder that are large enough.

        Args:
            root: the folder.
            height: of the frame, pixels.
            width: of the frame, pixels.
            limit: most photos, chosen by the hash of their paths.
            licence: of the photos.

        Raises:
            DataError: no folder, a folder that cannot be listed, a file that cannot be read, or no photo of at least
                twice the padded frame in it.
        """
        if not root.is_dir():
            raise DataError(f"{root}: no such folder of photos")
        names = [name for name in files_below(root) if Path(name).suffix.lower() in SUFFIXES]
        names.sort(key=lambda name: hashlib.blake2b(name.encode("utf-8", "surrogateescape")).digest())
        chosen: list[str] = []
        for name in names:
            if limit is not None and len(chosen) == limit:
                break
            if _large_enough(root / name, height, width):
                chosen.append(name)
        if not chosen:
            margin = margin_for(height, width)
            least = f"{LEAST_SHRINK * (width + 2 * margin)} x {LEAST_SHRINK * (height + 2 * margin)}"
            raise DataError(f"{root}: none of {len(names)} photos has {least} pixels, which this size needs")
        return cls(root, tuple(sorted(chosen)), height, width, licence)

    @property
    def count(self) -> int:
        return len(self.paths)

    @property
    def ids(self) -> tuple[str, ...]:
        """``photo-<hash of the path>``, so that no paths are published."""
        return tuple(
            "photo-" + hashlib.blake2b(p.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
            for p in self.paths
        )

    def kind(self, index: int) -> str:
        """Name of the folder of the photo, which is its class if folders are classes."""
        return Path(self.paths[index]).parent.name or "photo"

    def shrink_factor(self, index: int) -> float:
        """Factor by which photo ``index`` is shrunk, at least ``LEAST_SHRINK``.

        Raises:
            PhotoError: it cannot be opened.
        """
        try:
            with Image.open(io.BytesIO(self._read(index))) as image:
                width, height = _upright_size(image)
        except Exception as error:  # a hostile file raises anything
            raise PhotoError(f"cannot be opened ({type(error).__name__})") from None
        return float(_factor(height, width, self.height, self.width))

    def fingerprint(self) -> str:
        """Identifies everything that determines the light: the bytes of the photos, not their folder."""
        digest = hashlib.sha256(f"{self.height} {self.width} {self.ids}".encode())
        for path in self.paths:
            try:
                digest.update(hashlib.sha256(read_untrusted(self.root / path, limit=MAX_PHOTO_BYTES)).digest())
            except UntrustedInputError as refused:
                digest.update(f"unreadable: {refused.reason}".encode())
        return digest.hexdigest()

    def light(self, index: int) -> SceneLight:
        """The light of photo ``index``: the centre of the photo, shrunk by its factor.

        Raises:
            PhotoError: the photo cannot be decoded or is too small.
        """
        rgb = np.asarray(decode_rgb(self._read(index)))
        margin = margin_for(self.height, self.width)
        padded = (self.height + 2 * margin, self.width + 2 * margin)
        factor = _factor(rgb.shape[0], rgb.shape[1], self.height, self.width)
        if factor < LEAST_SHRINK:
            raise PhotoError(f"{rgb.shape[1]} x {rgb.shape[0]} pixels are too few to shrink by {LEAST_SHRINK}")
        top, left = ((have - want * factor) // 2 for have, want in zip(rgb.shape[:2], padded, strict=True))
        crop = rgb[top : top + padded[0] * factor, left : left + padded[1] * factor]
        blocks = (padded[0], factor, padded[1], factor)
        clipped = _clipped_share(crop).reshape(blocks).mean(axis=(1, 3))
        linear = linear_light(crop).reshape(*blocks, 3).mean(axis=(1, 3))
        scene_id = self.ids[index]
        illuminant = draw_illuminant(generator("illuminant", scene_id))
        return SceneLight.of_linear_rgb(scene_id, linear, margin, illuminant=illuminant, clipped=clipped)

    def _read(self, index: int) -> bytes:
        try:
            return read_untrusted(self.root / self.paths[index], limit=MAX_PHOTO_BYTES)
        except UntrustedInputError as refused:
            raise PhotoError(refused.reason) from None


def linear_light(rgb: np.ndarray) -> np.ndarray:
    """Scene-linear float32 of uint8 sRGB: the inverse of an average S-curve of cameras, then of the sRGB curve.

    Inverse of 3y^2 - 2y^3: 0.5 - sin(asin(1 - 2y) / 3) (Brooks et al., "Unprocessing images for learned raw denoising",
    CVPR 2019), blended half and half, because the bundled cameras have about half of it; then IEC 61966-2-1.
    """
    y = np.arange(256) / 255
    flat = 0.5 * y + 0.5 * (0.5 - np.sin(np.arcsin(1 - 2 * y) / 3))
    table = np.where(flat <= 0.04045, flat / 12.92, ((flat + 0.055) / 1.055) ** 2.4)
    return table.astype(np.float32)[rgb]


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) after ``decode_rgb``, where a broken Exif block counts as upright, too."""
    width, height = image.size
    try:
        return (height, width) if image.getexif().get(0x0112) in range(5, 9) else (width, height)
    except Exception:
        return width, height


def _clipped_share(rgb: np.ndarray) -> np.ndarray:
    """((grey - 0.9) / 0.1)^2 above 0.9, float32 [height, width]."""
    grey = rgb.mean(axis=2, dtype=np.float32) / 255
    return (np.maximum(grey - CLIP_START, 0) / (1 - CLIP_START)) ** 2


def _factor(height: int, width: int, wanted_height: int, wanted_width: int) -> int:
    """The largest whole factor that leaves a padded frame, so that as much of the photo as possible is used."""
    margin = margin_for(wanted_height, wanted_width)
    return min(math.floor(height / (wanted_height + 2 * margin)), math.floor(width / (wanted_width + 2 * margin)))


def _large_enough(path: Path, height: int, width: int) -> bool:
    try:
        with open_untrusted(path, limit=MAX_PHOTO_BYTES) as stream, Image.open(stream) as image:
            have = _upright_size(image)
    except UntrustedInputError as refused:
        if refused.reason.startswith("cannot be read"):  # a disk that fails would decide which scenes there are
            raise
        return False
    except Exception:  # not a photo, or a hostile file
        return False
    return _factor(have[1], have[0], height, width) >= LEAST_SHRINK
