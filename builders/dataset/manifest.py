"""``build.json``: how a data set was made, with the hash of every file. It is untrusted when it is read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from builders.dataset.shards import ItemFailure, Shard, shard_file
from builders.dataset.shared_shards import PHOTOS, SharedShards
from builders.dataset.write import SplitShards
from builders.errors import DataError
from builders.photos import TERMS_OF_USE, PhotoSet
from builders.untrusted import describe_error, parse_json, read_untrusted_text

BUILD_FILE = "build.json"

README_FILE = "README.md"

BUILD_FORMAT = 1

MAX_BUILD_BYTES = 256 * 2**20
"""Limit of ``build.json``, which names every photo that could not be used."""


@dataclass(frozen=True)
class PixelRights:
    """Whether the licence of the source allows its pixels to be published."""

    allowed: bool
    reason: str = ""
    """One sentence, if it does not."""


@dataclass(frozen=True)
class Build:
    """Contents of the ``build.json`` of a finished folder."""

    kind: str
    """``processed``, ``paircams``, ``flickrexif``, ``simcams``, ``recipe``, ..."""
    default: str
    recipe: Mapping[str, Any]
    """Everything that determines the rows, so that the build can be repeated."""
    pixels: PixelRights
    codec: Mapping[str, str]
    """Versions of the codecs, and their ``canary`` (``builders.pixels.reference.codec_canary``)."""
    splits: tuple[SplitShards, ...] = field(default=())
    """Splits of every config, including those of ``shared``, whose shards are in several splits."""
    shared: SharedShards | None = None
    """Photos that several configs share."""

    @property
    def shards(self) -> tuple[Shard, ...]:
        """Every shard once."""
        return tuple({shard.file: shard for split in self.splits for shard in split.shards}.values())

    @property
    def file_bytes(self) -> int:
        """Bytes of all files, each counted once."""
        return sum(shard.file_bytes for shard in self.shards)

    @property
    def configs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(split.config for split in self.splits))


def read_build(folder: Path) -> Build:
    """Read ``build.json`` of a finished folder.

    Raises:
        DataError: the folder has no finished build, or the file is not a build file of camtrace.
    """
    path = folder / BUILD_FILE
    if not (folder / README_FILE).is_file() or not path.is_file():
        raise DataError(f"{folder}: no finished build is there; run the builder (again), it goes on where it was")
    return parse_build(read_untrusted_text(path, limit=MAX_BUILD_BYTES), str(path))


def parse_build(text: str, where: str) -> Build:
    """Parse the untrusted text of a ``build.json``.

    Args:
        text: of the file.
        where: the beginning of an error message.

    Raises:
        DataError: it is not a build file of camtrace.
    """
    raw = parse_json(text, where)
    try:
        if raw["format"] != BUILD_FORMAT:
            raise DataError(f"{where}: format {raw['format']!r}, this camtrace reads {BUILD_FORMAT}")
        shared = _shared_of(raw["shared"]) if raw.get("shared") is not None else None
        return Build(
            kind=_safe_name(raw["kind"]),
            default=_safe_name(raw["default"]),
            recipe=dict(raw["recipe"]),
            pixels=PixelRights(**raw["pixels"]),
            codec=dict(raw["codec"]),
            splits=(*(shared.splits() if shared else ()), *(_split_of(s) for s in raw["splits"])),
            shared=shared,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{where}: not a build file of camtrace ({describe_error(error)})") from None


def _shared_of(raw: Mapping[str, Any]) -> SharedShards:
    """The photos that configs share. Raises as ``_split_of``."""
    configs = tuple(_safe_name(config) for config in raw["configs"])
    groups = (_split_of({"config": PHOTOS, "split": g["name"], "shards": g["shards"]}) for g in raw["groups"])
    return SharedShards(configs, tuple(groups))


def _split_of(raw: Mapping[str, Any]) -> SplitShards:
    """One split of ``build.json``. Paths are derived from its names and compared with the stated paths.

    Raises:
        ValueError, KeyError, TypeError: the split does not have the expected form.
    """
    config, split = (_safe_name(raw[name]) for name in ("config", "split"))
    count = len(raw["shards"])
    shards = []
    for number, stated in enumerate(raw["shards"]):
        failures = tuple(ItemFailure(**x) for x in stated["failures"])
        shard = Shard(**{**stated, "failures": failures})
        file = shard_file(config, split, number, count)
        if shard.file != file:
            raise ValueError(f"the file of shard {number} of {config}/{split} is not {file}")
        sizes = (shard.rows, shard.file_bytes, shard.data_bytes)
        if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in sizes):
            raise ValueError(f"{file}: rows and bytes are counts")
        texts = (shard.sha256, shard.recipe_hash, *(text for f in failures for text in (f.id, f.reason)))
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{file}: hashes and failures are text")
        shards.append(shard)
    return SplitShards(config, split, tuple(shards))


def _safe_name(name: object) -> str:
    """A name of a config or split that is safe in a path. Raises ``ValueError``."""
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]{0,99}", name, re.ASCII):
        raise ValueError(f"{name!r} is not a name of a config or split")
    return name


def build_text(build: Build) -> str:
    """The text of ``build.json``; shards of several splits are listed once."""
    shared = build.shared
    shared_configs = set(shared.configs) | {PHOTOS} if shared else set()
    contents: dict[str, Any] = {
        "format": BUILD_FORMAT,
        "kind": build.kind,
        "default": build.default,
        "recipe": build.recipe,
        "pixels": asdict(build.pixels),
        "codec": build.codec,
        "splits": [
            {"config": s.config, "split": s.split, "shards": [asdict(shard) for shard in s.shards]}
            for s in build.splits
            if s.config not in shared_configs
        ],
    }
    if shared:
        groups = [{"name": group.split, "shards": [asdict(shard) for shard in group.shards]} for group in shared.groups]
        contents["shared"] = {"configs": shared.configs, "groups": groups}
    return json.dumps(contents, indent=1, ensure_ascii=False) + "\n"


_WORDNET_ID = re.compile(r"n\d{8}")

_IMAGENET = PixelRights(
    False,
    "ImageNet's terms of access forbid passing its images on, so only a recipe (ids, labels, parameters; no pixels) "
    "may be published: everyone rebuilds it bit for bit from their own copy.",
)

_INATURALIST = PixelRights(
    False,
    "The photos of iNaturalist 2018 belong to their observers and most licences do not allow us to pass them on, so "
    "only a recipe (ids, labels, parameters; no pixels) may be published: everyone rebuilds it from their own copy.",
)


_CAMERA_SET_FILE = re.compile(r"(?:^|/)D\d\d_(?:img|I)_[A-Za-z]+_\d{4}\.[A-Za-z]+$", re.IGNORECASE)
"""A file of FODB or VISION, in whatever folder it lies now."""

_CAMERA_SET = PixelRights(
    False,
    "Its files are named as those of FODB or VISION, whose terms do not allow us to pass them on, so only a recipe "
    "(ids, labels, parameters; no pixels) may be published.",
)


def pixel_rights(photos: PhotoSet) -> PixelRights:
    """Whether the pixels of a photo set may be published, by its name and its class names; if in doubt, they may not.

    A folder whose classes are WordNet ids counts as ImageNet (or a part of it, as Imagenette), whatever its name. A set
    that states terms of use is not published, nor one whose files are named as those of FODB or VISION.

    >>> pixel_rights(PhotoSet.of_bytes("folder:pets", {"a": b""}, ["n02099601"])).allowed
    False
    """
    name, classes = photos.name.lower(), photos.labels.names
    if terms := photos.evidence.get(TERMS_OF_USE):
        return PixelRights(False, terms)
    if any(map(_CAMERA_SET_FILE.search, photos.ids)):
        return _CAMERA_SET
    if "imagenet" in name or (classes and all(_WORDNET_ID.match(c) for c in classes)):
        return _IMAGENET
    if "inat" in name:
        return _INATURALIST
    return PixelRights(True)
