"""Photos in a folder on disk whose sub-folders are classes, and seeded splits for data that have none."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from builders.errors import DataError, PhotoError, RespelledError, not_a_folder
from builders.files import MAX_PHOTO_BYTES, is_remote
from builders.photos import (
    CLUSTER,
    SPLITS,
    UNLABELLED,
    Head,
    PhotoSet,
    PhotoSource,
    Stamps,
    hash64,
    labels_of,
    rank_within,
    stamps_of_files,
)
from builders.sources.remote.folders import StoreSource
from builders.splits import make_splits
from builders.untrusted import (
    UntrustedInputError,
    files_below,
    list_folder,
    read_untrusted,
    readable,
)

if TYPE_CHECKING:
    from builders.untrusted import RemoteFacts

MAX_ANNOTATION_BYTES = 2**30
"""Limit of an annotation file: train2018.json of iNaturalist has 120 MB."""

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Names of folders in lower case -> the split in ``SPLITS`` that they name."""


def split_word(name: str) -> str | None:
    """The split in ``SPLITS`` that a word names in any case; None if it names none.

    >>> split_word("Validation"), split_word("id_val")
    ('val', None)
    """
    return SPLIT_WORDS.get(name.strip().lower())


@dataclass(frozen=True)
class FolderSource:
    """Files under one folder."""

    root: str
    paths: tuple[str, ...]
    """Relative to ``root``, with forward slashes."""

    def __post_init__(self) -> None:
        """Make ``root`` absolute: the code of an encoder may change the working folder."""
        object.__setattr__(self, "root", os.path.abspath(self.root))

    def path(self, row: int) -> str:
        """Path of the file of a row. Ids are for people: names that do not print are escaped in them."""
        return os.path.join(self.root, self.paths[row])

    def read(self, row: int) -> bytes:
        try:
            return read_untrusted(self.path(row), limit=MAX_PHOTO_BYTES)
        except UntrustedInputError as refused:
            raise PhotoError(f"the file {refused.reason}" if refused.reason[:3] == "can" else refused.reason) from None

    def head(self, row: int, limit: int) -> Head:
        """The first ``limit`` bytes and the size of a regular file. Raises ``PhotoError``."""
        try:
            # without O_NONBLOCK, opening a fifo waits for its writer
            descriptor = os.open(self.path(row), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except (OSError, ValueError) as error:
            raise PhotoError(f"the file cannot be read ({getattr(error, 'strerror', error)})") from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise PhotoError("not a regular file")
            return Head(os.read(descriptor, min(limit, MAX_PHOTO_BYTES)), status.st_size)
        except OSError as error:
            raise PhotoError(f"the file cannot be read ({error.strerror})") from None
        finally:
            os.close(descriptor)

    def stamps(self, rows: np.ndarray) -> Stamps:
        """See ``PhotoSet.stamps``."""
        return stamps_of_files(self.path, rows)


def labelled_folder(path: str, *, seed: int = 0, val_share: float = 0.25, splits_required: bool = False) -> PhotoSet:
    """Photos of a folder whose sub-folders are classes.

    The folder has one of three forms: ``PATH/{train,val}/<class>/...`` (also ``valid``, ``validation``, ``test``);
    ``PATH/<class>/...``, which is split by seed, stratified by class; or a flat folder of unlabelled photos. A file is
    a photo by its ending, so that broken photos appear among the failures, or else by its first bytes. Other files are
    left out, and named in ``evidence``.

    Args:
        path: the folder, here or in a store (``s3://BUCKET/FOLDER``), where it is read in place.
        seed: of the split, if the folder has none.
        val_share: share of each class that becomes ``val``, if the folder has no split.
        splits_required: refuse a folder without ``train`` and ``val``.

    Raises:
        DataError: there is no such folder, it has no file, a folder cannot be listed, or required splits are missing.
    """
    if is_remote(path):
        stored = _files_of_store(path)
        folders = list(dict.fromkeys(file.partition("/")[0] for file in stored if "/" in file))

        def files_of(folder: str) -> list[str]:
            return [file.removeprefix(f"{folder}/") for file in stored if not folder or file.startswith(f"{folder}/")]

    else:
        root = Path(path).expanduser()
        if not root.is_dir():
            raise not_a_folder(path)
        folders = list_folder(root).folders

        def files_of(folder: str) -> list[str]:
            return _files(root / folder)

    def pictures_of(folder: str) -> list[str]:
        named = [f"{folder}/{inner}" if folder else inner for inner in files_of(folder)]
        pictures = [file for file in named if _is_picture(file, None if is_remote(path) else root)]
        others.extend(sorted({*named} - {*pictures}))
        return pictures

    others: list[str] = []
    split_of = {name: split for name in folders if not name.startswith(".") and (split := split_word(name))}
    if {"train", "val"} <= set(split_of.values()) or {"train", "test"} <= set(split_of.values()):
        paths = [file for name in split_of for file in pictures_of(name)]
        splits = [split_of[p.split("/", 1)[0]] for p in paths]
        if "val" not in split_of.values():
            splits = ["val" if split == "test" else split for split in splits]
        classes = [_class_of(p.split("/", 1)[1]) for p in paths]
        how, drawn = "as given by the folder", False
    elif splits_required:
        sentence = f"{path}: expected the folders train and val in it, each with one folder per class"
        if not is_remote(path) and any(list_folder(root / name).files for name in folders):
            raise RespelledError(f"{sentence}; class folders alone are a folder", f"folder:{path}", certain=True)
        raise DataError(sentence)
    else:
        paths = pictures_of("")
        classes = [_class_of(p) for p in paths]
        splits = seeded_splits(paths, classes, seed=seed, val_share=val_share)
        how, drawn = f"seeded split of each class, seed {seed}, {val_share:g} of the photos for val", True
    if not paths:
        raise _without_photos(path, others)
    evidence = {"splits": how}
    if others:
        evidence["left out"] = f"{len(others):,} files that are no photos (the first: {readable(others[0])})"
    source: PhotoSource
    if is_remote(path):
        name = path.rstrip("/").rpartition("/")[2]
        source = StoreSource(path.rstrip("/"), tuple(paths), tuple(stored[p] for p in paths))
    else:
        name, source = root.resolve().name, FolderSource(str(root), tuple(paths))
    photos = photo_set(f"folder:{name}", paths, classes, splits, source, evidence)
    return replace(photos, drawn_splits=drawn)


def _files_of_store(address: str) -> dict[str, RemoteFacts]:
    """Size and identity of every file below an address by its path, without hidden ones."""
    from builders.untrusted import files_of_store  # late: not every installation has its packages

    files = files_of_store(address.rstrip("/"))
    return {path: facts for path, facts in files.items() if not any(part[:1] == "." for part in path.split("/"))}


PICTURE_ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".heic", ".heif", ".avif"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".jxl", ".tga", ".ico"),
)
"""Endings of photos in lower case: such a file counts as one even if it is broken."""

