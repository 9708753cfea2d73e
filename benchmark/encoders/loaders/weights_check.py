"""Checks that all weights of a checkpoint were loaded. A network that lacks some would be scored with random weights.

Libraries load what fits, and warn of the rest or do not report it. Every loader passes the report of its library to
``require_weights``. Errors are a weight that the embedding reads and the checkpoint lacks, a weight of the checkpoint
that the network does not have, and a weight of another shape. ``UNREAD`` lists the exceptions, each with its reason.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from builders.errors import EncoderError
from builders.untrusted import readable, single_line

NEAREST = "save it again with the library that trained it, so that config.json describes these weights"
"""Remedy for a configuration that does not describe the weights."""

FETCHED = "take its file out of the cache, so that it is fetched again"
"""Remedy for weights that a library downloads by name."""

LONGEST = 120
"""Largest number of characters of a name in a message; the longest of transformers, timm and open_clip have about
100."""


@dataclass(frozen=True)
class LoadReport:
    """What a library reports of loading a checkpoint."""

    missing: tuple[str, ...] = ()
    """Names of weights of the network that the checkpoint lacks."""
    unexpected: tuple[str, ...] = ()
    """Names of weights of the checkpoint that the network does not have."""
    mismatched: tuple[str, ...] = ()
    """Names of weights whose shape differs from the network's, with both shapes."""
    integers: tuple[str, ...] = ()
    """Names of weights that are integers in the checkpoint and floating-point numbers in the network."""


@dataclass(frozen=True)
class Unread:
    """Weights that an embedding does not read."""

    names: str
    """Regular expression of whole names."""
    reason: str


UNREAD: tuple[Unread, ...] = (
    Unread(r"(.+\.)?pooler\..+", "pooling that the embedding does not read"),
    Unread(r"(.+\.)?mask_token", "stands for hidden patches in training; no patch of a photo is hidden"),
    Unread(r"(.+\.)?(position_ids|relative_position_index)", "counts positions; the library computes it itself"),
    Unread(r"(.+\.)?(inv_freq|attn_mask|relative_coords_table)", "follows from the configuration"),
    Unread(r"(.+\.)?num_batches_tracked", "counts batches of the training"),
    Unread(r"logit_scale|logit_bias|temp|temperature", "scales similarities of images and texts"),
)
"""Weights that may be missing or superfluous in any checkpoint; ``zero_unread`` proves that a missing one is unread."""

ELSEWHERE = "a task head or another tower"
"""Why weights outside of the part that gives the embedding may be superfluous."""


def reason_of(name: str) -> str:
    """Why a weight may be missing or superfluous by ``UNREAD``; empty where it may not.

    >>> reason_of("encoder.layer.0.norm.weight"), reason_of("norm.num_batches_tracked")
    ('', 'counts batches of the training')
    """
    return next((unread.reason for unread in UNREAD if re.fullmatch(unread.names, name)), "")


def every_weight_is_read(key: str) -> str:
    """No reason to ignore a weight: the default of ``require_weights``."""
    return ""


def require_weights(
    name: str, report: LoadReport, outside: Callable[[str], str] = every_weight_is_read, remedy: str = NEAREST
) -> list[str]:
    """Refuse a network whose weights were not all loaded.

    Args:
        name: of the encoder.
        report: of its library.
        outside: name of a weight -> why the embedding does not read it, empty where it does; before ``UNREAD``.
        remedy: end of the message.

    Returns:
        The superfluous weights that were ignored, one sentence for each reason.

    Raises:
        EncoderError: weights that the embedding reads are missing, superfluous or of another shape; the sentence has
            the first three names and their number.

    >>> require_weights("mine", LoadReport(missing=("norm.weight", "norm.bias")))
    Traceback (most recent call last):
    ...
    builders.errors.EncoderError: mine: the checkpoint lacks 2 of its weights (norm.bias, norm.weight), which would \
be random numbers; save it again with the library that trained it, so that config.json describes these weights
    """
    why = {key: outside(key) or reason_of(key) for key in (*report.missing, *report.unexpected)}
    shapes = [key for key in report.mismatched if not outside(key.partition(" ")[0])]
    missing = [key for key in report.missing if not why[key]]
    unexpected = [key for key in report.unexpected if not why[key]]
    if missing:
        what = f"lacks {len(missing)} of its weights ({first_names(missing)}), which would be random numbers"
        raise EncoderError(f"{name}: the checkpoint {what}; {_renamed(missing, unexpected) or remedy}")
    if shapes:
        verb = "does" if len(shapes) == 1 else "do"
        raise EncoderError(
            f"{name}: {len(shapes)} of its weights {verb} not fit by shape ({first_names(shapes)}); {remedy}"
        )
    if unexpected:
        what = f"holds {len(unexpected)} weights that the network of its configuration has no place for"
        raise EncoderError(f"{name}: the checkpoint {what} ({first_names(unexpected)}); {remedy}")
    integers = [key for key in report.integers if not outside(key)]
    if integers:
        what = f"holds {len(integers)} weights as integers without their scale ({first_names(integers)})"
        raise EncoderError(f"{name}: the checkpoint {what}; score the checkpoint from before its quantisation")
    reasons = sorted({why[key] for key in report.unexpected})
    return [f"{first_names([k for k in report.unexpected if why[k] == reason])}: {reason}" for reason in reasons]


