"""The keys of banks: everything that affects their content except the view, as JSON values, and the hash of a key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.encoders import Encoder, EncoderInfo, Output, Runtime
from builders.photos import PhotoSet
from builders.pixels import codec_canary

LAYOUT = 2
"""Version of the files of a bank. The name of a bank's folder begins with it; folders of other versions are ignored."""


def key_of(encoder: Encoder, photos: PhotoSet, bytes_hash: str, storage: str, *, device: str = "") -> dict[str, Any]:
    """``bank_key`` of a loaded encoder, with its dtype, device, compilation and runtime.

    Args:
        encoder: whose embeddings the bank stores.
        photos, bytes_hash, storage: as of ``bank_key``.
        device: on which it will compute, if not the one that it was loaded on.
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
    """Everything that affects embeddings except the view, as JSON values.

    Args:
        info: identity of the encoder.
        compute_dtype: in which the encoder computes.
        photos: the photo set.
        bytes_hash: from ``PhotoHashes.bytes_hash``.
        storage: dtype of the rows in the file.
        compiled: whether the network is compiled, which changes rounding.
        device: on which it computes. Only its type counts, and only below float32, where rounding depends on it.
        runtime: other than torch, which rounds differently.

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
    compiled: bool,
    device: str,
    runtime: Runtime | None,
) -> dict[str, Any]:
    """The part of ``bank_key`` that identifies the encoder and how it computes."""
    runtime_key = runtime.key() if runtime else None
    return {
        "id": info.id,
        "library": info.library,
        "revision": info.revision,
        "weights_sha256": info.weights_sha256,
        "dimension": info.dimension,
        "pooling": info.pooling,
        "preprocessing": dict(info.preprocessing),
        "dtype": compute_dtype,
        **({"definition": info.definition} if info.definition else {}),
        **({"compiled": True} if compiled else {}),
        **({"device_type": device.partition(":")[0]} if compute_dtype != "float32" else {}),
        **({"runtime": runtime_key} if runtime_key else {}),
    }


def key_hash(key: Mapping[str, Any]) -> str:
    """Hash of a key, 20 hex digits."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:20]


def ids_only_hash(ids: Sequence[str]) -> str:
    """Hash of photo ids in their order, 16 hex digits."""
    return hashlib.sha256(b"\0".join(i.encode("utf-8", "surrogateescape") for i in ids)).hexdigest()[:16]


def shape_and_dtype(key: Mapping[str, Any], output: Output | None = None) -> tuple[tuple[int, int], str]:
    """(photos, dimension) and dtype of the rows of a bank's views for one output, from the bank's key."""
    dimension = output.dimension if output else int(key["encoder"]["dimension"])
    return (int(key["photos"]["count"]), dimension), str(key["storage"])
