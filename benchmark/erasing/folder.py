"""Reads the folder of an eraser, local or on the Hub, that ``save_eraser`` wrote.

``eraser.json`` is written last and contains the SHA-256 of the tensors and of the hashes. A folder without it, or with
other files, is not complete. The folder contains no code.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.erasing.eraser import ABOUT, ERASER_FILES, FIT_PHOTOS, TENSORS, Eraser, FitSet, eraser_record
from benchmark.erasing.methods import METHODS
from builders.errors import DataError, RemoteError
from builders.untrusted import (
    UntrustedInputError,
    client_message,
    describe_error,
    from_hub,
    parse_json,
    read_untrusted,
    read_untrusted_text,
)

MAX_TENSOR_BYTES = 4 << 30
"""Largest file that is read. A projection of 16,384 dimensions has 1 GB; a photo of the fit has 16 bytes."""

_REPO = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w./-]+)?")


def load_eraser(place: str | Path) -> Eraser:
    """Load an eraser from a folder or, as ``OWNER/NAME[@REVISION]``, from the Hub. ``fit`` has the photos of its fit.

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
        return replace(_eraser(files[TENSORS], about), fit=_fit_set(files.get(FIT_PHOTOS)))
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
        mean=tensors["mean"],
        projection=tensors["projection"],
        group_means=tensors.get("group_means"),
        group_scales=tensors.get("group_scales"),
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
