"""``Encoder``: a preprocessing, an embedding and their provenance, the same for every library. And its identity."""

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

    from benchmark.answers import AnswerSource
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
    "scores",
    "answers",
)
"""Libraries that load weights; values of ``EncoderInfo.library``."""

GROUPS = ("CVL", "SUP", "SSL", "distilled", "autoregressive", "control", "unknown")
"""How an encoder was trained; values of ``EncoderInfo.group``. Contrastive visual-language (CVL), supervised (SUP),
self-supervised (SSL), to reproduce the features of other encoders (distilled), to predict the next part of a picture
(autoregressive)."""

COMPLEX = "it gives complex numbers, which have no order and no place in a probe: give their size, or both parts"
"""Why embeddings of complex numbers are refused; a conversion would drop the imaginary parts."""


def named_by_weights(name: str, weights_sha256: str | None) -> str:
    """The id of an encoder that is read from a local folder: folders of one name may hold different weights.

    Args:
        name: the folder's, with its prefix.
        weights_sha256: hash of the weights; None where they are not identified.

    >>> named_by_weights("local-dir:checkpoint-1000", "625ab1dc" + 56 * "0")
    'local-dir:checkpoint-1000@625ab1dc'
    """
    return f"{name}@{weights_sha256[:SHORT_HASH]}" if weights_sha256 else name


SHORT_HASH = 8
"""Number of hex digits of the weights' hash in an id."""


@dataclass(frozen=True)
class EncoderInfo:
    """Where an encoder comes from and what it computes, as cache keys and results need it. JSON values only."""

    id: str
    """Canonical specification, as results name the encoder. Never a full path of this machine."""
    library: str
    """One of ``LIBRARIES``."""
    revision: str | None
    """Resolved commit of the Hub repo; None where there is none."""
    weights_sha256: str | None
    """SHA-256 over the state dict (name, dtype, shape, bytes of each tensor, in name order) as loaded, before ``dtype``
    is applied. A control without weights hashes its definition. None where the computation cannot be identified (a
    plain callable): then its embeddings may not be cached."""
    dimension: int
    """Length of an embedding."""
    preprocessing: Mapping[str, Any]
    """As the weights' configuration has it: ``size``, ``steps`` (resize, crop, filter), ``mean``, ``std``, ..."""
    pooling: str
    """Which output is the embedding, in words."""
    parameters: int
    """Number of parameters that take part in the embedding."""
    group: str = "unknown"
    """One of ``GROUPS``."""
    training_data: str = "unknown"
    """Training data, where known."""
    details: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Further provenance: architecture, version of the library, file of the weights."""
    definition: str = ""
    """Hash of what the network computes beside its weights (``hash_definition``), which a version of a library may
    change; empty without a network of a library."""

    @property
    def cacheable(self) -> bool:
        """True if embeddings may be cached, because the computation is identified."""
        return self.weights_sha256 is not None


@dataclass(frozen=True)
class Runtime:
    """The library that carries out a network's forward pass."""

    name: str
    """``torch``, ``openvino``, ``onnxruntime``."""
    version: str
    relative_error: float | None = None
    """Largest error of the embeddings of some fixed pictures against torch, to two digits; None for torch, and where
    there is no network in torch to compare with."""
    reason: str = ""
    """Why torch was chosen, where ``auto`` compared it with a faster library; else empty."""
    speed: float | None = None
    """Times as fast as torch in processor time, where ``auto`` measured it; else None."""
    views: int | None = None
    """Fixed number of views per call, where the network was compiled for one: it may round differently from a network
    for any number of views."""

    def key(self) -> dict[str, Any] | None:
        """The part of a bank's key that names the runtime, as JSON values; None for torch.

        >>> Runtime("openvino", "2026.4.1", 1.2e-7).key()
        {'name': 'openvino', 'version': '2026.4.1', 'relative_error': 1.2e-07}
        """
        if self.name == "torch":
            return None
        fixed = {"views": self.views} if self.views else {}
        return {"name": self.name, "version": self.version, "relative_error": self.relative_error, **fixed}


PHOTO = "photo"
"""Name of the view of an unprocessed photo."""


@dataclass(frozen=True)
class StatedDetector:
    """What the user states about a detector of generated photos whose scores a file has."""

    threshold: float | None = None
    """A score above it says that a photo was generated; None if it is not stated."""
    trained_on: tuple[str, ...] = ()
    """Generators that it was trained on; empty if they are not stated."""


@dataclass(frozen=True)
class StoredEmbeddings:
    """Embeddings from a file, by view and photo."""

    name: str
    """Name of the encoder, for messages."""
    vectors: np.ndarray
    """float32 [rows, dimension], finite; float64 [rows, 1] of scores."""
    rows: Mapping[str, Mapping[str, int]]
    """By name of a view (a processing, or ``PHOTO``): row of ``vectors`` by photo id."""
    detector: StatedDetector | None = None
    """Set if the numbers are scores of a detector, higher for a photo that looks more generated."""
    answers_only: bool = False
    """True for a file of answers without embeddings: the bank of every view then holds zeros."""
    answer_ids: tuple[str, ...] = ()
    """Ids of the photos that a file of answers is about."""

    @property
    def may_lack_photos(self) -> bool:
        """Whether tasks decide which photos need a row; of embeddings every photo does."""
        return self.detector is not None or self.answers_only

    def of(self, view: str, photo_ids: Sequence[str]) -> tuple[np.ndarray, list[str]]:
        """Embeddings of photos under one view.

        Returns:
            float32 [photos, dimension], zeros for photos without an embedding; and the ids of these photos.
        """
        row_of = self.rows.get(view, {})
        rows = np.array([row_of.get(photo_id, -1) for photo_id in photo_ids], dtype=np.int64)
        embeddings = np.where((rows >= 0)[:, None], self.vectors[rows], np.float32(0))
        return embeddings, [photo_id for photo_id, row in zip(photo_ids, rows, strict=True) if row < 0]


