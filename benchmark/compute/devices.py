"""Devices of a run: their names, exact float32 products on them, and copies to them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from builders.errors import UsageError

INHERITED = "none"
"""Value of torch's newer settings for "inherit the setting above"."""


@contextlib.contextmanager
def float32_rounding(tf32: bool = False) -> Iterator[None]:
    """Context manager: float32 products and convolutions in full precision, whatever other code has set.

    Sums of bfloat16 and float16 products are in float32. Afterwards all settings are as before. TF32 would round away
    the traces that are measured, and make embeddings depend on the batch size. Torch has two ways to switch it:
    ``allow_tf32`` with ``set_float32_matmul_precision``, and since 2.9 ``fp32_precision``, which other code may have
    set for everything. Both are set here: torch refuses to read the first if the two disagree.

    Args:
        tf32: allow TF32's 10 bits instead.

    >>> before = torch.backends.cudnn.allow_tf32
    >>> with float32_rounding():
    ...     torch.backends.cudnn.allow_tf32
    False
    >>> torch.backends.cudnn.allow_tf32 == before
    True
    """
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    newer = [(owner, _restorable(owner, above)) for owner, above in _newer_settings()]
    matmul, convolve = _readable(torch.get_float32_matmul_precision), _readable(lambda: convolutions.allow_tf32)
    sums = {name: getattr(products, name) for name in _SUMS}
    try:
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        convolutions.allow_tf32 = tf32
        for owner, _ in newer:  # some of them inherit from "everything" after the first way
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
    """Objects with ``fp32_precision``, each with the object that it inherits from; none before torch 2.9."""
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


def _restorable(owner: Any, above: Any) -> str:
    """Value to restore. Torch reports the value in force, not whether it is inherited; equal values count as such."""
    return INHERITED if owner.fp32_precision == above.fp32_precision else str(owner.fp32_precision)


def _readable(setting: Callable[[], Any]) -> Any:
    try:
        return setting()
    except RuntimeError:  # the newer settings were used too
        return None


def uploaded(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor from the host to a device, without a wait.

    The copy to a GPU goes through pinned memory: from ordinary memory it would make the host wait for all earlier work.
    A tensor that is on a device already is only moved if the device differs.

    >>> uploaded(torch.arange(3), torch.device("cpu"))
    tensor([0, 1, 2])
    """
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


ALL_CARDS = "cuda:all"
"""Value of ``--device`` for every CUDA card that this process may see."""


def named_devices(requested: str) -> tuple[str, ...]:
    """The devices of a value of ``--device``. A value that names one device is returned unchanged.

    Args:
        requested: ``cuda:all`` (the cards of ``CUDA_VISIBLE_DEVICES``, if that is set), one device, or several
            separated by commas, such as ``cuda:0,cuda:2``.

    Raises:
        UsageError: there is no such card, or the devices have different types, which round differently.

    >>> named_devices("auto"), named_devices("cpu,cpu")
    (('auto',), ('cpu', 'cpu'))
    """
    if requested != ALL_CARDS and "," not in requested:
        return (requested,)
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if requested == ALL_CARDS:
        if not cards:
            raise UsageError(
                f"--device {requested}: there is no CUDA card here (or CUDA_VISIBLE_DEVICES hides all of them)"
            )
        return tuple(f"cuda:{index}" for index in range(cards))
    named = tuple(name.strip() for name in requested.split(","))
    try:
        devices = [torch.device(name) for name in named]
    except RuntimeError:
        raise UsageError(f"--device {requested}: give devices such as cuda:0,cuda:2, or cuda:all") from None
    if len({device.type for device in devices}) > 1:
        raise UsageError(f"--device {requested}: devices of one type share a run, others round differently")
    if devices[0].type == "cuda" and (missing := [d for d in devices if d.index is None or d.index >= cards]):
        raise UsageError(
            f"--device {requested}: {missing[0]} is not one of the {cards} cards here (cuda:0, cuda:1, ...)"
        )
    if devices[0].type == "cuda" and len(set(named)) < len(named):
        raise UsageError(f"--device {requested}: each card once")
    return named
