"""What every encoder is after loading, whatever it was before: a preprocessing, an embedding, and their provenance."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from PIL import Image

LIBRARIES = (
    "transformers",
    "open_clip",
    "timm",
    "torchvision",
    "bundled",
    "checkpoint",
    "control",
    "callable",
    "onnx",
    "embeddings",
)
"""Who understands the weights; values of ``EncoderInfo.library``."""

GROUPS = ("CVL", "SUP", "SSL", "distilled", "autoregressive", "control", "unknown")
"""How it was trained: contrastive visual-language, supervised, self-supervised, to give what other encoders give, to
predict the next part of a picture; values of ``EncoderInfo.group``."""

COMPLEX = "it gives complex numbers, which have no order and no place in a probe: give their size, or both parts"
"""Why embeddings of complex numbers are refused instead of losing half of themselves."""


def named_by_weights(name: str, weights_sha256: str | None) -> str:
    """The id of what lies on somebody's disk: folders of one name hold other weights.

    >>> named_by_weights("local-dir:checkpoint-1000", "625ab1dc" + 56 * "0")
    'local-dir:checkpoint-1000@625ab1dc'
    """
    return f"{name}@{weights_sha256[:SHORT_HASH]}" if weights_sha256 else name


SHORT_HASH = 8
"""Hex digits of the weights' hash in an id."""


@dataclass(frozen=True)
class EncoderInfo:
    """Where an encoder comes from and what it computes: everything a cache key or a result needs. JSON values only."""

    id: str
    """Canonical spec, as results name it. Never a full path of this machine."""
    library: str
    """One of ``LIBRARIES``."""
    revision: str | None
    """Commit of the Hub repo that was resolved, or None where there is none."""
    weights_sha256: str | None
    """SHA-256 over the state dict (name, dtype, shape, bytes of each tensor, in name order) as loaded, before ``dtype``
    is applied. A control without weights hashes what defines it. None where the computation cannot be identified (a
    plain callable): then nothing that it computes may be cached."""
    dimension: int
    """Length of an embedding."""
    preprocessing: Mapping[str, Any]
    """As read from the weights: ``size``, ``steps`` (resize, crop, filter), ``mean``, ``std``, ``backend``, ..."""
    pooling: str
    """Which embedding was taken, in words."""
    parameters: int
    """Number of parameters that take part in the embedding."""
    group: str = "unknown"
    """One of ``GROUPS``."""
    training_data: str = "unknown"
    """What it was trained on, where known."""
    details: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Further provenance: architecture, versions of the library, file of the weights."""

    @property
    def cacheable(self) -> bool:
        """Whether embeddings may be kept: only if the computation is identified."""
        return self.weights_sha256 is not None


@dataclass(frozen=True)
class Runtime:
    """The library that carries out a network's forward pass."""

    name: str
    """``torch``, ``openvino``, ``onnxruntime``."""
    version: str
    relative_error: float | None = None
    """Largest error against torch of the embeddings of some fixed pictures, to two digits; None for torch, and
    where there is no network in torch to compare with."""
    reason: str = ""
    """Why torch, where a faster one was looked for; else empty."""
    speed: float | None = None
    """Times as fast as torch in processor time, where ``auto`` asked; None where nobody did."""
    views: int | None = None
    """That it takes at a time, where it is made for exactly so many: it may round otherwise than one for any number."""

    def key(self) -> dict[str, Any] | None:
        """What a bank's key holds of it, as JSON values; None for torch.

        >>> Runtime("openvino", "2026.4.1", 1.2e-7).key()
        {'name': 'openvino', 'version': '2026.4.1', 'relative_error': 1.2e-07}
        """
        if self.name == "torch":
            return None
        fixed = {"views": self.views} if self.views else {}
        return {"name": self.name, "version": self.version, "relative_error": self.relative_error, **fixed}


PHOTO = "photo"
"""Name of the view of a photo as it is."""


@dataclass(frozen=True)
class StoredEmbeddings:
    """Embeddings read from a file, by view and photo."""

    name: str
    """Of the encoder, for sentences."""
    vectors: np.ndarray
    """float32 [rows, dimension], finite."""
    rows: Mapping[str, Mapping[str, int]]
    """By name of a view (of a processing, or ``PHOTO``), row by photo id."""

    def of(self, view: str, photo_ids: Sequence[str]) -> tuple[np.ndarray, list[str]]:
        """(float32 [photos, dimension], zeros where there is none; ids of those)."""
        rows = self.rows.get(view, {})
        at = np.array([rows.get(photo_id, -1) for photo_id in photo_ids], dtype=np.int64)
        found = np.where((at >= 0)[:, None], self.vectors[at], np.float32(0))
        return found, [photo_id for photo_id, row in zip(photo_ids, at, strict=True) if row < 0]


