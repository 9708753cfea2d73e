"""ImageNet-1k from class folders, from torchvision's layout, or from the official tar files, which are read in place.

The official archives are ``ILSVRC2012_img_train.tar`` (one tar of photos per class), ``ILSVRC2012_img_val.tar`` (50,000
photos) and the devkit ``ILSVRC2012_devkit_t12.tar.gz`` (the class of each validation photo). They are indexed once: a
photo is then one read at an offset, without unpacking 140 GB. Ids are the same in every form,
``train/<wordnet id>/<file>`` and ``val/<wordnet id>/<file>``, so that seeds and recipes carry over.
"""

from __future__ import annotations

import io
import os
import tarfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from builders.errors import DataError, PhotoError, not_a_folder
from builders.files import MAX_PHOTO_BYTES
from builders.photos import SPLITS, PhotoSet, Stamps, file_stamp, labels_of, open_unchanged, stamps_within
from builders.sources.folders import labelled_folder
from builders.sources.tar_index import TAR_ERRORS, WORDNET_ID, Member, indexed
from builders.untrusted import MAX_CONFIG_BYTES, first_line, list_folder, read_untrusted

TRAIN_TAR = "ILSVRC2012_img_train.tar"
VAL_TAR = "ILSVRC2012_img_val.tar"
DEVKIT_TAR = "ILSVRC2012_devkit_t12.tar.gz"
DEVKIT_FOLDER = "ILSVRC2012_devkit_t12"

_GROUND_TRUTH = "data/ILSVRC2012_validation_ground_truth.txt"
_META = "data/meta.mat"


@dataclass(frozen=True)
class TarSource:
    """Photos inside tar files, read by offset. It has no open file, so copies for workers share nothing."""

    archives: tuple[str, ...]
    archive: np.ndarray
    """int8 [photos], index into ``archives``."""
    offsets: np.ndarray
    """int64 [photos], offset of each photo in its archive, in bytes."""
    sizes: np.ndarray
    """int64 [photos], size of each photo in bytes."""
    found_in: tuple[str, ...]
    """Stamp of each archive when its photos were found."""

    def read(self, row: int) -> bytes:
        number, size = self.archive[row], int(self.sizes[row])
        path = self.archives[number]
        if size > MAX_PHOTO_BYTES:
            raise PhotoError(f"the file is larger than {MAX_PHOTO_BYTES >> 20} MiB")
        try:
            with open_unchanged(os.path.abspath(path), self.found_in[number]) as stream:
                stream.seek(int(self.offsets[row]))
                data = stream.read(size)
        except OSError as error:
            raise PhotoError(f"the archive cannot be read ({error.strerror})") from None
        if len(data) != size:
            raise PhotoError(f"the archive {Path(path).name} ends in the middle of the photo")
        return data

    def stamps(self, rows: np.ndarray) -> Stamps:
        """See ``PhotoSet.stamps``: the stamp of the archive, with the offset and size of the photo."""
        archives = [file_stamp(os.path.abspath(path)) for path in self.archives]
        return stamps_within(archives, self.archive[rows], self.offsets[rows], self.sizes[rows])


