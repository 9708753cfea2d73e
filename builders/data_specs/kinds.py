"""The registry of kinds of data: how each is written, what it takes, and the function that opens its photos."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from builders.data_specs.spec import MOST_DIGITS, DataSpec, Kind
from builders.errors import UsageError
from builders.photos import PhotoSet
from builders.plugins import WithPlugins

if TYPE_CHECKING:
    from builders.simcams import Scenes

_DATA_REPO = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")


def _sample(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import sample_photos

    return sample_photos()


def _folder(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import labelled_folder

    return labelled_folder(spec.location, seed=seed, val_share=spec.val_share)


def _simcams(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.simcams import DEFAULT_SCENES, simcams_photos

    count, size, scenes = _scenes(spec, DEFAULT_SCENES)
    return simcams_photos(count, size, seed, scenes=scenes)


def _simpairs(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.simcams import DEFAULT_PAIRS, simpairs_photos

    count, size, scenes = _scenes(spec, DEFAULT_PAIRS)
    return simpairs_photos(count, size, seed, scenes=scenes)


def _scenes(spec: DataSpec, default: int) -> tuple[int, int, Scenes | None]:
    """Number of scenes, their size in pixels, and the photos of a folder, if one is named."""
    from builders.simcams import DEFAULT_SIZE, PhotoScenes

    count, size = spec.whole("scenes", default), spec.whole("size", DEFAULT_SIZE)
    folder = _scene_folder(spec)
    return count, size, PhotoScenes.of_folder(Path(folder), size, size, limit=count) if folder else None


def _scene_folder(spec: DataSpec) -> str:
    """The folder of the photos; empty where scenes are procedural, also by the name that results show."""
    return "" if spec.location == "procedural" else spec.location


def _imagenet(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import imagenet_photos

    return imagenet_photos(spec.location, seed)


def _inat2018(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import inaturalist_photos

    return inaturalist_photos(spec.location, seed)


def _hub(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import read_hub_photos

    names = spec.chosen(*(name for name in KINDS["hub"].options if name != "val-share"))
    return read_hub_photos(
        spec.location,
        revision=spec.revision,
        seed=seed,
        val_share=spec.val_share,
        columns=spec.columns,
        streaming=spec.streaming,
        **names,
    )


def _built(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import stored_photos

    parameters = [name for name in spec.options.get("parameter", "").split(",") if name]
    return stored_photos(spec.location, parameters, revision=spec.revision)


def _table(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import table_photos

    return table_photos(spec.location, **_of_table(spec), **spec.chosen("encoding"), seed=seed)


def _pathorob(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import pathorob_photos

    return pathorob_photos(spec.location, **_of_table(spec), seed=seed)


def _wilds(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import wilds_photos

    return wilds_photos(
        spec.location,
        spec.options.get("root", ""),
        columns=spec.columns,
        seed=seed,
        val_share=spec.val_share,
        draw="val-share" in spec.options,
    )


def _detection(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import detection_photos

    return detection_photos(spec.kind, spec.location, columns=spec.columns, seed=seed, val_share=spec.val_share)


def _openfake(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import openfake_photos

    named = spec.chosen("config")
    return openfake_photos(
        spec.location, revision=spec.revision, columns=spec.columns, seed=seed, val_share=spec.val_share, **named
    )


def _webdataset(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import webdataset_photos

    image = spec.options.get("image", "")
    return webdataset_photos(
        spec.location,
        columns=spec.columns,
        image=image,
        seed=seed,
        val_share=spec.val_share,
        streaming=spec.streaming,
    )


def _of_table(spec: DataSpec) -> dict[str, Any]:
    return {**spec.chosen("image", "id", "root"), "columns": spec.columns, "val_share": spec.val_share}


def _paircams(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import read_pair_photos

    return read_pair_photos(spec.location)


def _flickrexif(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import read_attribute_photos

    return read_attribute_photos(spec.location, configs=[c for c in spec.options.get("config", "").split(",") if c])


def _exif_folder(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import MIN_PHOTOS, read_camera_folder

    text = spec.options.get("min-photos", str(MIN_PHOTOS))
    if not text.isdecimal() or len(text) > MOST_DIGITS or int(text) < 3:
        raise UsageError(f"min-photos={text}: give a whole number of at least 3, one photo for each split")
    return read_camera_folder(spec.location, seed=seed, min_photos=int(text), **spec.chosen("classes", "groups"))


def _unless_on_hub(spec: DataSpec) -> bool:
    """Whether the location is a folder here: not the name of a repository, or a folder here has that name."""
    on_hub = spec.kind in ("hub", "built", "openfake") or spec.location.startswith("hub:")
    place = spec.location.removeprefix("hub:").partition("@")[0]
    return not on_hub or not _DATA_REPO.fullmatch(place) or Path(place).exists()


def _unless_remote(spec: DataSpec) -> bool:
    from builders.files import is_remote

    return not is_remote(spec.location)


_BUILT_IN: Mapping[str, Kind] = MappingProxyType(
    {
        "sample": Kind(
            "sample",
            "tiles of photos that come with Python packages: a smoke test",
            _sample,
            (),
            "none",
            is_local=lambda spec: False,
        ),
        "folder": Kind(
            "folder:PATH",
            "class sub-folders, in train/ and val/ or with a seeded split of their own; here or in a store (s3://)",
            _folder,
            ("val-share",),
            is_local=_unless_remote,
        ),
        "exif-folder": Kind(
            "exif-folder:PATH",
            "camera photos, labelled by their own Exif (make, model, exposure, ...)",
            _exif_folder,
            ("classes", "groups", "min-photos"),
            is_local=lambda spec: True,
        ),
        "hub": Kind(
            "hub:REPO[@REVISION]",
            "any image data set of the Hub, or a local folder that load_dataset reads",
            _hub,
            ("config", "image", "id", "train", "val", "test", "val-share"),
            has_revision=True,
            has_table=True,
            streams=True,
            is_local=_unless_on_hub,
        ),
        "table": Kind(
            "table:FILE",
            "pictures that a table names (?image=path&label=...), or ids alone for embeddings made elsewhere (?id=...)",
            _table,
            ("image", "id", "root", "encoding", "val-share"),
            path_options=("root",),
            has_table=True,
            is_local=lambda spec: True,
        ),
        "pathorob": Kind(
            "pathorob:PATH",
            "patches of a table of PathoROB: biological_class, medical_center and slide_id as label, group and cluster",
            _pathorob,
            ("image", "id", "root", "val-share"),
            path_options=("root",),
            has_table=True,
            is_local=lambda spec: True,
        ),
        "wilds": Kind(
            "wilds:NAME?root=PATH",
            "camelyon17, iwildcam, fmow or rxrx1, as the package wilds unpacks them",
            _wilds,
            ("root", "val-share"),
            path_options=("root",),
            has_table=True,
            is_local=lambda spec: not re.fullmatch(r"\w+", spec.location),
        ),
        "genimage": Kind(
            "genimage:PATH",
            "GenImage: folders ai and nature of each generator, in train/ and val/",
            _detection,
            ("val-share",),
            has_table=True,
            is_local=lambda spec: True,
        ),
        "univfd": Kind(
            "univfd:PATH",
            "the layout of CNNDetection and UnivFD: folders 0_real and 1_fake of each generator",
            _detection,
            ("val-share",),
            has_table=True,
            is_local=lambda spec: True,
        ),
        "openfake": Kind(
            "openfake:REPO[@REVISION]",
            "OpenFake: real or generated photos with label, model and prompt as label, generator and cluster",
            _openfake,
            ("config", "val-share"),
            has_revision=True,
            has_table=True,
            is_local=_unless_on_hub,
        ),
        "webdataset": Kind(
            "webdataset:SHARD-{000..146}.tar",
            "tar shards on disk, over http or in a store (s3://): labels from .cls files or fields of .json files",
            _webdataset,
            ("image", "val-share"),
            has_table=True,
            streams=True,
            is_local=_unless_remote,
        ),
        "built": Kind(
            "built:PATH_OR_REPO[@REVISION]",
            "processed photos as `build ... --assignment every` stores them; ?parameter=A,B: these alone",
            _built,
            ("parameter",),
            has_revision=True,
            is_local=_unless_on_hub,
        ),
        "flickrexif": Kind(
            "flickrexif:hub:REPO[@REVISION] or flickrexif:PATH",
            "photos with acquisition labels: FlickrExif, a built simcams, or your own in their form",
            _flickrexif,
            ("config",),
            is_local=_unless_on_hub,
        ),
        "paircams": Kind(
            "paircams:hub:REPO[@REVISION] or paircams:PATH",
            "pairs of photos by a phone and by an older camera: CTU-OU/PairCams, or a folder of your own",
            _paircams,
            is_local=_unless_on_hub,
        ),
        "imagenet": Kind(
            "imagenet:PATH",
            "ImageNet-1k: train/ and val/ of class folders, or the official tars",
            _imagenet,
            is_local=lambda spec: True,
        ),
        "simcams": Kind(
            "simcams[:PATH]",
            "simulated cameras: procedural scenes, or a folder of photos, each through every camera",
            _simcams,
            ("scenes", "size"),
            "optional",
            is_local=lambda spec: bool(_scene_folder(spec)),
        ),
        "simpairs": Kind(
            "simpairs[:PATH]",
            "simulated pairs: each scene by a phone-like and by an older-compact-like camera",
            _simpairs,
            ("scenes", "size"),
            "optional",
            is_local=lambda spec: bool(_scene_folder(spec)),
        ),
        "inat2018": Kind(
            "inat2018:PATH",
            "iNaturalist 2018: the official files, or torchvision's layout",
            _inat2018,
            is_local=lambda spec: True,
        ),
    }
)

KINDS: Mapping[str, Kind] = WithPlugins(_BUILT_IN, "data", Kind)
"""Every kind of data specification by its name, with those of installed packages."""