@dataclass(frozen=True)
class Encoder:
    """A loaded encoder.

    ``preprocess`` turns photos into arrays, in any process; ``embed`` turns arrays into embeddings, in this process."""

    info: EncoderInfo
    preprocess: Callable[[Image.Image], np.ndarray]
    """An RGB ``PIL.Image`` of any size -> an array whose shape and dtype are the same for every photo: uint8
    [height, width, 3] where the pipeline ends in 8-bit pixels, else float32. Picklable and without the model, since
    loader workers get a copy. Raises ``PhotoError`` for sizes that cannot be resized."""
    embed: Callable[[Any], torch.Tensor]
    """A stacked batch [n, ...] of outputs of ``preprocess``, an array or a tensor on the CPU (networks also take one on
    their device) -> float32 [n, dimension] on the CPU. Moves the batch to its device, normalises uint8 pixels there and
    runs in eval and inference mode. Raises ``EncoderError``."""
    device: str
    """Device of ``embed``: ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
    dtype: str
    """Precision of ``embed``: ``float32``, ``tf32``, ``bfloat16``, ``float16``."""
    compiled: bool = False
    """True if ``torch.compile`` compiled the forward pass; it rounds differently."""
    in_float32: Callable[[], Encoder] | None = None
    """Loads the same encoder in float32, where this one computes in less; the precision gate compares the two."""
    runtime: Runtime | None = None
    """Library that carries out the forward pass; None for encoders without a network."""
    in_torch: Callable[[], Encoder] | None = None
    """Gives the same encoder computed by torch, where another library computes this one."""
    reload: Callable[..., Encoder] | None = None
    """Loads the same encoder again, in another process too: ``reload(device="cuda:1")``. None for objects that exist
    only in this process."""
    stored: StoredEmbeddings | None = None
    """Embeddings that another program computed, read from a file; ``embed`` is then never called."""
    answers: AnswerSource | None = None
    """Answers of a vision-language model, from a file or given when a run needs them; None for any other encoder."""
    notices: tuple[str, ...] = ()
    """Sentences for the user about assumptions made at load and facts that are unknown."""
    random: bool = False
    """True if it gave different embeddings of the same pictures: they are one random draw, which other runs must not
    reuse."""

    @property
    def cacheable(self) -> bool:
        """True if embeddings may be cached: the computation is identified and deterministic."""
        return self.info.cacheable and not self.random


IDENTITY_FIELDS = ("id", "library", "revision", "weights_sha256", "dimension", "preprocessing", "pooling")
"""Fields of ``EncoderInfo`` that identify an encoder, as a result records them."""


def encoder_hash(record: Mapping[str, Any]) -> str:
    """8 hex digits of the identity of an encoder, from its record in a result, or from ``vars`` of an ``EncoderInfo``.

    >>> encoder_hash({"id": "a", "weights_sha256": "1" * 64}) == encoder_hash({"id": "a", "weights_sha256": "2" * 64})
    False
    """
    identity = {name: record.get(name) for name in IDENTITY_FIELDS}
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=_as_json).encode()).hexdigest()[:8]


def deduplicated(encoders: Mapping[str, Encoder], same: Callable[[str], None]) -> dict[str, Encoder]:
    """The encoders of one run without repetitions, under ids of which no two are equal.

    An encoder that was requested under two names stays under the first. Two encoders may have one id although they
    differ (one set of weights in two folders, with different preprocessing): the hash of their identity is then
    appended to their ids.

    Args:
        encoders: by requested name.
        same: called with one sentence for each name that is left out.
    """
    distinct: dict[str, Encoder] = {}
    first_name: dict[str, str] = {}
    for name, encoder in encoders.items():
        identity = _hash_with_definition(encoder)
        first = first_name.setdefault(identity, name)
        if encoder.info.weights_sha256 is not None and first != name:
            same(f"{name} is the encoder of {first}, weight for weight: it is scored once, as {encoder.info.id}")
            continue
        distinct[name] = encoder
    ids = [encoder.info.id for encoder in distinct.values()]
    return {
        name: _renamed(encoder) if ids.count(encoder.info.id) > 1 and encoder.info.weights_sha256 else encoder
        for name, encoder in distinct.items()
    }


def with_unique_id(encoder: Encoder, taken: dict[str, str]) -> Encoder:
    """The encoder under an id that no other encoder has.

    Args:
        encoder: as loaded.
        taken: hash of the identity by id, of the encoders so far; this encoder's is added.
    """
    identity = _hash_with_definition(encoder)
    if taken.setdefault(encoder.info.id, identity) != identity and encoder.info.weights_sha256:
        return _renamed(encoder)
    return encoder


def _renamed(encoder: Encoder) -> Encoder:
    longer = f"{encoder.info.id}+{_hash_with_definition(encoder)[:4]}"
    return dataclasses.replace(encoder, info=dataclasses.replace(encoder.info, id=longer))


def _hash_with_definition(encoder: Encoder) -> str:
    """8 hex digits of the identity of an encoder within one run, where versions of libraries do not differ."""
    return encoder_hash({**vars(encoder.info), "pooling": [encoder.info.pooling, encoder.info.definition]})


def _as_json(value: Any) -> Any:
    """Mappings and sequences of other types, which ``EncoderInfo`` may hold."""
    return dict(value) if isinstance(value, Mapping) else list(value)
