"""Which encoders are one: the same weights, read in the same way. Names alone do not say it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from benchmark.encoders.encoder import Encoder

DECIDED_BY = ("id", "library", "revision", "weights_sha256", "dimension", "preprocessing", "pooling")
"""Fields of ``EncoderInfo`` by which two encoders are two, as a result records them."""


def encoder_hash(record: Mapping[str, Any]) -> str:
    """8 hex digits of the identity of an encoder, from its record in a result, or from ``vars`` of an ``EncoderInfo``.

    >>> encoder_hash({"id": "a", "weights_sha256": "1" * 64}) == encoder_hash({"id": "a", "weights_sha256": "2" * 64})
    False
    """
    known = {name: record.get(name) for name in DECIDED_BY}
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=_plain).encode()).hexdigest()[:8]


def told_apart(encoders: Mapping[str, Encoder], same: Callable[[str], None]) -> dict[str, Encoder]:
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


def named_for_itself(encoder: Encoder, taken: dict[str, str]) -> Encoder:
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
