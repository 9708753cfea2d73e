"""Two loads of an encoder are equal: numbers that come from no checkpoint are compared with those of a second load.

``weights_check.py`` has proved that every parameter and every stored buffer came from the checkpoint. What remains are
buffers that the network computes itself, such as tables of rotations. Random numbers there would give another encoder
at each load. A second load compares them, once per encoder and version; a file in the cache says that it was done.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from benchmark.compute import free_on_host
from benchmark.encoders.encoder import Encoder
from benchmark.encoders.loaders.weights_check import NEAREST, first_names
from benchmark.encoders.network import Embedder
from benchmark.encoders.runtime.cache import package_versions
from builders.errors import EncoderError
from builders.files import write_text_atomically

LIBRARIES = ("transformers", "timm", "open_clip", "torchvision")
"""Libraries whose networks are loaded twice. The others read all numbers from a file of this package or the user."""

PACKAGES = ("transformers", "timm", "open_clip_torch", "torchvision", "torch")


def computed_buffers(module: nn.Module) -> dict[str, torch.Tensor]:
    """Buffers of floating-point numbers that are not stored in checkpoints.

    >>> network = nn.Module()
    >>> network.register_buffer("table", torch.ones(2), persistent=False)
    >>> network.register_buffer("mean", torch.ones(2))
    >>> list(computed_buffers(network))
    ['table']
    """
    stored = module.state_dict().keys()
    return {k: v for k, v in module.named_buffers() if k not in stored and v.is_floating_point()}


def require_two_equal_loads(encoder: Encoder, load_on_cpu: Callable[[], Encoder], folder: Path) -> None:
    """Refuse an encoder that is another one at each load.

    Args:
        encoder: as loaded.
        load_on_cpu: loads it again, in float32.
        folder: of the cache; a record there saves the second load.

    Raises:
        EncoderError: two loads differ; the sentence has the first three names.
    """
    embed, info = encoder.embed, encoder.info
    if info.library not in LIBRARIES or info.weights_sha256 is None or not isinstance(embed, Embedder):
        return
    computed = computed_buffers(embed.module)
    if not computed or encoder.dtype not in ("float32", "tf32"):  # another type rounds them
        return
    parts = [info.id, info.library, info.weights_sha256, package_versions(PACKAGES)]
    record = folder / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]}.twice.json"
    weights = sum(tensor.numel() * tensor.element_size() for tensor in embed.module.state_dict().values())
    if record.is_file() or weights > free_on_host():
        return
    again = load_on_cpu()
    assert isinstance(again.embed, Embedder)
    others = computed_buffers(again.embed.module)
    different = [k for k, v in computed.items() if k not in others or not torch.equal(v.cpu(), others[k])]
    if different or again.info.weights_sha256 != info.weights_sha256:
        what = f"two loads differ in {len(different)} of its tables ({first_names(different)})"
        raise EncoderError(f"{info.id}: {what}, which hold random numbers; {NEAREST}")
    with contextlib.suppress(OSError):
        write_text_atomically(record, "{}\n")