def require_all(
    name: str,
    reports: Sequence[LoadReport],
    outside: Callable[[str], str] = every_weight_is_read,
    remedy: str = NEAREST,
) -> list[str]:
    """``require_weights`` for all loads that were recorded while a library made a network.

    Args:
        name: of the encoder.
        reports: of ``recorded_loads``.
        outside: as of ``require_weights``.
        remedy: as of ``require_weights``.

    Raises:
        EncoderError: as of ``require_weights``; or the library loaded no weights.
    """
    if not reports:
        raise EncoderError(f"{name}: no weights were loaded; save the checkpoint again, as safetensors")
    return [sentence for report in reports for sentence in require_weights(name, report, outside, remedy)]


def require_finite(name: str, module: nn.Module) -> None:
    """Refuse weights that are not finite, from a training that diverged or a damaged file.

    Args:
        name: of the encoder.
        module: the network.

    Raises:
        EncoderError: a parameter or a running statistic is infinite or NaN.
    """
    statistics = ((key, tensor) for key, tensor in module.named_buffers() if "running_" in key)
    tensors = [*module.named_parameters(), *statistics]
    broken = [key for key, tensor in tensors if tensor.is_floating_point() and not _finite(tensor)]
    if broken:
        verb = "holds" if len(broken) == 1 else "hold"
        what = f"{len(broken)} of its weights {verb} values that are not finite numbers ({first_names(broken)})"
        raise EncoderError(f"{name}: {what}; fetch the file again, or use an earlier checkpoint of the training")


def zero_unread(name: str, module: nn.Module, missing: Iterable[str], embed: Callable[[], torch.Tensor]) -> None:
    """Prove that an embedding does not read the weights that its checkpoint lacks, and set them to zero.

    Libraries leave random numbers there, so that the hash of the weights would change with each load.

    Args:
        name: of the encoder.
        module: the network, changed in place.
        missing: names of the missing weights.
        embed: gives the embedding of a picture.

    Raises:
        EncoderError: the embedding reads one of them.
    """
    of_module = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    tensors = {key: of_module[key] for key in missing if key in of_module and of_module[key].is_floating_point()}
    if not tensors:
        return
    with torch.no_grad():
        for tensor in tensors.values():
            tensor.fill_(torch.nan)
        read = not torch.isfinite(embed()).all()
        for tensor in tensors.values():
            tensor.zero_()
    if read:
        what = f"lacks {len(tensors)} of its weights ({first_names(list(tensors))}), which the embedding reads"
        raise EncoderError(f"{name}: the checkpoint {what}; {NEAREST}")


def load_exactly(name: str, module: nn.Module, tensors: Mapping[str, torch.Tensor], architecture: str) -> None:
    """Load weights into a network that has exactly these weights.

    Args:
        name: of the encoder.
        module: the network, changed in place.
        tensors: weights by name.
        architecture: for the message.

    Raises:
        EncoderError: names or shapes differ, or a weight is not finite.
    """
    try:
        result = module.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        require_weights(name, LoadReport(mismatched=_mismatched(module, tensors)), remedy=FETCHED)
        raise EncoderError(f"{name}: the weights do not fit {architecture} ({single_line(error)})") from None
    require_weights(name, _report(module, tensors, result), remedy=FETCHED)
    require_finite(name, module)


def unread_outside(model: nn.Module, part: str, prefixes: Sequence[str]) -> Callable[[str], str]:
    """Function: name in a checkpoint -> why it is outside of the part of a model that gives the embedding, else empty.

    Names of modules of the part are inside, even of weights that the part lacks: a layer too many, or a bias that the
    configuration leaves out.

    Args:
        model: the loaded model.
        part: name of the submodule that gives the embedding; empty for the whole model.
        prefixes: possible prefixes of the model's names in the checkpoint.
    """
    top = {key for key, _ in model.named_children()}
    inside = {key for key, child in model.get_submodule(part).named_children() if not isinstance(child, nn.Identity)}

    def outside(key: str) -> str:
        names = _without(key.split("."), prefixes, top)
        if part:
            if names[0] != part:
                return ELSEWHERE
            names = _without(names[1:], prefixes, inside)
        return "" if len(names) == 1 or names[0] in inside else ELSEWHERE

    return outside


