"""Which devices a run was given: one, a list of them, or every CUDA card that this process may see."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from builders.errors import UsageError

INHERITED = "none"
"""What torch's newer settings call "as the setting above says"."""


@contextlib.contextmanager
def rounded_as_asked(tf32: bool = False) -> Iterator[None]:
    """Inside, float32 products and convolutions keep all their bits (or TF32's 10, if asked), and sums of bfloat16 and
    float16 products are kept in float32, whatever the user's own code has set; afterwards it is as it was.

    TF32 rounds away the traces that are measured, and makes embeddings depend on the batch size. Torch has two ways to
    switch it: ``allow_tf32`` with ``set_float32_matmul_precision``, and since 2.9 ``fp32_precision``, which a user's
    module may have set for everything. Both are set: torch refuses to read the first where the two disagree.

    >>> before = torch.backends.cudnn.allow_tf32
    >>> with rounded_as_asked():
    ...     torch.backends.cudnn.allow_tf32
    False
    >>> torch.backends.cudnn.allow_tf32 == before
    True
    """
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    newer = [(owner, _as_set(owner, above)) for owner, above in _newer_settings()]
    matmul, convolve = _read(torch.get_float32_matmul_precision), _read(lambda: convolutions.allow_tf32)
    sums = {name: getattr(products, name) for name in _SUMS}
    try:
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        convolutions.allow_tf32 = tf32
        for owner, _ in newer:  # the first way leaves some of them to inherit what is set for everything
            owner.fp32_precision = "tf32" if tf32 and owner in (products, *_convolutions()) else "ieee"
        for name in _SUMS:
            setattr(products, name, False)
        yield
    finally:
        torch.set_float32_matmul_precision(matmul or "highest")
        convolutions.allow_tf32 = bool(convolve)
        for owner, setting in newer:
            owner.fp32_precision = setting
        for name, allowed in sums.items():
            setattr(products, name, allowed)


_SUMS = ("allow_bf16_reduced_precision_reduction", "allow_fp16_reduced_precision_reduction")


def _newer_settings() -> list[tuple[Any, Any]]:
    """Holders of ``fp32_precision``, each with the one that it inherits from; none before torch 2.9."""
    backends = torch.backends
    if not hasattr(backends.cuda.matmul, "fp32_precision"):
        return []
    on_cpu = [getattr(backends.mkldnn, name, None) for name in ("matmul", "conv", "rnn")]
    return [
        (backends.cuda.matmul, backends),
        *((owner, backends.cudnn) for owner in _convolutions()),
        *((owner, backends.mkldnn) for owner in on_cpu if hasattr(owner, "fp32_precision")),
    ]


def _convolutions() -> list[Any]:
    holders = [getattr(torch.backends.cudnn, name, None) for name in ("conv", "rnn")]
    return [owner for owner in holders if hasattr(owner, "fp32_precision")]


def _as_set(owner: Any, above: Any) -> str:
    """What to set again. Torch tells the value in force, not whether it is inherited; if equal, it may well be."""
    return INHERITED if owner.fp32_precision == above.fp32_precision else str(owner.fp32_precision)


def _read(setting: Callable[[], Any]) -> Any:
    try:
        return setting()
    except RuntimeError:  # the newer settings were used too
        return None


def uploaded(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on a device. To a GPU it goes through pinned memory, and nobody waits for it: from ordinary
    memory the copy would make the host wait for all work before it. What is on a device already stays as it is.

    >>> uploaded(torch.arange(3), torch.device("cpu"))
    tensor([0, 1, 2])
    """
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


ALL_CARDS = "cuda:all"


def named_devices(asked: str) -> tuple[str, ...]:
    """What ``--device`` names, one after the other; words that name one device are given back as they are.

    Args:
        asked: ``cuda:all`` (those of ``CUDA_VISIBLE_DEVICES``, where that is set), several with commas between them,
            such as ``cuda:0,cuda:2``, or one.

    Raises:
        UsageError: there is no card, or one of them is not here; they are of different types, which round differently.

    >>> named_devices("auto"), named_devices("cpu,cpu")
    (('auto',), ('cpu', 'cpu'))
    """
    if asked != ALL_CARDS and "," not in asked:
        return (asked,)
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == ALL_CARDS:
        if not cards:
            raise UsageError(
                f"--device {asked}: there is no CUDA card here (or CUDA_VISIBLE_DEVICES hides all of them)"
            )
        return tuple(f"cuda:{index}" for index in range(cards))
    named = tuple(name.strip() for name in asked.split(","))
    try:
        found = [torch.device(name) for name in named]
    except RuntimeError:
        raise UsageError(f"--device {asked}: give devices such as cuda:0,cuda:2, or cuda:all") from None
    if len({device.type for device in found}) > 1:
        raise UsageError(f"--device {asked}: devices of one type share a run, others round differently")
    if found[0].type == "cuda" and (missing := [d for d in found if d.index is None or d.index >= cards]):
        raise UsageError(f"--device {asked}: {missing[0]} is not one of the {cards} cards here (cuda:0, cuda:1, ...)")
    if found[0].type == "cuda" and len(set(named)) < len(named):
        raise UsageError(f"--device {asked}: each card once")
    return named
