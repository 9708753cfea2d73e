"""iNaturalist 2018 from the official files, or from the folder that torchvision renames them to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from builders.errors import DataError, not_a_folder
from builders.photos import PhotoSet
from builders.sources.folders import MAX_ANNOTATION_BYTES, FolderSource, photo_set, seeded_splits
from builders.untrusted import describe_error, list_folder, read_untrusted_text


def inaturalist_2018(path: str) -> PhotoSet:
    """iNaturalist 2018: ``train2018.json`` and ``val2018.json`` next to ``train_val2018/``. Classes are species ids.

    Raises:
        DataError: a file is missing or does not have the official form.
    """
    root = Path(path).expanduser()
    paths: list[str] = []
    classes: list[str] = []
    splits: list[str] = []
    for split in ("train", "val"):
        annotation = root / f"{split}2018.json"
        try:
            raw = json.loads(read_untrusted_text(annotation, limit=MAX_ANNOTATION_BYTES))
            category = {entry["image_id"]: int(entry["category_id"]) for entry in raw["annotations"]}
            files = [(str(entry["file_name"]), category[entry["id"]]) for entry in raw["images"]]
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            raise DataError(
                f"{annotation}: not an iNaturalist 2018 annotation file ({describe_error(error)})"
            ) from None
        for name, label in files:
            if name.startswith("/") or ".." in name.split("/"):
                raise DataError(f"{annotation}: {name!r} points outside the folder")
            paths.append(name)
            classes.append(f"{label:04d}")
            splits.append(split)
    source = FolderSource(str(root), tuple(paths))
    return photo_set("inat2018", paths, classes, splits, source, {"splits": "official"}, neighbours=1)


OFFICIAL_FOLDER = "train_val2018"

TORCHVISION_FOLDER = "2018"

VAL_SHARE = 0.05
"""Share of each species in val if there is no annotation file: near the official 24,426 of 461,939."""


def inaturalist_photos(path: str, seed: int = 0) -> PhotoSet:
    """iNaturalist 2018 from ``PATH/train_val2018`` (official) or ``PATH/2018`` (torchvision's name for it).

    With ``train2018.json`` and ``val2018.json`` in ``PATH`` the splits are the official ones; without them (torchvision
    does not fetch them) each species is split by seed. Classes are species ids; ids of photos begin with
    ``train_val2018/`` in either layout, so that seeds and recipes carry over.

    Args:
        path: the folder.
        seed: of the split, if there is no annotation file.

    Raises:
        DataError: the folder has neither layout, or an annotation file does not have the official form.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise not_a_folder(path)
    folder = next((root / n for n in (OFFICIAL_FOLDER, TORCHVISION_FOLDER) if (root / n).is_dir()), None)
    annotated = (root / "train2018.json").is_file() or (root / "val2018.json").is_file()
    if annotated:
        return _with_folder(inaturalist_2018(path), root, folder)
    if folder is None:
        raise DataError(f"{path}: expected the folder {OFFICIAL_FOLDER} or {TORCHVISION_FOLDER} with the photos in it")
    files = [
        f"{group}/{species}/{name}"
        for group in list_folder(folder).folders
        for species in list_folder(folder / group).folders
        for name in list_folder(folder / group / species).files
        if not name.startswith(".")
    ]
    files.sort()
    if not files:
        raise DataError(f"{folder}: expected photos at <group>/<species>/<file>")
    classes = [
        f"{int(species):04d}" if species.isdecimal() else species for _, species, _ in (f.split("/") for f in files)
    ]
    ids = [f"{OFFICIAL_FOLDER}/{f}" for f in files]
    splits = seeded_splits(ids, classes, seed=seed, val_share=VAL_SHARE)
    how = f"no annotation files: seeded split of each species, seed {seed}, {VAL_SHARE:g} of the photos for val"
    source = FolderSource(str(folder), tuple(files))
    photos = photo_set("inat2018", ids, classes, splits, source, {"splits": how}, neighbours=1)
    return replace(photos, drawn_splits=True)


def _with_folder(photos: PhotoSet, root: Path, folder: Path | None) -> PhotoSet:
    """The same photos, read from the folder's actual name."""
    if folder is None or folder.name == OFFICIAL_FOLDER:
        return photos
    paths = tuple(i.replace(f"{OFFICIAL_FOLDER}/", f"{folder.name}/", 1) for i in photos.ids)
    return replace(photos, source=FolderSource(str(root), paths))
