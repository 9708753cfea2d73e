"""Data specifications such as ``folder:PATH`` or ``hub:REPO@REVISION``, and the photo sets that they name.

Options follow a question mark, as in a URL: ``hub:cifar100?image=img&label=fine_label&val=test``. On every kind
``label``, ``group``, ``cluster``, ``split`` and ``source`` say where these columns come from
(``builders.photos.ColumnSources``).
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from builders.cli import parse_query
from builders.errors import DataError, UsageError, unknown_name
from builders.photos import COLUMN_OPTIONS, ColumnSources, PhotoSet
from builders.sources import CAMERA_SETS

if TYPE_CHECKING:
    from builders.simcams import Scenes


_DATA_REPO = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")


@dataclass(frozen=True)
class DataSpec:
    """A parsed data specification: ``kind:location[@revision][?option=value&...]``."""

    kind: str
    location: str = ""
    revision: str | None = None
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """By name, without ``group``."""
    columns: ColumnSources = field(default_factory=ColumnSources)
    """Where labels, groups, clusters, splits and sources come from."""

    @classmethod
    def parse(cls, text: str) -> DataSpec:
        """Parse a specification.

        Raises:
            UsageError: the kind is unknown, the location is missing, or an option is malformed.

        >>> DataSpec.parse("hub:org/name@main?label=species").options["label"]
        'species'
        """
        head, _, query = text.partition("?")
        kind, colon, location = head.partition(":")
        if kind not in KINDS:
            raise _unknown_data(text)
        location_use = KINDS[kind].location
        if location_use == "required" and not location:
            raise UsageError(f"data {text!r} names no location: write {KINDS[kind].usage}")
        if colon and location_use == "none":
            raise UsageError(f"data {kind!r} takes no location, got {text!r}")
        revision = None
        if KINDS[kind].has_revision and not Path(location).exists():
            location, _, revision = location.partition("@")
        pairs = parse_query(query, f"data {text!r}", repeated=("group",)) if query else []
        options = {name: value for name, value in pairs if name != "group"}
        groups = [value for name, value in pairs if name == "group"]
        named = {name: options[name] for name in COLUMN_OPTIONS if name in options}
        return cls(kind, location, revision or None, MappingProxyType(options), ColumnSources.of(group=groups, **named))


def _unknown_data(text: str) -> UsageError:
    """The error for a path or a repository without its kind, or for a misspelt kind."""
    head = text.partition("?")[0]
    if Path(head).expanduser().exists():
        return UsageError(f"data {text!r} does not say what it is: did you mean 'folder:{text}'?")
    near = difflib.get_close_matches(head.partition(":")[0], KINDS, n=1, cutoff=0.7)
    if not near and re.fullmatch(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?", head):
        return UsageError(
            f"data {text!r} does not say what it is: did you mean 'hub:{text}'? ('camtrace list data' names every kind)"
        )
    return unknown_name("data", text, [KINDS[kind].usage for kind in near] or [k.usage for k in KINDS.values()])


@dataclass(frozen=True)
class Kind:
    """One kind of data specification."""

    usage: str
    """How it is written."""
    summary: str
    """One line for ``camtrace list data``."""
    open: Callable[[DataSpec, int], PhotoSet]
    """From a specification, and the seed of splits for data without splits, to the photos."""
    options: tuple[str, ...] = ()
    """Names of its options."""
    location: Literal["required", "optional", "none"] = "required"
    has_revision: bool = False
    """Whether ``@REVISION`` may follow the location. Kinds whose location is a specification parse it themselves."""
    path_options: tuple[str, ...] = ()
    """Options whose values are paths of this machine."""
    has_table: bool = False
    """Whether the photos have a table, from which ``open`` reads the named columns itself."""
    is_local: Callable[[DataSpec], bool] = field(kw_only=True)
    """Whether the location is a path of this machine, which nothing that is published may hold."""


def open_photos(text: str, seed: int = 0, *, label_named: bool = False) -> PhotoSet:
    """The photos that a specification names.

    Args:
        text: for example ``sample``, ``folder:my_photos``, ``hub:org/name@main?label=species``.
        seed: of the train/val split, if the data have none.
        label_named: whether the caller names the label itself, and reads no split: class folders are not questioned.

    Raises:
        UsageError: the specification is wrong.
        DataError: the location has no usable photos, or its folders are probably no classes.
    """
    from builders.sources import check_layout, with_columns

    spec = DataSpec.parse(text)
    kind = KINDS[spec.kind]
    known = (*kind.options, *COLUMN_OPTIONS, "name")
    for option in spec.options:
        if option not in known:
            raise unknown_name(f"option of {kind.usage}", option, dict.fromkeys(known))
    photos = kind.open(spec, seed)
    if not len(photos):
        raise DataError(f"{text}: no photo there")
    if spec.kind == "folder" and not label_named:
        check_layout(f"folder:{spec.location}", photos, spec.columns, draw="val-share" in spec.options)
    if not kind.has_table:
        photos = with_columns(photos, spec.columns, seed=seed, val_share=_share(spec))
    return dataclasses.replace(photos, name=spec.options["name"]) if "name" in spec.options else photos


def _sample(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import sample_photos

    return sample_photos()


def _folder(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import labelled_folder

    return labelled_folder(spec.location, seed=seed, val_share=_share(spec))


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

    count, size = _whole(spec, "scenes", default), _whole(spec, "size", DEFAULT_SIZE)
    photos = PhotoScenes.of_folder(Path(spec.location), size, size, limit=count) if spec.location else None
    return count, size, photos


def _imagenet(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import imagenet_photos

    return imagenet_photos(spec.location, seed)


def _inat2018(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import inaturalist_photos

    return inaturalist_photos(spec.location, seed)


def _hub(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import read_hub_photos

    names = _given(spec, *(name for name in KINDS["hub"].options if name != "val-share"))
    return read_hub_photos(
        spec.location, revision=spec.revision, seed=seed, val_share=_share(spec), columns=spec.columns, **names
    )


def _built(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import stored_photos

    parameters = [name for name in spec.options.get("parameter", "").split(",") if name]
    return stored_photos(spec.location, parameters, revision=spec.revision)


def _table(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import table_photos

    return table_photos(spec.location, **_of_table(spec), seed=seed)


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
        val_share=_share(spec),
        draw="val-share" in spec.options,
    )


def _detection(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import detection_photos

    return detection_photos(spec.kind, spec.location, columns=spec.columns, seed=seed, val_share=_share(spec))


def _openfake(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import openfake_photos

    named = _given(spec, "config")
    return openfake_photos(
        spec.location, revision=spec.revision, columns=spec.columns, seed=seed, val_share=_share(spec), **named
    )


def _camera_set(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import TABLE_LAYOUTS, TILES, camera_photos, tabled_photos, tile_photos

    if spec.kind in TILES and Path(spec.location).suffix.lower() in (".csv", ".parquet"):
        if "scenes" in spec.options:
            raise UsageError(f"{spec.kind}:{spec.location}: scenes= is of a folder or archive: shorten the table")
        return tile_photos(spec.kind, spec.location, **_of_table(spec), seed=seed)
    named = _given(spec, "part", "root", "image", "id")
    scenes = _whole(spec, "scenes", 1) if "scenes" in spec.options else None
    read: Callable[..., PhotoSet] = camera_photos
    if spec.kind in TABLE_LAYOUTS:
        read = tabled_photos
    elif named.keys() & {"root", "image", "id"}:
        raise UsageError(f"{spec.kind}:{spec.location}: image=, id= and root= are of a table: name its file")
    return read(
        spec.kind, spec.location, columns=spec.columns, scenes=scenes, seed=seed, val_share=_share(spec), **named
    )


def _webdataset(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import webdataset_photos

    image = spec.options.get("image", "")
    return webdataset_photos(spec.location, columns=spec.columns, image=image, seed=seed, val_share=_share(spec))


def _of_table(spec: DataSpec) -> dict[str, Any]:
    return {**_given(spec, "image", "id", "root"), "columns": spec.columns, "val_share": _share(spec)}


def _paircams(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import read_pair_photos

    return read_pair_photos(spec.location)


def _flickrexif(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import read_attribute_photos

    return read_attribute_photos(spec.location, configs=[c for c in spec.options.get("config", "").split(",") if c])


def _exif_folder(spec: DataSpec, seed: int) -> PhotoSet:
    from builders.sources import MIN_PHOTOS, read_camera_folder

    text = spec.options.get("min-photos", str(MIN_PHOTOS))
    if not text.isdecimal() or int(text) < 3:
        raise UsageError(f"min-photos={text}: give a whole number of at least 3, one photo for each split")
    return read_camera_folder(spec.location, seed=seed, min_photos=int(text), **_given(spec, "classes", "groups"))


def _given(spec: DataSpec, *names: str) -> dict[str, Any]:
    """The options of these names that the specification has."""
    return {name: spec.options[name] for name in names if name in spec.options}


def _whole(spec: DataSpec, option: str, default: int) -> int:
    text = spec.options.get(option, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"{option}={text}: give a whole number of at least 1")
    return int(text)


def _share(spec: DataSpec) -> float:
    text = spec.options.get("val-share", "0.25")
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise UsageError(f"val-share={text}: give a number between 0 and 1")
    return share


def _unless_on_hub(spec: DataSpec) -> bool:
    """Whether the location is a folder here: not the name of a repository, or a folder here has that name."""
    on_hub = spec.kind in ("hub", "built", "openfake") or spec.location.startswith("hub:")
    place = spec.location.removeprefix("hub:").partition("@")[0]
    return not on_hub or not _DATA_REPO.fullmatch(place) or Path(place).exists()


def _unless_remote(spec: DataSpec) -> bool:
    from builders.sources import is_remote

    return not is_remote(spec.location)


KINDS: Mapping[str, Kind] = MappingProxyType(
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
            "class sub-folders, in train/ and val/ or with a seeded split of their own",
            _folder,
            ("val-share",),
            is_local=lambda spec: True,
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
            is_local=_unless_on_hub,
        ),
        "table": Kind(
            "table:FILE.csv|FILE.parquet",
            "pictures that a table names (?image=path&label=...), or ids alone for embeddings made elsewhere (?id=...)",
            _table,
            ("image", "id", "root", "val-share"),
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
        **{
            name: Kind(
                f"{name}:PATH",
                kind.summary,
                _camera_set,
                (*kind.options, "val-share"),
                path_options=("root",) if "root" in kind.options else (),
                has_table=True,
                is_local=lambda spec: True,
            )
            for name, kind in CAMERA_SETS.items()
        },
        "webdataset": Kind(
            "webdataset:SHARD-{000..146}.tar",
            "tar shards on disk, over http or in a store (s3://): labels from .cls files or fields of .json files",
            _webdataset,
            ("image", "val-share"),
            has_table=True,
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
            is_local=lambda spec: bool(spec.location),
        ),
        "simpairs": Kind(
            "simpairs[:PATH]",
            "simulated pairs: each scene by a phone-like and by an older-compact-like camera",
            _simpairs,
            ("scenes", "size"),
            "optional",
            is_local=lambda spec: bool(spec.location),
        ),
        "inat2018": Kind(
            "inat2018:PATH",
            "iNaturalist 2018: the official files, or torchvision's layout",
            _inat2018,
            is_local=lambda spec: True,
        ),
    }
)
"""Every kind of data specification by its name."""
