"""Hash of what a network computes beside its weights: the classes of its modules and their settings.

Two folders may hold the same weights under another activation, number of heads or epsilon: a bank of one is not that of
the other, and neither is scored once for both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from torch import nn

_ORIGIN = ("name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype", "id2label", "label2id")
_TIMM = (
    "default_cfg",
    "pretrained_cfg",
)  # where weights come from, and their preprocessing, which a key has of its own
_RUN = ("training", "fused_attn", "grad_checkpointing", "gradient_checkpointing")
NOT_COMPUTED = frozenset((*_ORIGIN, *_TIMM, *_RUN))
"""Settings that say where a network comes from or how it is run, not what it computes."""


def hash_definition(module: nn.Module) -> str:
    """SHA-256 of the modules' classes and public settings by name, 16 hex digits; weights and buffers take no part.

    Settings are numbers, texts, truth values, functions by their names, and lists and mappings of them; of a
    configuration, as transformers' networks have, what its ``to_dict`` gives. A version of a library that adds a
    setting gives another hash.

    >>> plain = nn.Sequential(nn.Linear(2, 2), nn.GELU())
    >>> hash_definition(plain) == hash_definition(nn.Sequential(nn.Linear(2, 2), nn.GELU()))
    True
    >>> hash_definition(plain) == hash_definition(nn.Sequential(nn.Linear(2, 2), nn.GELU(approximate="tanh")))
    False
    """
    configurations: dict[int, Any] = {}  # by identity: most modules of a network of transformers hold the same one
    lines = []
    for name, part in module.named_modules():
        settings = {key: value for key, value in vars(part).items() if key != "config"}
        config = vars(part).get("config")
        if id(config) not in configurations and callable(to_dict := getattr(config, "to_dict", None)):
            configurations[id(config)] = _plain(to_dict())
        lines.append(json.dumps([name, type(part).__qualname__, _plain(settings)]))
    lines += map(json.dumps, configurations.values())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    """JSON values of settings; None for what is none (modules, tensors, objects)."""
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    if isinstance(value, Mapping):
        named = {str(k): _plain(v) for k, v in value.items() if not str(k).startswith("_") and k not in NOT_COMPUTED}
        return {name: named[name] for name in sorted(named)}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return getattr(value, "__qualname__", None) if callable(value) else None
