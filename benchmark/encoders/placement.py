"""Device and precision of a network: ``--device`` and ``--dtype``, checked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from benchmark.compute import float32_rounding, named_devices
from builders.errors import UsageError, similar_name
from builders.untrusted import first_line

TORCH_DTYPES = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
"""Values of ``--dtype``. ``tf32`` computes in float32, but NVIDIA GPUs round the factors of products to 10 bits."""


@dataclass(frozen=True)
class Placement:
    """Device and precision of a network, checked."""

    device: str
    dtype: str
    compile: bool = False


def placement(device: str, dtype: str, compile: bool = False) -> Placement:
    """Resolve ``auto``, take the first of several devices, and refuse a device that this machine does not have.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ...
        dtype: of ``TORCH_DTYPES``.
        compile: whether ``torch.compile`` compiles the forward pass.

    Raises:
        UsageError: unknown dtype, malformed device, or a device that is not available.
    """
    if dtype not in TORCH_DTYPES:
        raise UsageError(f"--dtype {dtype}: choose one of {', '.join(TORCH_DTYPES)}")
    device = named_devices(device)[0]
    if device != "auto":
        _refuse_unknown_kind(device)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if device == "cuda":
        device = f"cuda:{torch.cuda.current_device()}" if torch.cuda.is_available() else "cuda:0"
    try:
        torch.empty(1, device=device)
    except Exception as error:  # torch raises RuntimeError, AssertionError or AcceleratorError, by device and version
        reason = first_line(error)
        raise UsageError(f"--device {device} cannot be used here ({reason}); --device cpu always works") from None
    if dtype == "tf32" and torch.device(device).type != "cuda":
        raise UsageError(f"--dtype tf32 is a way of NVIDIA GPUs to multiply, and the device is {device}; use float32")
    return Placement(device, dtype, compile)


DEVICES = ("cpu", "cuda", "mps")
"""Kinds of devices that ``--help`` names; torch knows further ones."""

_MEANT = {"gpu": "cuda", "nvidia": "cuda", "rocm": "cuda", "metal": "mps"}
"""Other words for a kind of device."""


def _refuse_unknown_kind(device: str) -> None:
    """Refuse a text that is no device of torch, whose own message lists more than twenty kinds."""
    try:
        torch.device(device)
    except RuntimeError:
        kind, colon, index = device.lower().partition(":")
        near = similar_name(kind, DEVICES, _MEANT)
        hint = f"did you mean {near + colon + index!r}?" if near else f"give auto, {', '.join(DEVICES)}, or cuda:1"
        raise UsageError(f"--device {device} is no device: {hint}") from None


@contextlib.contextmanager
def tf32_only_if_requested(place: Placement) -> Iterator[None]:
    """``float32_rounding`` on a CUDA GPU; other devices do not round factors unless requested."""
    if torch.device(place.device).type != "cuda":
        yield
        return
    with float32_rounding(place.dtype == "tf32"):
        yield