def imagenet_photos(path: str, seed: int = 0) -> PhotoSet:
    """ImageNet-1k from a folder in any of the usual forms.

    Args:
        path: a folder with the official tars (the devkit as tar or unpacked; training alone works without it), or with
            ``train/`` and ``val/`` of class folders (as torchvision unpacks them), or with class folders alone.
        seed: of the split, if there are class folders alone.

    Raises:
        DataError: the folder has none of these forms, an archive is damaged, or the devkit does not fit.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise not_a_folder(path)
    tars = [root / name for name in (TRAIN_TAR, VAL_TAR) if (root / name).is_file()]
    if (root / "train").is_dir() or not tars:
        _require_classes(root)
        unsplit = any(map(WORDNET_ID.fullmatch, list_folder(root).folders))
        return replace(labelled_folder(path, seed=seed, splits_required=not unsplit), name="imagenet")
    return _from_tars(root, tars)


def _require_classes(root: Path) -> None:
    """Refuse a flat ``val/``, as the official tar unpacks: its photos would count as unlabelled."""
    val = root / "val"
    if val.is_dir() and not list_folder(val).folders:
        raise DataError(f"{val}: has no class folders; put {VAL_TAR} and {DEVKIT_TAR} next to it, or sort it into them")


def _from_tars(root: Path, tars: list[Path]) -> PhotoSet:
    ids: list[str] = []
    classes: list[str] = []
    archive: list[int] = []
    members: list[Member] = []
    found_in = tuple(file_stamp(os.path.abspath(tar)).text for tar in tars)
    for number, tar in enumerate(tars):
        if tar.name == TRAIN_TAR:
            labelled = [(m, m.name.split("/")[0]) for m in indexed(tar, nested=True)]
            names = [f"train/{m.name}" for m, _ in labelled]
        else:
            truth = _validation_classes(root)
            flat = sorted(indexed(tar, nested=False), key=lambda m: m.name)
            if len(flat) != len(truth):
                raise DataError(f"{tar}: {len(flat)} photos, the devkit names {len(truth)} classes")
            labelled = list(zip(flat, truth, strict=True))
            names = [f"val/{c}/{m.name}" for m, c in labelled]
        ids += names
        classes += [c for _, c in labelled]
        members += [m for m, _ in labelled]
        archive += [number] * len(labelled)
    if not ids:
        raise DataError(f"{root}: no photo in the archives")
    order = np.array(sorted(range(len(ids)), key=lambda i: (not ids[i].startswith("train/"), ids[i])), dtype=np.int64)
    return PhotoSet(
        name="imagenet",
        ids=tuple(ids[i] for i in order),
        splits=np.array([SPLITS.index(ids[i].split("/", 1)[0]) for i in order], dtype=np.int8),
        labels=labels_of(classes[i] for i in order),
        source=TarSource(
            archives=tuple(map(str, tars)),
            archive=np.array(archive, dtype=np.int8),
            offsets=np.array([m.offset for m in members], dtype=np.int64),
            sizes=np.array([m.size for m in members], dtype=np.int64),
            found_in=found_in,
        ),
        rows=order,
        evidence={"splits": "official"},
    )


def _validation_classes(root: Path) -> list[str]:
    """WordNet id of each validation photo in the order of the file names, from the devkit.

    Raises:
        DataError: there is no devkit, or it is not the official one.
    """
    truth = _devkit_file(root, _GROUND_TRUTH).decode("ascii", "replace").split()
    synsets = _synsets(_devkit_file(root, _META), root)
    try:
        return [synsets[int(number)] for number in truth]
    except (ValueError, KeyError) as error:
        raise DataError(f"{root}: the devkit's ground truth names an unknown class ({error})") from None


def _devkit_file(root: Path, name: str) -> bytes:
    unpacked, packed = root / DEVKIT_FOLDER / name, root / DEVKIT_TAR
    try:
        if unpacked.is_file():
            return read_untrusted(unpacked, limit=MAX_CONFIG_BYTES)
        with tarfile.open(packed, "r:gz") as tar:
            stream = tar.extractfile(f"{DEVKIT_FOLDER}/{name}")
            if stream is not None:
                return stream.read(MAX_CONFIG_BYTES)
    except FileNotFoundError:
        raise DataError(f"{root}: {VAL_TAR} needs {DEVKIT_TAR} next to it, with the classes") from None
    except (OSError, KeyError, zlib.error, *TAR_ERRORS) as error:
        raise DataError(f"{packed}: cannot be read ({first_line(error)})") from None
    raise DataError(f"{packed}: {name} is not in it")


def _synsets(meta: bytes, root: Path) -> dict[int, str]:
    """ILSVRC2012 id -> WordNet id of the 1000 leaf classes (``meta.mat``, a MATLAB 5 file)."""
    from scipy.io import loadmat

    try:
        table = loadmat(io.BytesIO(meta), squeeze_me=True, struct_as_record=False)["synsets"]
        leaves = [s for s in np.atleast_1d(table) if int(s.num_children) == 0]
        synsets = {int(s.ILSVRC2012_ID): str(s.WNID) for s in leaves}
    except Exception as error:  # a damaged MATLAB file raises errors of any type
        raise DataError(f"{root}: the devkit's meta.mat cannot be read ({type(error).__name__})") from None
    if not all(WORDNET_ID.fullmatch(name) for name in synsets.values()):
        raise DataError(f"{root}: the devkit's meta.mat names a class that is not a WordNet id")
    return synsets
