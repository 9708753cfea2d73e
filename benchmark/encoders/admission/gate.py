"""The gate: a network is scored if every tensor that its embedding reads came from the checkpoint.

Libraries load what fits, and warn of the rest or do not report it. Here each tensor of the scored module without a
source becomes NaN for one forward pass: if the embedding is not finite, or is another one than without them, a missing
weight is read and the checkpoint is refused. A weight of the checkpoint inside of the scored module that the network
has no place for is refused too, since the network is then another one than that which was trained.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from benchmark.encoders.admission.sources import QUANTISED, Sources, recorded_sources, tensors_of
from builders.errors import EncoderError
from builders.untrusted import readable, single_line

NEAREST = "save it again with the library that trained it, so that config.json describes these weights"
"""Remedy for a configuration that does not describe the weights."""

FETCHED = "take its file out of the cache, so that it is fetched again"
"""Remedy for weights that a library downloads by name."""

LONGEST = 120
"""Largest number of characters of a name in a message; the longest of transformers, timm and open_clip have about
100."""

CHANGE = 1e-4
"""Difference of two embeddings, as a share of their largest number, up to which it counts as rounding."""

ELSEWHERE = "a task head or another tower"
"""Why weights outside of the scored module may be superfluous."""

UNREAD: Mapping[str, str] = {
    r"(.+\.)?pooler\..+": "pooling that the embedding does not read",
    r"(.+\.)?mask_token": "stands for hidden patches in training; no patch of a photo is hidden",
    r"(.+\.)?(position_ids|relative_position_index)": "counts positions; the library computes it itself",
    r"(.+\.)?(inv_freq|attn_mask|relative_coords_table)": "follows from the configuration",
    r"(.+\.)?num_batches_tracked": "counts batches of the training",
    r"logit_scale|logit_bias|temp|temperature": "scales similarities of images and texts",
}
"""Pattern of whole names of weights that any checkpoint may have beyond its network, or lack -> the reason. That a
missing one is not read is proved as for every other."""


def reason_of(name: str) -> str:
    """Why a weight may be superfluous by ``UNREAD``; empty where it may not.

    >>> reason_of("encoder.layer.0.norm.weight"), reason_of("norm.num_batches_tracked")
    ('', 'counts batches of the training')
    """
    return next((reason for names, reason in UNREAD.items() if re.fullmatch(names, name)), "")


@dataclass(frozen=True)
class Admission:
    """A scored module whose tensors without a source remain to be proved unread."""

    unsourced: Mapping[str, torch.Tensor]
    """By name; floating-point numbers."""
    ignored: tuple[str, ...]
    """Sentences about weights of the checkpoint that are not used."""
    refusal: str
    """The sentence if one of the tensors is read."""

    def prove(self, module: nn.Module, embed: Callable[[], torch.Tensor]) -> torch.Tensor:
        """The embedding of a picture, which reads none of the tensors without a source; those become zero.

        Args:
            module: as it is scored, on its device and in its type.
            embed: gives the embedding with the module as it is.

        Raises:
            EncoderError: the embedding reads one of them.
        """
        if not self.unsourced:
            return embed()
        tensors = tensors_of(module)
        _fill((tensors[name] for name in self.unsourced), torch.nan)
        try:
            with_nan = embed()
        except Exception:  # numbers that are not finite may be an error of the network
            raise EncoderError(self.refusal) from None
        _fill((tensors[name] for name in self.unsourced), 0.0)
        embedding = embed()
        change = (with_nan - embedding).abs().max()
        if not torch.isfinite(change) or change > CHANGE * embedding.abs().max():
            raise EncoderError(self.refusal)
        return embedding


def _fill(tensors: Iterable[torch.Tensor], value: float) -> None:
    with torch.no_grad():
        for tensor in tensors:
            tensor.fill_(value)


def admit(
    name: str,
    module: nn.Module,
    sources: Sources,
    *,
    top: nn.Module | None = None,
    part: str = "",
    outside: Callable[[str], str] = reason_of,
    remedy: str = NEAREST,
    provable: bool = True,
) -> Admission:
    """Check the tensors of a scored module against what its library read.

    Args:
        name: of the encoder.
        module: that gives the embedding, after everything that cuts or wraps it; changed in place: tensors without a
            source become zero.
        sources: what the library read.
        top: the module whose children are the parts of the network, where ``module`` wraps it.
        part: name of the module in the whole model, for messages.
        outside: name of a superfluous weight -> why it does not belong to the scored module, where names show it alone.
        remedy: end of the message.
        provable: False where no forward pass can prove that a tensor is not read: each must have a source.

    Raises:
        EncoderError: the checkpoint holds weights inside of the module for which the network has no place, or weights
            that are not finite; or one has no source and none is provable.
    """
    tensors = {key: tensor for key, tensor in tensors_of(module).items() if tensor.is_floating_point()}
    unsourced = {key: tensor for key, tensor in tensors.items() if id(tensor) not in sources.filled}
    reasons = {
        key: outside(key) or _elsewhere(root, key, module, top or module, sources.prefixes) or reason_of(key)
        for root, key in sources.superfluous
    }
    misplaced = [key for key, reason in reasons.items() if not reason]
    instead = {f"{part}.{key}" if part else key: sources.unfit.get(id(t), "") for key, t in unsourced.items()}
    refusal = f"{name}: {_refusal(instead, list(reasons), remedy)}" if instead else ""
    if (misplaced or not provable) and any(not reason_of(key) for key in unsourced):  # also of a name that differs
        raise EncoderError(refusal)
    if misplaced:
        what = f"holds {len(misplaced)} weights that the network of its configuration has no place for"
        raise EncoderError(f"{name}: the checkpoint {what} ({first_names(misplaced)}); {remedy}")
    _fill(unsourced.values(), 0.0)
    require_finite(name, module)
    return Admission(unsourced, tuple(ignored_sentences(reasons)), refusal)


def _refusal(instead: Mapping[str, str], superfluous: list[str], remedy: str) -> str:
    missing = [key for key, words in instead.items() if not words]
    missing = [key for key in missing if not reason_of(key)] or missing
    if missing:
        what = f"lacks {len(missing)} of its weights ({first_names(missing)}), which would be random numbers"
        return f"the checkpoint {what}; {_renamed(missing, superfluous) or remedy}"
    if all(words.endswith(QUANTISED) for words in instead.values()):
        remedy = "score the checkpoint from before its quantisation"
    return f"{len(instead)} of its weights cannot be used ({first_names(instead.values())}); {remedy}"


def _elsewhere(root: nn.Module, key: str, module: nn.Module, top: nn.Module, prefixes: tuple[str, ...]) -> str:
    """Why a superfluous weight is outside of a scored module, by the deepest module on its path; else empty.

    Modules of the network are inside, even with weights that it lacks: a layer too many, or a bias that the
    configuration leaves out. A checkpoint of transformers (with ``prefixes``) has the heads of its task right below the
    scored module, so an unknown part there is outside; other libraries say themselves what their classifier is.
    """
    names = key.split(".")
    while len(names) > 1 and names[0] in prefixes and names[0] not in root._modules:
        names = names[1:]
    node, above = root, None
    while len(names) > 1 and isinstance(child := node._modules.get(names[0]), nn.Module):
        node, above, names = child, node, names[1:]
    if not any(node is inside for inside in module.modules()):
        return ELSEWHERE
    if node is top or node is module:
        is_layer = names[0].isdecimal() and any(child.isdecimal() for child in node._modules)
        return "" if len(names) == 1 or is_layer or not prefixes else ELSEWHERE
    return ELSEWHERE if prefixes and isinstance(node, nn.Identity) and above in (top, module) else ""


def require_finite(name: str, module: nn.Module) -> None:
    """Refuse parameters and running statistics that are not finite, of a diverged training or a damaged file."""
    statistics = ((key, tensor) for key, tensor in module.named_buffers() if "running_" in key)
    tensors = [*module.named_parameters(), *statistics]
    broken = [key for key, tensor in tensors if tensor.is_floating_point() and not _finite(tensor)]
    if broken:
        verb = "holds" if len(broken) == 1 else "hold"
        what = f"{len(broken)} of its weights {verb} values that are not finite numbers ({first_names(broken)})"
        raise EncoderError(f"{name}: {what}; fetch the file again, or use an earlier checkpoint of the training")


def load_exactly(name: str, module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Load weights into a network that has exactly these weights.

    Args:
        name: of the encoder.
        module: the network, changed in place.
        tensors: weights by name.

    Raises:
        EncoderError: names or shapes differ, or a weight is not finite.
    """
    with recorded_sources() as sources:
        try:
            module.load_state_dict(tensors)
        except RuntimeError as error:
            if not sources.unfit:
                raise EncoderError(f"{name}: the weights do not fit ({single_line(error)})") from None
    admit(name, module, sources, remedy=FETCHED, provable=False)


def _finite(tensor: torch.Tensor) -> bool:
    """True if all values are finite: their sum is, or, where the sum overflows, each of them."""
    tensor = tensor.detach()
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())


def first_names(names: Iterable[str]) -> str:
    """The first three names, and the number of the others."""
    listed = sorted(readable(name[:LONGEST]) for name in names)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(listed[:3]) + more


def ignored_sentences(reasons: Mapping[str, str]) -> list[str]:
    """Names by reason, one sentence for each.

    >>> ignored_sentences({"head.weight": "the classifier", "head.bias": "the classifier"})
    ['head.bias, head.weight: the classifier']
    """
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        by_reason.setdefault(reason, []).append(name)
    return [f"{first_names(names)}: {reason}" for reason, names in sorted(by_reason.items())]


def _renamed(missing: list[str], superfluous: list[str]) -> str:
    """Remedy where all missing weights exist under names with another prefix; else empty."""
    name, names = min(missing), set(superfluous)
    for key in sorted(names):
        before = key.removesuffix(name)
        if key.endswith(f".{name}") and all(f"{before}{other}" in names for other in missing):
            return f"in its file their names begin with {readable(before[:LONGEST])!r}: take that away from them"
    return ""