_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")

_RAW = (".dng", ".nef", ".nrw", ".cr2", ".arw", ".srw", ".pef", ".3fr", ".iiq", ".erf", ".kdc", ".dcr")
"""Endings of undeveloped photos: they begin as TIFF files do, with a preview."""


def _is_picture(file: str, root: Path | None) -> bool:
    """Whether a file of a folder is a photo, by its ending or its first bytes; in a store by its ending alone."""
    name = file.rpartition("/")[2].lower()
    if name.endswith((*PICTURE_ENDINGS, *_ARCHIVES, *_RAW)) or root is None:
        return name.endswith(PICTURE_ENDINGS) or "." not in name
    try:
        head = FolderSource(str(root), (file,)).head(0, 64).data
    except PhotoError:  # a disk that does not give it says nothing about it: it is a failure by name
        return True
    known = head.startswith(
        (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP", b"\xff\x0a")
    )
    bmp = head[:2] == b"BM" and head[6:10] == bytes(4)  # two letters alone begin texts too
    webp, heif = head[:4] == b"RIFF" and head[8:12] == b"WEBP", head[4:8] == b"ftyp"
    return known or bmp or webp or (heif and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis"))


def _without_photos(path: str, others: Sequence[str]) -> DataError:
    """The error of a folder without a photo, with the specification that reads what it holds."""
    if not others:
        return DataError(f"{path}: no photo in this folder")
    held = (
        f"{path}: no photo in this folder, which holds {len(others):,} other files (the first: {readable(others[0])})"
    )
    endings = {
        ending: [file for file in others if file.lower().endswith(ending)] for ending in (".parquet", ".npy", ".npz")
    }
    archives = [file for file in others if file.lower().endswith(_ARCHIVES)]
    if archives and archives[0].endswith(".tar"):
        return RespelledError(held, _shard_pattern(path, archives))
    if archives:
        return DataError(f"{held}: unpack them")
    if endings[".parquet"]:
        return RespelledError(held, f"hub:{path}", certain=True)
    if endings[".npy"] or endings[".npz"]:
        files = [f"{path}/{file}" for file in endings[".npz"] or endings[".npy"]]
        places = files if endings[".npz"] else list(dict.fromkeys(file.rpartition("/")[0] for file in files))
        return RespelledError(held, f"table:{places[0]}", certain=len(places) == 1)
    return DataError(f"{held}: name the folder of the photos")


def _shard_pattern(folder: str, names: Sequence[str]) -> str:
    """The specification of tar files of a folder: a range where their numbers are one, else the first.

    >>> _shard_pattern("/d", ["a-00.tar", "a-01.tar"]), _shard_pattern("/d", ["x.tar"])
    ('webdataset:/d/a-{00..01}.tar', 'webdataset:/d/x.tar')
    """
    numbered = [re.fullmatch(r"(.*?)(\d+)(\D*\.tar)", name) for name in names]
    heads = {(m[1], len(m[2]), m[3]) for m in numbered if m}
    if len(names) > 1 and all(numbered) and len(heads) == 1:
        head, _, tail = next(iter(heads))
        numbers = sorted(m[2] for m in numbered if m)
        return f"webdataset:{folder}/{head}{{{numbers[0]}..{numbers[-1]}}}{tail}"
    return f"webdataset:{folder}/{names[0]}"


def photo_set(
    name: str,
    ids: Sequence[str],
    classes: Sequence[str | None],
    splits: Sequence[str],
    source: PhotoSource,
    evidence: dict[str, str],
    neighbours: int = 10,
) -> PhotoSet:
    """A ``PhotoSet`` from columns of names. Rows of ``source`` are in the order of ``ids``."""
    return PhotoSet(
        name=name,
        ids=tuple(ids),
        splits=np.array([SPLITS.index(s) for s in splits], dtype=np.int8),
        labels=labels_of(classes),
        source=source,
        rows=np.arange(len(ids), dtype=np.int64),
        neighbours=neighbours,
        evidence=evidence,
    )


def seeded_splits(ids: Sequence[str], classes: Sequence[str | None], *, seed: int, val_share: float) -> list[str]:
    """A train/val split of each class by hash, independent of the order of the photos and of the other classes.

    A class of at least 2 photos has at least 1 in each split.

    Args:
        ids: of the photos.
        classes: class name of each photo; None counts as one more class.
        seed: of the hash.
        val_share: share of each class that becomes ``val``.

    Returns:
        ``train`` or ``val`` for each photo.

    >>> sorted(seeded_splits(["a", "b", "c", "d"], ["x"] * 4, seed=0, val_share=0.25))
    ['train', 'train', 'train', 'val']
    """
    groups = np.unique(np.array([str(c) for c in classes]), return_inverse=True)[1]
    order = np.argsort(np.array([hash64(f"split\0{seed}\0{i}") for i in ids], dtype=np.uint64), kind="stable")
    rank = np.empty(len(ids), dtype=np.int64)
    rank[order] = rank_within(groups[order])
    sizes = np.bincount(groups)[groups]
    n_val = np.clip(np.round(sizes * val_share).astype(int), np.minimum(1, sizes - 1), np.maximum(sizes - 1, 0))
    return ["val" if r < n else "train" for r, n in zip(rank, n_val, strict=True)]


def drawn_splits(photos: PhotoSet, *, seed: int, val_share: float) -> PhotoSet:
    """The photo set with a split that is drawn by class, as ``seeded_splits``, or apart by its clusters or scenes if it
    has some.

    Scenes are clusters where none are given. Whole clusters are assigned by iterative stratification over the cells of
    label x group. The draw depends on their names, not on those of their photos.

    Args:
        photos: whose splits are drawn again.
        seed: of the draw.
        val_share: share of the photos that become ``val``.

    Raises:
        DataError: there are fewer than two clusters or scenes.
    """
    how = f"seeded split of each class, seed {seed}, {val_share:g} of the photos for val"
    names = [photos.labels.names[value] if value >= 0 else None for value in photos.labels.values]
    column = next((name for name in (CLUSTER, "scene") if name in photos.columns), "")
    if not column:
        splits = seeded_splits(photos.ids, names, seed=seed, val_share=val_share)
        drawn = np.array([SPLITS.index(split) for split in splits], dtype=np.int8)
    else:
        names_of = [
            str(name) or f"\0{photo_id}" for name, photo_id in zip(photos.columns[column], photos.ids, strict=True)
        ]
        order = np.array(sorted(range(len(photos)), key=lambda i: (names_of[i], photos.ids[i])), dtype=np.int64)
        clusters = [names_of[i] for i in order]
        turns = rank_within(np.unique(clusters, return_inverse=True)[1])
        members = [f"{name}\0{turn}" for name, turn in zip(clusters, turns, strict=True)]
        strata = {"label": photos.labels.values, **{f"group {n}": g.values for n, g in photos.groups.items()}}
        for name, group in photos.groups.items():
            cell = photos.labels.values.astype(np.int64) * len(group.names) + group.values
            known = (photos.labels.values >= 0) & (group.values >= 0)
            strata[f"cell {name}"] = np.where(known, cell, UNLABELLED)
        shares = (1 - val_share, val_share, 0.0)
        ordered = {name: values[order] for name, values in strata.items()}
        made = make_splits(members, ordered, owners=clusters, shares=shares, assign="stratified", seed=seed)
        sizes, drawn, groups = np.bincount(made.groups), np.empty_like(made.splits), np.empty_like(made.groups)
        drawn[order], groups[order] = made.splits, made.groups
        if len(sizes) < 2:
            raise DataError(
                f"{photos.name}: all photos are of one {column}, and no split can be drawn between {column}s"
            )
        if len(np.unique(drawn)) < 2:  # too few clusters for the shares
            smallest = groups == np.argmin(sizes)
            drawn = np.where(smallest, SPLITS.index("val"), SPLITS.index("train")).astype(np.int8)
        how += ", clusters apart"
    return replace(photos, splits=drawn, drawn_splits=True, evidence={**photos.evidence, "splits": how})


def _class_of(path: str) -> str | None:
    return path.split("/", 1)[0] if "/" in path else None


def _files(root: Path) -> list[str]:
    """Files below ``root`` that are not hidden; links are followed once."""
    return files_below(root, links=True, hidden=False)
