"""Which tensors of a file are a network's weights: the prefix of their names, which must be one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch

from benchmark.encoders.admission.gate import LONGEST, reason_of
from builders.errors import EncoderError, UsageError
from builders.untrusted import readable

AVERAGED = re.compile(r"(.*_)?ema(_.*)?|swa_(model|weights|state_dict)", re.IGNORECASE)
"""Components of prefixes of weights that are a moving average over the training: ``state_dict_ema``, ``params_ema``."""

CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params")
"""Dictionaries in which trainers store the weights; a message leaves them out of a prefix."""

LEFT_OUT = "left out as ignore= says"
"""Reason of weights that a specification leaves out."""

LEAST = 0.2
"""Least share of a network's names under a prefix for a message to speak of weights that are missing from it."""


@dataclass(frozen=True)
class Fit:
    """The weights of a network in a file."""

    prefix: str
    """Of their names in the file; ends with a dot unless it is empty."""
    tensors: Mapping[str, torch.Tensor]
    """All tensors under the prefix, by the names without it; those that the network does not have too."""
    elsewhere: tuple[str, ...]
    """Names of the file that are outside of the prefix."""


def fitted(
    label: str,
    network: Mapping[str, torch.Size],
    tensors: Mapping[str, torch.Tensor],
    architecture: str,
    *,
    prefix: str | None = None,
    ema: bool = False,
) -> Fit:
    """The weights of a network in a file, under the one prefix that has all of them.

    Args:
        label: of the encoder, for messages.
        network: shape of each of the network's weights.
        tensors: of the file.
        architecture: for messages.
        prefix: only under this one; the end of it is enough.
        ema: the moving average of the weights instead of the weights.

    Returns:
        The fit; where no prefix has all weights, that of most of them, which the gate refuses.

    Raises:
        UsageError: several prefixes have all weights, or only averaged ones are there, or those requested are not.
        EncoderError: no weight of the file has a name of the network.

    >>> file = {"model.fc.weight": torch.ones(2, 2), "step": torch.ones(1)}
    >>> fitted("mine", {"fc.weight": torch.Size([2, 2])}, file, "a layer").prefix
    'model.'
    """
    counts = _prefixes(network, tensors)
    wanted = [each for each in counts if _is(each, prefix)] if prefix is not None else list(counts)
    allowed = [each for each in wanted if _averaged(each) == ema or (prefix is not None and not ema)]
    whole = [each for each in allowed if _is_whole(each, network, tensors)]
    if len(whole) > 1:
        whole = _different(whole, network, tensors)
    if len(whole) > 1:
        names = " and ".join(repr(_shown(each)) for each in whole)
        raise UsageError(f"{label} holds weights of {architecture} {len(whole)} times: say which, by prefix= ({names})")
    if not whole and any(_is_whole(each, network, tensors) for each in wanted):
        if ema:
            raise UsageError(f"{label} holds no averaged weights (EMA): leave ema=true out")
        raise UsageError(f"{label} holds averaged weights (EMA) alone: add ema=true")
    if whole:
        return _fit(whole[0], counts, network, tensors)
    best = max(allowed, key=lambda each: (counts[each], -len(each)), default=None)
    required = sum(not reason_of(name) for name in network)
    if best is None or counts[best] < LEAST * required:
        raise _nothing_fits(label, counts, tensors, architecture, prefix, ema)
    return _fit(best, counts, network, tensors)


def is_whole_somewhere(network: Mapping[str, torch.Size], tensors: Mapping[str, torch.Tensor]) -> bool:
    """True if all of a network's weights are under some prefix."""
    return any(_is_whole(prefix, network, tensors) for prefix in _prefixes(network, tensors))


