"""The key of an encoder's bank, as every room that asks for one has it."""

from __future__ import annotations

from typing import Any

from benchmark.bank.bank import bank_key
from benchmark.encoders import Encoder
from builders.photos import PhotoSet


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
