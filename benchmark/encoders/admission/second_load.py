"""Two loads of an encoder are equal: what comes from no checkpoint is compared with a second load.

The gate has proved that the tensors that an embedding reads came from the checkpoint. What remains are buffers that the
network computes itself, such as tables of rotations or of positions. Random numbers there would give another encoder at
each load. The verdict is cached under all that decides it: the weights, the source of every class in the network, and
the versions of the libraries.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from benchmark.compute import free_on_host
from benchmark.encoders.admission.gate import NEAREST, first_names
from benchmark.encoders.encoder import Encoder
from benchmark.encoders.network import Embedder
from benchmark.encoders.runtime.cache import package_versions
from builders.errors import EncoderError
from builders.files import write_text_atomically

LIBRARIES = ("transformers", "timm", "open_clip", "torchvision")
"""Libraries whose networks are loaded twice. The others read all numbers from a file of this package or the user."""

PACKAGES = ("transformers", "timm", "open_clip_torch", "torchvision", "torch", "peft", "safetensors", "camtrace")


def _computed_tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    """Buffers that need no source in a checkpoint: those that are not stored, and integers; without counters.

    >>> network = nn.BatchNorm1d(2)
    >>> network.register_buffer("table", torch.ones(2), persistent=False)
    >>> list(_computed_tensors(network))
    ['table']
    """
    stored = module.state_dict().keys()
    computed = {key: b for key, b in module.named_buffers() if key not in stored or not b.is_floating_point()}
    return {key: buffer for key, buffer in computed.items() if buffer.ndim}


def sources_hash(module: nn.Module) -> str:
    """SHA-256 of the files that define the classes of a network."""
    modules = {cls.__module__ for part in module.modules() for cls in type(part).__mro__}
    files = {getattr(sys.modules.get(name), "__file__", None) or "" for name in modules}
    hashes = sorted(hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files if Path(file).is_file())
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


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
    computed = _computed_tensors(embed.module)
    if not computed or encoder.dtype not in ("float32", "tf32"):  # another type rounds them
        return
    parts = [info.id, info.library, info.weights_sha256, sources_hash(embed.module), package_versions(PACKAGES)]
    record = folder / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]}.twice.json"
    weights = sum(tensor.numel() * tensor.element_size() for tensor in embed.module.state_dict().values())
    if record.is_file() or weights > free_on_host():
        return
    again = load_on_cpu()
    assert isinstance(again.embed, Embedder)
    others = _computed_tensors(again.embed.module)
    different = [k for k, v in computed.items() if k not in others or not torch.equal(v.cpu(), others[k])]
    if different or again.info.weights_sha256 != info.weights_sha256:
        what = f"two loads differ in {len(different)} of its tables ({first_names(different)})"
        raise EncoderError(f"{info.id}: {what}, which hold random numbers; {NEAREST}")
    with contextlib.suppress(OSError):
        write_text_atomically(record, "{}\n")