def _without(names: list[str], prefixes: Sequence[str], children: Iterable[str]) -> list[str]:
    """The components of a name without leading prefixes."""
    while len(names) > 1 and names[0] in prefixes and names[0] not in children:
        names = names[1:]
    return names


@contextlib.contextmanager
def recorded_loads() -> Iterator[list[LoadReport]]:
    """Within it, reports of each ``Module.load_state_dict`` in this thread, for libraries that do not return them.

    Missing and superfluous names are recorded whether or not the library loads strictly; the caller decides about them.
    A weight of another shape is recorded too, and torch's error is raised.
    """
    reports: list[LoadReport] = []
    before = getattr(_recording, "reports", None)
    _recording.reports = reports
    with _guard:
        _recorders.append(reports)
        if len(_recorders) == 1:
            nn.Module.load_state_dict = _recorded  # type: ignore[method-assign,assignment]
    try:
        yield reports
    finally:
        _recording.reports = before
        with _guard:
            _recorders[:] = [other for other in _recorders if other is not reports]
            if not _recorders:
                nn.Module.load_state_dict = _load_state_dict  # type: ignore[method-assign]


_load_state_dict = nn.Module.load_state_dict
_recording = threading.local()
_recorders: list[list[LoadReport]] = []
_guard = threading.Lock()


def _recorded(module: nn.Module, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
    """``Module.load_state_dict`` that adds a report to those of its thread."""
    reports = getattr(_recording, "reports", None)
    if reports is None:  # a thread that does not record
        return _load_state_dict(module, state_dict, strict=strict, assign=assign)
    try:
        result = _load_state_dict(module, state_dict, strict=False, assign=assign)
    except RuntimeError:
        reports.append(LoadReport(mismatched=_mismatched(module, state_dict)))
        raise
    reports.append(_report(module, state_dict, result))
    return result


def _report(module: nn.Module, tensors: Mapping[str, Any], result: Any) -> LoadReport:
    """The report of a load: of ``load_state_dict``, and of the types of its tensors."""
    floats = {key for key, tensor in module.state_dict().items() if tensor.is_floating_point()}
    integers = tuple(k for k in floats & tensors.keys() if not _holds_floats(tensors[k]))
    return LoadReport(tuple(result.missing_keys), tuple(result.unexpected_keys), integers=integers)


def _holds_floats(tensor: Any) -> bool:
    return not isinstance(tensor, torch.Tensor) or tensor.is_floating_point() or tensor.is_complex()


def _mismatched(module: nn.Module, tensors: Mapping[str, Any]) -> tuple[str, ...]:
    shapes = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    of_file = {key: tuple(getattr(tensor, "shape", ())) for key, tensor in tensors.items()}
    both = sorted(key for key in shapes.keys() & of_file.keys() if shapes[key] != of_file[key])
    return tuple(shape_words(key, of_file[key], shapes[key]) for key in both)


def shape_words(key: str, of_file: Sequence[int], of_network: Sequence[int]) -> str:
    """A weight of another shape, as in ``LoadReport.mismatched``.

    >>> shape_words("fc.weight", (7, 32), (5, 32))
    'fc.weight is 7 x 32 instead of 5 x 32'
    """
    words = (" x ".join(map(str, shape)) or "a number" for shape in (of_file, of_network))
    return f"{key} is {' instead of '.join(words)}"


def _finite(tensor: torch.Tensor) -> bool:
    """True if all values are finite: their sum is, or, where the sum overflows, each of them."""
    tensor = tensor.detach()
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())


def first_names(names: Sequence[str]) -> str:
    """The first three names, and the number of the others."""
    names = sorted(readable(name[:LONGEST]) for name in names)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _renamed(missing: Sequence[str], unexpected: Sequence[str]) -> str:
    """Remedy where all missing weights exist under names with another prefix; else empty."""
    name, names = min(missing), set(unexpected)
    for key in sorted(names):
        before = key.removesuffix(name)
        if key.endswith(f".{name}") and all(f"{before}{other}" in names for other in missing):
            return f"in its file their names begin with {readable(before[:LONGEST])!r}: take that away from them"
    return ""
