"""``on_runtime``: the library that carries out a network's forward pass on a CPU, compared with torch.

A network runs in OpenVINO or ONNX Runtime if it can be converted and its embeddings of some pictures equal torch's up
to a relative error of ``LARGEST_ERROR``. Under ``auto`` the library must also be faster for this network on this
machine (``speed.py``). Whether the error is small compared with the traces that a run measures is checked later, on the
photos of the run (``benchmark/bank/gates.py``).
"""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from benchmark.compute import free_on_host, out_of_memory
from benchmark.encoders.encoder import Encoder, Runtime
from benchmark.encoders.isolated import RemoteEmbed
from benchmark.encoders.network import Embedder, probe_image
from benchmark.encoders.runtime.cache import NO_FILE, CompiledFile, CompiledNetwork
from benchmark.encoders.runtime.speed import Choice, cached_choice, choice_file, choice_of, store_choice, times_as_fast
from benchmark.encoders.runtime.trial import TrialError
from benchmark.options import RUNTIMES, automatic_runtime, default_cache
from builders.errors import EncoderError, UsageError, missing_package, unknown_name
from builders.untrusted import first_line

LARGEST_ERROR = 1e-5
"""Largest relative error of an embedding against torch's. Both round to float32 (6e-8) at every step, in different
order; 1e-7 to 2e-6 was measured (docs/explanation/performance.md)."""

CHUNK = 8
"""Largest number of views per forward pass of a network that takes any number, so that its weights are read once for
them; fewer where there would be fewer chunks than threads."""

COPIES = 4
"""Free memory that a conversion needs, in sizes of the weights: copies for one view and for several, the graph, and the
file that is written."""

PACKAGES = {"openvino": "openvino", "onnxruntime": "onnxruntime"}
"""Runtime -> module that must be installed."""

TITLES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
"""Runtime -> its name in messages."""


