"""The keys of banks: everything that decides their content but the view, as JSON values, and its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.encoders import Encoder, EncoderInfo, Output, Runtime
from builders.photos import PhotoSet
from builders.pixels import codec_canary

LAYOUT = 2
"""Version of the files of a bank. Folders of another are left alone: their names begin with another number, or none."""


def key_of(encoder: Encoder, photos: PhotoSet, bytes_hash: str, storage: str, *, device: str = "") -> dict[str, Any]:
    """``bank_key`` of a loaded encoder: its type of numbers, device, compilation and runtime are part of it.

    Args:
        encoder: whose embeddings the bank holds.
        photos, bytes_hash, storage: as of ``bank_key``.
        device: on which it will compute, where that is another than it was loaded on.
    """
    return bank_key(
        encoder.info,
        encoder.dtype,
        photos,
        bytes_hash,
        storage,
        compiled=encoder.compiled,
        device=device or encoder.device,
        runtime=encoder.runtime,
    )


def bank_key(
    info: EncoderInfo,
    compute_dtype: str,
    photos: PhotoSet,
    bytes_hash: str,
    storage: str,
    *,
    compiled: bool = False,
    device: str = "cpu",
    runtime: Runtime | None = None,
) -> dict[str, Any]:
    """Everything but the view that decides embeddings, as JSON values.

    ``compiled`` networks and other runtimes than torch round differently; below float32 each type of ``device`` does.

    >>> from benchmark.encoders import EncoderInfo
    >>> info, photos = EncoderInfo("toy", "callable", None, "0", 2, {}, "none", 0), PhotoSet.of_bytes("none", {})
    >>> [bank_key(info, dtype, photos, "", "float32", device="cuda:1")["encoder"].get("device_type")
    ...     for dtype in ("float32", "bfloat16")]
    [None, 'cuda']
    """
    return {
        "layout": LAYOUT,
        "encoder": encoder_key(info, compute_dtype, compiled=compiled, device=device, runtime=runtime),
        "photos": {"count": len(photos), "ids": ids_only_hash(photos.ids), "bytes": bytes_hash},
        "storage": storage,
        "codec_canary": codec_canary(),
    }


def encoder_key(
    info: EncoderInfo,
    compute_dtype: str,
    *,
    compiled: bool = False,
    device: str = "cpu",
    runtime: Runtime | None = None,
) -> dict[str, Any]:
    """The part of ``bank_key`` that says who embeds, and how."""
    by = runtime.key() if runtime else None
    return {
        "id": info.id,
        "library": info.library,
        "revision": info.revision,
        "weights_sha256": info.weights_sha256,
        "dimension": info.dimension,
        "pooling": info.pooling,
        "preprocessing": dict(info.preprocessing),
        "dtype": compute_dtype,
        **({"compiled": True} if compiled else {}),
        **({"device_type": device.partition(":")[0]} if compute_dtype != "float32" else {}),
        **({"runtime": by} if by else {}),
    }


def key_hash(key: Mapping[str, Any]) -> str:
    """20 hex digits that name a key."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:20]


def ids_only_hash(ids: Sequence[str]) -> str:
    """16 hex digits that name ids and their order."""
    return hashlib.sha256(b"\0".join(i.encode("utf-8", "surrogateescape") for i in ids)).hexdigest()[:16]


def shape_and_dtype(key: Mapping[str, Any], output: Output | None = None) -> tuple[tuple[int, int], str]:
    """Of a bank's views under one output, from its key."""
    dimension = output.dimension if output else int(key["encoder"]["dimension"])
    return (int(key["photos"]["count"]), dimension), str(key["storage"])
