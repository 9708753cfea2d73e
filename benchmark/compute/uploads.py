"""Tensors on their way to a GPU."""

from __future__ import annotations

import torch
from torch import Tensor


def uploaded(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on a device. To a GPU it goes through pinned memory, and nobody waits for it: from ordinary
    memory the copy would make the host wait for all work before it. What is on a device already stays as it is.

    >>> uploaded(torch.arange(3), torch.device("cpu"))
    tensor([0, 1, 2])
    """
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
