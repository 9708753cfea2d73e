"""How NVIDIA GPUs round products: TF32 only where it was asked for, sums of 16-bit products in float32."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch

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