@dataclass(frozen=True)
class Encoder:
    """One encoder, ready: ``preprocess`` makes arrays of photos (anywhere), ``embed`` embeddings of arrays (here)."""

    info: EncoderInfo
    preprocess: Callable[[Image.Image], np.ndarray]
    """An RGB ``PIL.Image`` of any size -> an array whose shape and dtype are the same for every photo: uint8
    [height, width, 3] where the pipeline ends in 8-bit pixels, else float32. Picklable, and without the model in it:
    loader workers get a copy. Resizing may fail on degenerate sizes; it then raises ``PhotoError``."""
    embed: Callable[[torch.Tensor], torch.Tensor]
    """A stacked batch [n, ...] of what ``preprocess`` returns, on the CPU (a network also takes it on its own device)
    -> float32 [n, dimension] on the CPU. Moves to its device, normalises uint8 pixels there, runs in eval and
    inference mode. Raises ``EncoderError``."""
    device: str
    """Where ``embed`` computes: ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
    dtype: str
    """What it computes in: ``float32``, ``tf32``, ``bfloat16``, ``float16``."""
    compiled: bool = False
    """By ``torch.compile``, which rounds differently."""
    in_float32: Callable[[], Encoder] | None = None
    """Loads the same encoder in float32, where this one computes in less: what the precision gate compares it with."""
    runtime: Runtime | None = None
    """What carries out the forward pass; None where no network does."""
    in_torch: Callable[[], Encoder] | None = None
    """The same encoder computed by torch, where it is computed by another library."""
    reload: Callable[..., Encoder] | None = None
    """Loads the same encoder again, in another process too: ``reload(device="cuda:1")``. None for what exists only
    in this one."""
    stored: StoredEmbeddings | None = None
    """Embeddings that were made elsewhere and are read from a file: nothing is embedded here."""
    notices: tuple[str, ...] = ()
    """What whoever loads it should hear: what was assumed, what nobody knows; sentences."""
    random: bool = False
    """It answered the same pictures twice, differently: its embeddings are one draw, which no other run may take for
    its own."""

    @property
    def cacheable(self) -> bool:
        """Whether embeddings may be kept: only if the computation is identified, and gives the same each time."""
        return self.info.cacheable and not self.random


DECIDED_BY = ("id", "library", "revision", "weights_sha256", "dimension", "preprocessing", "pooling")
"""Fields of ``EncoderInfo`` by which two encoders are two, as a result records them."""


def encoder_hash(record: Mapping[str, Any]) -> str:
    """8 hex digits of the identity of an encoder, from its record in a result, or from ``vars`` of an ``EncoderInfo``.

    >>> encoder_hash({"id": "a", "weights_sha256": "1" * 64}) == encoder_hash({"id": "a", "weights_sha256": "2" * 64})
    False
    """
    known = {name: record.get(name) for name in DECIDED_BY}
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=_plain).encode()).hexdigest()[:8]


def deduplicated(encoders: Mapping[str, Encoder], same: Callable[[str], None]) -> dict[str, Encoder]:
    """Encoders that are asked together, each once, under ids of which no two are equal.

    An encoder that was asked for under two names is kept under the first. Two whose ids are equal although they are
    read in other ways (one set of weights in two folders, with other preprocessing) get their identity's hash behind
    their ids.

    Args:
        encoders: by the name that each was asked for.
        same: told in one sentence of each name that is left out.
    """
    kept: dict[str, Encoder] = {}
    first: dict[str, str] = {}
    for name, encoder in encoders.items():
        which = encoder_hash(vars(encoder.info))
        identified = encoder.info.weights_sha256 is not None
        if identified and which in first:
            same(f"{name} is the encoder of {first[which]}, weight for weight: it is scored once, as {encoder.info.id}")
            continue
        first.setdefault(which, name)
        kept[name] = encoder
    ids = [encoder.info.id for encoder in kept.values()]
    return {
        name: _renamed(encoder) if ids.count(encoder.info.id) > 1 and encoder.info.weights_sha256 else encoder
        for name, encoder in kept.items()
    }


def with_unique_id(encoder: Encoder, taken: dict[str, str]) -> Encoder:
    """The encoder under an id that no other one has.

    Args:
        encoder: as loaded.
        taken: identity's hash by id of those that came before; this one is added.
    """
    which = encoder_hash(vars(encoder.info))
    if taken.setdefault(encoder.info.id, which) != which and encoder.info.weights_sha256:
        return _renamed(encoder)
    return encoder


def _renamed(encoder: Encoder) -> Encoder:
    longer = f"{encoder.info.id}+{encoder_hash(vars(encoder.info))[:4]}"
    return dataclasses.replace(encoder, info=dataclasses.replace(encoder.info, id=longer))


def _plain(value: Any) -> Any:
    """Mappings that are no dictionaries, as ``EncoderInfo`` may hold them."""
    return dict(value) if isinstance(value, Mapping) else list(value)