def _prefixes(network: Mapping[str, torch.Size], tensors: Mapping[str, torch.Tensor]) -> Counter[str]:
    """Prefix -> number of the network's names under it."""
    counts: Counter[str] = Counter()
    for name in tensors:
        parts = name.split(".")
        for i in range(len(parts)):
            if ".".join(parts[i:]) in network:
                counts[".".join(parts[:i]) + "." * bool(i)] += 1
    return counts


def _is(prefix: str, wanted: str) -> bool:
    """True if a prefix is the one that was requested, or ends with it."""
    end = wanted.strip(".")
    bare = prefix.strip(".")
    return bare == end or (bool(end) and bare.endswith(f".{end}"))


def _averaged(prefix: str) -> bool:
    return any(AVERAGED.fullmatch(part) for part in prefix.split("."))


def _is_whole(prefix: str, network: Mapping[str, torch.Size], tensors: Mapping[str, torch.Tensor]) -> bool:
    """True if every weight that must be there is under a prefix, in its shape."""
    for name, shape in network.items():
        tensor = tensors.get(prefix + name)
        if tensor is None:
            if not reason_of(name):
                return False
        elif tensor.shape != shape:
            return False
    return True


def _different(
    prefixes: Sequence[str], network: Mapping[str, torch.Size], tensors: Mapping[str, torch.Tensor]
) -> list[str]:
    """The prefixes without those that have the same weights as another one."""
    distinct: list[str] = []
    for prefix in sorted(prefixes, key=lambda each: (each.count("."), each)):
        if not any(_same(prefix, other, network, tensors) for other in distinct):
            distinct.append(prefix)
    return distinct


def _same(a: str, b: str, network: Iterable[str], tensors: Mapping[str, torch.Tensor]) -> bool:
    pairs = ((tensors.get(a + name), tensors.get(b + name)) for name in network)
    return all((x is None and y is None) or (x is not None and y is not None and torch.equal(x, y)) for x, y in pairs)


def _fit(prefix: str, counts: Mapping[str, int], network: Iterable[str], tensors: Mapping[str, torch.Tensor]) -> Fit:
    names = set(network)
    # Below an empty prefix stand other copies too: those under a longer prefix that has many of the network's names.
    copies = tuple(
        each for each in counts if each != prefix and each.startswith(prefix) and counts[each] >= LEAST * len(names)
    )
    under = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
    rest = tuple(key for key in under if key not in names and (f"{prefix}{key}".startswith(copies) or _averaged(key)))
    outside = tuple(key for key in tensors if not key.startswith(prefix))
    elsewhere = (*outside, *(f"{prefix}{key}" for key in rest))
    return Fit(prefix, {key: tensor for key, tensor in under.items() if key not in rest}, elsewhere)


def _shown(prefix: str) -> str:
    """A prefix without the dictionary around it, as ``prefix=`` takes it."""
    parts = prefix.split(".")
    shown = parts[1:] if parts[0] in CONTAINERS and len(parts) > 2 else parts
    return readable(".".join(shown)[:LONGEST])


def _nothing_fits(
    label: str,
    counts: Mapping[str, int],
    tensors: Mapping[str, torch.Tensor],
    architecture: str,
    prefix: str | None,
    ema: bool,
) -> UsageError | EncoderError:
    first = ", ".join(readable(name[:LONGEST]) for name in list(tensors)[:3])
    if ema and not any(_averaged(name) for name in tensors):
        return UsageError(f"{label} holds no averaged weights (EMA): leave ema=true out")
    if prefix is not None:
        return UsageError(f"{label}: no weights of {architecture} stand under prefix={prefix}; its names begin {first}")
    if not ema and max((counts[each] for each in counts if _averaged(each)), default=0) > max(
        (counts[each] for each in counts if not _averaged(each)), default=0
    ):
        return UsageError(f"{label} holds averaged weights (EMA) alone: add ema=true")
    return EncoderError(
        f"{label}: none of its {len(tensors)} weights belongs to {architecture} ({first}, ...): name the architecture "
        "that was trained, or score the network as Python: --model MODULE:FUNCTION"
    )
