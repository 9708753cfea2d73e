"""The folder of an eraser, local or on the Hub: tensors, hashes of the photos of the fit, ``eraser.json`` and a card.

``eraser.json`` is written last and contains the SHA-256 of the tensors and of the hashes. A folder without it, or with
other files, is not complete. The folder contains no code.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.erasing.eraser import Eraser
from benchmark.erasing.methods import METHODS
from builders.errors import DataError, RemoteError, disk_error
from builders.files import write_bytes_atomically, write_text_atomically
from builders.untrusted import (
    UntrustedInputError,
    client_message,
    describe_error,
    from_hub,
    parse_json,
    read_untrusted,
    read_untrusted_text,
)

TENSORS, FIT_PHOTOS, ABOUT, CARD = "eraser.safetensors", "fit_photos.safetensors", "eraser.json", "README.md"

ERASER_FILES = (TENSORS, FIT_PHOTOS, CARD, ABOUT)
"""The files of a folder in the order of writing."""

SCHEMA = 1
"""Version of the form of ``eraser.json``."""

MAX_TENSOR_BYTES = 4 << 30
"""Largest file that is read. A projection of 16,384 dimensions has 1 GB; a photo of the fit has 16 bytes."""

_REPO = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w./-]+)?")


@dataclass(frozen=True, eq=False)
class FitSet:
    """The photos of a fit, as hashes that reveal neither names nor pictures."""

    ids: np.ndarray
    """uint64 [n], hashes of (data set, photo id)."""
    pictures: np.ndarray
    """uint64 [n], perceptual hashes; 0 if a picture has none."""

    @staticmethod
    def id_hashes(data: str, photo_ids: Any) -> np.ndarray:
        """uint64 [n], hashes of photo ids and the name of their data set, so that equal ids of two sets differ.

        >>> FitSet.id_hashes("folder:a", ["1.jpg"]) == FitSet.id_hashes("folder:b", ["1.jpg"])
        array([False])
        """
        texts = (f"{data}\0{photo}".encode("utf-8", "surrogateescape") for photo in photo_ids)
        return np.array([int.from_bytes(hashlib.sha256(t).digest()[:8], "big") for t in texts], dtype=np.uint64)

    def digest(self) -> str:
        """Hash of the photos of the fit, independent of their order, 16 hex digits."""
        return hashlib.sha256(np.sort(self.ids).astype("<u8").tobytes()).hexdigest()[:16]


def save_eraser(
    folder: Path, eraser: Eraser, fit: FitSet | None = None, *, about: Mapping[str, Any], card: str
) -> None:
    """Write the folder. A kill leaves the old folder, or one that is recognised as incomplete.

    Args:
        folder: created if it does not exist.
        eraser: the eraser.
        fit: the photos that it was fitted on.
        about: fields of ``eraser.json`` in addition to ``eraser_record``.
        card: text of ``README.md``.

    Raises:
        DiskError: a file cannot be written.
    """
    from safetensors.numpy import save

    files = {TENSORS: save({name: np.ascontiguousarray(array) for name, array in eraser.tensors().items()})}
    if fit is not None:
        files[FIT_PHOTOS] = save({"ids": fit.ids, "pictures": fit.pictures})
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    text = json.dumps({**eraser_record(eraser), "files_sha256": hashes, **about}, indent=2, ensure_ascii=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ABOUT).unlink(missing_ok=True)
        for name, data in files.items():
            write_bytes_atomically(folder / name, data)
        write_text_atomically(folder / CARD, card)
        write_text_atomically(folder / ABOUT, text + "\n", durable=True)
    except OSError as error:
        raise disk_error(error, folder) from None


def eraser_record(eraser: Eraser) -> dict[str, Any]:
    """The description of an eraser in ``eraser.json`` and in every result that it was applied in."""
    return {
        "schema_version": SCHEMA,
        "method": eraser.method,
        "name": eraser.name,
        "sha256": eraser.sha256,
        "rank": eraser.rank,
        "dimension": eraser.dimension,
        "dtype": str(eraser.mean.dtype),
        "unit_rows": eraser.unit_rows,
        "labels_at_test_time": eraser.needs_labels,
        **eraser.provenance,
    }


def load_eraser(place: str | Path) -> tuple[Eraser, FitSet | None]:
    """Load an eraser and the photos of its fit from a folder or, as ``OWNER/NAME[@REVISION]``, from the Hub.

    Raises:
        DataError: the folder does not exist, is incomplete, or has another form.
        RemoteError: it cannot be downloaded from the Hub.
    """
    folder = Path(place).expanduser()
    if not folder.is_dir():
        if not _REPO.fullmatch(str(place)):
            raise DataError(f"{place}: no such folder, and no name of a repository on the Hub (OWNER/NAME)")
        folder = _download(str(place))
    try:
        about = parse_json(read_untrusted_text(folder / ABOUT), ABOUT)
        files = {TENSORS: read_untrusted(folder / TENSORS, limit=MAX_TENSOR_BYTES)}
        if FIT_PHOTOS in about.get("files_sha256", {}):
            files[FIT_PHOTOS] = read_untrusted(folder / FIT_PHOTOS, limit=MAX_TENSOR_BYTES)
        for name, data in files.items():
            if about["files_sha256"][name] != hashlib.sha256(data).hexdigest():
                raise DataError(f"{place}: {name} is not the file that {ABOUT} names: the folder is not whole")
        return _eraser(files[TENSORS], about), _fit_set(files.get(FIT_PHOTOS))
    except UntrustedInputError as error:
        raise DataError(f"{place}: no eraser ({error})") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{place}: not the form of an eraser ({describe_error(error)})") from None


def _eraser(data: bytes, about: Mapping[str, Any]) -> Eraser:
    tensors = _read(data)
    d = int(about["dimension"])
    shapes = {"mean": (d,), "projection": (d, d)}
    groups = len(tensors["group_means"]) if "group_means" in tensors else 0
    if groups:
        shapes |= {"group_means": (groups, d), "group_scales": (groups, d)}
    if set(tensors) != set(shapes):
        raise ValueError(f"it holds {', '.join(sorted(tensors))}")
    for name, shape in shapes.items():
        if tensors[name].shape != shape or tensors[name].dtype != np.float32 or not np.isfinite(tensors[name]).all():
            raise ValueError(f"{name} is not a finite float32 array of shape {shape}")
    if about["method"] not in METHODS:
        raise ValueError(f"unknown method {about['method']!r}")
    record = eraser_record(Eraser("", tensors["mean"], tensors["projection"], 0))
    return Eraser(
        method=str(about["method"]),
        rank=int(about["rank"]),
        unit_rows=bool(about["unit_rows"]),
        provenance={name: value for name, value in about.items() if name not in record and name != "files_sha256"},
        **tensors,
    )


def _fit_set(data: bytes | None) -> FitSet | None:
    if data is None:
        return None
    tensors = _read(data)
    if set(tensors) != {"ids", "pictures"} or any(t.dtype != np.uint64 or t.ndim != 1 for t in tensors.values()):
        raise ValueError(f"{FIT_PHOTOS} does not hold ids and pictures")
    return FitSet(**tensors)


def _read(data: bytes) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return dict(load(data))
    except SafetensorError as error:
        raise ValueError(str(error)) from None


def _download(place: str) -> Path:
    """Download an eraser from the Hub; returns its folder in the Hub's cache."""
    from huggingface_hub import snapshot_download

    repo, _, revision = place.partition("@")
    try:
        with from_hub(limit=MAX_TENSOR_BYTES):
            return Path(snapshot_download(repo, revision=revision or None, allow_patterns=list(ERASER_FILES)))
    except Exception as error:
        raise RemoteError(f"{place}: no folder here, and the Hub does not give it ({client_message(error)})") from None