class RuntimeNetwork(Protocol):
    """A network in another library than torch: computes as many chunks of views at a time as there are threads."""

    version: str
    """Version of the library."""
    batch_sizes: tuple[int, ...]
    """Allowed sizes of chunks, the largest first; a chunk may also be smaller than the last. Empty for any size."""

    def __call__(self, chunks: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Chunks [n, ...] of views -> float32 [n, dimension] for each, in order; the bits do not depend on n."""
        ...


def chunk_sizes(count: int, threads: int, batch_sizes: Sequence[int]) -> list[int]:
    """Sizes of the chunks of a batch.

    Every thread gets the same number of large chunks, so that no thread computes one while the others wait. The rest of
    the batch is cut into chunks of the smallest size.

    Args:
        count: number of views.
        threads: number of chunks that are computed in parallel.
        batch_sizes: as of ``RuntimeNetwork``.

    >>> chunk_sizes(21, 2, (4, 1)), chunk_sizes(7, 2, (4, 1))
    ([4, 4, 4, 4, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1])
    >>> chunk_sizes(37, 2, (16,)), chunk_sizes(19, 2, ()), chunk_sizes(7, 3, ())
    ([16, 16, 5], [8, 8, 3], [3, 3, 1])
    """
    *large, smallest = batch_sizes or (min(CHUNK, -(-count // threads)),)
    sizes: list[int] = []
    for size in large:
        sizes += [size] * ((count - sum(sizes)) // (size * threads) * threads)
    return sizes + [min(smallest, count - start) for start in range(sum(sizes), count, smallest)]


@dataclass(frozen=True)
class RuntimeEmbedder:
    """``Encoder.embed`` of a network in another library than torch."""

    name: str
    network: RuntimeNetwork
    hint: str = "; try --runtime torch"
    """End of the message where it fails."""

    def __call__(self, batch: torch.Tensor | np.ndarray) -> torch.Tensor:
        """[n, ...] -> float32 [n, dimension]; raises ``EncoderError``."""
        if len(batch) == 0:
            raise EncoderError(f"{self.name}: an empty batch has no embeddings")
        sizes = chunk_sizes(len(batch), torch.get_num_threads(), self.network.batch_sizes)
        try:
            embeddings = self.network([part.numpy() for part in torch.as_tensor(batch).cpu().split(sizes)])
        except (RuntimeError, ValueError, TypeError, MemoryError) as error:
            if isinstance(error, MemoryError) or out_of_memory(error):
                raise EncoderError(f"{self.name}: {len(batch)} views at a time do not fit into memory") from error
            raise EncoderError(f"{self.name}: the forward pass failed ({first_line(error)}){self.hint}") from error
        return torch.from_numpy(np.concatenate(embeddings))


def compiled_file(encoder: Encoder) -> CompiledFile:
    """The file of the network as another library has compiled it; of 0 bytes if there is none."""
    network = encoder.embed.network if isinstance(encoder.embed, RuntimeEmbedder) else None
    stored = getattr(network, "stored", None)
    return stored.file if isinstance(stored, CompiledNetwork) else NO_FILE


def leaves_views_unchanged(embed: object) -> bool:
    """True if a forward pass does not change its input: networks in any library do not, functions of users may.

    >>> leaves_views_unchanged(lambda views: views.mul_(2))
    False
    """
    return isinstance(embed, Embedder | RuntimeEmbedder | RemoteEmbed)


def on_runtime(
    encoder: Encoder,
    wanted: str = "auto",
    cache: Path | None = None,
    before_conversion: Callable[[Encoder], object] = lambda in_torch: None,
) -> Encoder:
    """The same encoder, its forward pass carried out by the requested library.

    Args:
        encoder: as a loader returns it, with its network in torch.
        wanted: one of ``RUNTIMES``. ``auto`` takes OpenVINO (``$CAMTRACE_RUNTIME`` names another) on an x86-64 CPU in
            float32, if it is installed, converts the network, computes the same and is measured to be faster (once, see
            ``speed.py``); else torch, with the reason in ``Encoder.runtime.reason``.
        cache: folder below which compiled networks are stored; by default that of the banks.
        before_conversion: called with the encoder in torch before another library is tried for the first time, which
            takes a second or more on one core.

    Raises:
        UsageError: the named runtime is not installed, or does not run on the encoder's device.
        EncoderError: the named runtime does not convert the network, or its embeddings differ from torch's.
    """
    if wanted not in RUNTIMES:
        raise unknown_name("runtime", wanted, RUNTIMES)
    embed = encoder.embed
    if not isinstance(embed, Embedder):
        if encoder.runtime is not None:
            return _on_fixed_runtime(encoder, wanted)
        if wanted in ("auto", "torch"):  # neither requests a conversion
            return encoder
        raise UsageError(f"--runtime {wanted}: {encoder.info.id} is no torch network, there is nothing to convert")
    in_torch = replace(encoder, runtime=Runtime("torch", torch.__version__))
    name = automatic_runtime() if wanted == "auto" else wanted
    if name == "torch":
        return in_torch
    obstacle = _obstacle(name, encoder, wanted) or _too_large(name, embed)
    if obstacle and wanted != "auto":
        raise UsageError(f"--runtime {wanted}: {obstacle}")
    if obstacle:
        return replace(in_torch, runtime=Runtime("torch", torch.__version__, reason=obstacle))
    views = _probe_views(in_torch)
    if wanted != "auto":
        return _converted(in_torch, embed, name, cache or default_cache(), views)
    return _chosen(in_torch, embed, name, cache or default_cache(), views, before_conversion)


def largest_relative_error(embeddings: np.ndarray, expected: np.ndarray) -> float:
    """max over photos of |embedding - expected| / |expected|, Euclidean lengths; inf where one is not finite.

    Args:
        embeddings: [n, dimension].
        expected: [n, dimension], by torch. For one of length 0 the error is relative to the longest of them.

    >>> largest_relative_error(np.array([[3.0, 4.0]]), np.array([[3.0, 4.5]])) == 0.5 / 29.25**0.5
    True
    """
    if embeddings.shape != expected.shape or not np.isfinite(embeddings).all():
        return float("inf")
    expected = expected.astype(np.float64)
    lengths = np.linalg.norm(expected, axis=-1)
    lengths = np.where(lengths > 0, lengths, lengths.max(initial=0) or 1)
    return float((np.linalg.norm(embeddings - expected, axis=-1) / lengths).max(initial=0))


def _on_fixed_runtime(encoder: Encoder, wanted: str) -> Encoder:
    """An encoder whose network came with its runtime."""
    fixed = encoder.runtime.name if encoder.runtime else ""
    if wanted in ("auto", fixed):
        return encoder
    if wanted == "torch" and encoder.in_torch is not None:
        return encoder.in_torch()
    raise UsageError(f"--runtime {wanted}: {encoder.info.id} is computed by {TITLES.get(fixed, fixed)} alone")


def _obstacle(name: str, encoder: Encoder, wanted: str) -> str:
    """Why a network cannot be tried in a library; empty if it can."""
    title = TITLES[name]
    if torch.device(encoder.device).type != "cpu":
        return f"{title} computes on the CPU, and the device is {encoder.device}"
    if encoder.dtype != "float32":
        return f"{title} is used in float32, and the dtype is {encoder.dtype}"
    if encoder.compiled:
        return f"--compile is for torch's own compiler, not for {title}"
    if importlib.util.find_spec(PACKAGES[name]) is None:
        return missing_package(PACKAGES[name], title)
    if wanted == "auto" and platform.machine().lower() not in ("x86_64", "amd64"):
        return f"auto takes {title} on x86-64, where it was measured, and this is {platform.machine()}"
    return ""


def _too_large(name: str, embed: Embedder) -> str:
    """Why there is too little memory for a converted network besides the one in torch; empty if there is enough."""
    needed = COPIES * sum(tensor.numel() * tensor.element_size() for tensor in embed.module.state_dict().values())
    free = free_on_host()
    if needed <= free:
        return ""
    return f"{TITLES[name]} needs {needed / 1e9:.1f} GB for its copy of the weights, and {free / 1e9:.1f} GB are free"


def _probe_views(encoder: Encoder) -> torch.Tensor:
    """Views [3, ...] of fixed pictures."""
    pictures = [probe_image(), probe_image(200, 300), probe_image(256, 256)]
    return torch.from_numpy(np.stack([encoder.preprocess(picture) for picture in pictures]))


def _chosen(
    in_torch: Encoder,
    embed: Embedder,
    name: str,
    cache: Path,
    views: torch.Tensor,
    before_conversion: Callable[[Encoder], object],
) -> Encoder:
    """The encoder in the other library where that computes the same faster (``speed.py``); else in torch."""
    file = choice_file(cache / "compiled", name, in_torch.info, views)
    choice = cached_choice(file)
    if choice is None:
        before_conversion(in_torch)
    if choice is None or not choice.reason:
        try:
            converted = _converted(in_torch, embed, name, cache, views)
        except EncoderError as error:
            choice = Choice(str(error))
            if not (out_of_memory(error) or isinstance(error, TrialError)):
                store_choice(file, choice)
        else:
            if choice is None:
                choice = choice_of(times_as_fast(embed, converted.embed, views), TITLES[name])
                store_choice(file, choice)
            if not choice.reason and converted.runtime is not None:
                return replace(converted, runtime=replace(converted.runtime, speed=choice.speed))
    return replace(in_torch, runtime=Runtime("torch", torch.__version__, reason=choice.reason))


def _converted(in_torch: Encoder, embed: Embedder, name: str, cache: Path, batch: torch.Tensor) -> Encoder:
    """Raises ``EncoderError`` where the library does not convert the network, or its embeddings differ."""
    expected = np.concatenate([embed(batch).numpy(), embed(batch[:1]).numpy()])

    def error_of(network: RuntimeNetwork) -> float:
        """Of a batch, and of one view: a network that was traced for batches of three fails with one."""
        try:
            size = min(network.batch_sizes, default=len(batch))
            embeddings = np.concatenate(network([part.numpy() for part in (*batch.split(size), batch[:1])]))
        except Exception as error:
            raise EncoderError(f"{embed.name}: {TITLES[name]} does not run it ({first_line(error)})") from error
        return largest_relative_error(embeddings, expected)

    if name == "openvino":
        from benchmark.encoders.runtime.openvino import open_network

        network: RuntimeNetwork
        network, error = open_network(in_torch.info, embed, batch, cache / "compiled", error_of, LARGEST_ERROR)
    else:
        from benchmark.encoders.runtime.onnxruntime import exported_network

        network = exported_network(in_torch.info, embed, batch, cache / "compiled")
        error = error_of(network)
    if error > LARGEST_ERROR:
        raise EncoderError(
            f"{embed.name}: {TITLES[name]} computes something else than torch (relative error {error:.1e}, at most "
            f"{LARGEST_ERROR:g} is allowed)"
        )
    views = min(network.batch_sizes, default=None)  # larger chunks round in the same way
    runtime = Runtime(name, network.version, float(f"{error:.1e}"), views=views)
    return replace(in_torch, embed=RuntimeEmbedder(embed.name, network), runtime=runtime, in_torch=lambda: in_torch)
