"""Which library carries out a network's forward pass on a CPU, and the check that it computes what torch computes.

A network goes to OpenVINO or ONNX Runtime only if it can be converted, and only after both have embedded the same
pictures: a relative error above ``LARGEST_ERROR`` leaves it with torch; so does, under ``auto``, a library that is not
faster for this network on this machine (``runtime_choice.py``). Whether the error is also small beside the traces that
a run measures is judged on its own photos (``benchmark/bank/gates.py``).
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
from benchmark.encoders.network import Embedder, probe_image
from benchmark.encoders.runtime.speed import Choice, cached_choice, choice_file, choice_of, store_choice, times_as_fast
from benchmark.options import RUNTIMES, automatic_runtime, default_cache
from builders.errors import EncoderError, UsageError, missing_package, unknown_name
from builders.untrusted import first_line

LARGEST_ERROR = 1e-5
"""Largest relative error of an embedding against torch's. Both round to float32 (6e-8) at every step, in another order;
1e-7 to 2e-6 was measured (docs/explanation/performance.md)."""

CHUNK = 8
"""Views per forward pass at most of a network that takes any number, so that its weights are read once for them; fewer
where there are more threads than that makes chunks."""

COPIES = 4
"""Sizes of the weights that must be free to convert a network: its own copies, for one view and for several, that of
the graph, and what is written."""

PACKAGES = {"openvino": "openvino", "onnxruntime": "onnxruntime"}
"""Runtime -> the module that must be there for it."""

TITLES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
"""As sentences name them."""


class Computes(Protocol):
    """A network in another library: chunks of views -> their embeddings, as many chunks at a time as there are
    threads."""

    version: str
    """Of the library."""
    batch_sizes: tuple[int, ...]
    """Numbers of views that it takes at a time, the most first, of which it also takes fewer than the last; empty for
    any number."""

    def __call__(self, chunks: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Arrays [n, ...] of views -> float32 [n, dimension] of each, in order; bits do not depend on n."""
        ...


def chunk_sizes(count: int, threads: int, batch_sizes: Sequence[int]) -> list[int]:
    """Views of each chunk that so many are given as: for every thread the same number of large chunks, so that none is
    left alone with one; what is left goes by the smallest number.

    Args:
        count: views.
        threads: that compute chunks side by side.
        batch_sizes: as of ``Computes``.

    >>> chunk_sizes(21, 2, (4, 1)), chunk_sizes(7, 2, (4, 1))
    ([4, 4, 4, 4, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1])
    >>> chunk_sizes(37, 2, (16,)), chunk_sizes(19, 2, ()), chunk_sizes(7, 3, ())
    ([16, 16, 5], [8, 8, 3], [3, 3, 1])
    """
    *several, least = batch_sizes or (min(CHUNK, -(-count // threads)),)
    sizes: list[int] = []
    for views in several:
        sizes += [views] * ((count - sum(sizes)) // (views * threads) * threads)
    return sizes + [min(least, count - start) for start in range(sum(sizes), count, least)]


@dataclass(frozen=True)
class RuntimeEmbedder:
    """``Encoder.embed`` of a network that another library than torch computes."""

    name: str
    computes: Computes
    hint: str = "; try --runtime torch"
    """What may help where it fails."""

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """[n, ...] -> float32 [n, dimension]; raises ``EncoderError``."""
        if len(batch) == 0:
            raise EncoderError(f"{self.name}: an empty batch has no embeddings")
        sizes = chunk_sizes(len(batch), torch.get_num_threads(), self.computes.batch_sizes)
        try:
            found = self.computes([part.numpy() for part in batch.cpu().split(sizes)])
        except (RuntimeError, ValueError, TypeError, MemoryError) as error:
            if isinstance(error, MemoryError) or out_of_memory(error):
                raise EncoderError(f"{self.name}: {len(batch)} views at a time do not fit into memory") from error
            raise EncoderError(f"{self.name}: the forward pass failed ({first_line(error)}){self.hint}") from error
        return torch.from_numpy(np.concatenate(found))


def leaves_views_unchanged(embed: object) -> bool:
    """Whether a forward pass leaves the views that it is given as they were: a network's, by whatever library, does;
    somebody's own function may not.

    >>> leaves_views_unchanged(lambda views: views.mul_(2))
    False
    """
    return isinstance(embed, Embedder | RuntimeEmbedder)


def on_runtime(
    encoder: Encoder,
    wanted: str = "auto",
    cache: Path | None = None,
    before_conversion: Callable[[Encoder], object] = lambda in_torch: None,
) -> Encoder:
    """The same encoder, carried out by the library that was asked for.

    Args:
        encoder: as a loader gives it, its network in torch.
        wanted: one of ``RUNTIMES``. ``auto`` takes OpenVINO (``$CAMTRACE_RUNTIME`` names another) on an x86-64 CPU in
            float32, if it is installed, converts the network, computes the same and is measured to be faster (once;
            ``runtime_choice.py`` has the rule); else torch, and ``Encoder.runtime.reason`` says why.
        cache: folder below which compiled networks are kept; by default that of the banks.
        before_conversion: called with the encoder in torch before another library is tried for the first time, which
            takes a second or more on one core.

    Raises:
        UsageError: the runtime that was named cannot apply: it is not installed, or does not compute there.
        EncoderError: it does not convert the network, or computes something else.
    """
    if wanted not in RUNTIMES:
        raise unknown_name("runtime", wanted, RUNTIMES)
    embed = encoder.embed
    if not isinstance(embed, Embedder):
        if encoder.runtime is not None:
            return _keeping_its_own(encoder, wanted)
        if wanted in ("auto", "torch"):  # neither asks for a conversion
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
    views = _views(in_torch)
    if wanted != "auto":
        return _converted(in_torch, embed, name, cache or default_cache(), views)
    return _chosen(in_torch, embed, name, cache or default_cache(), views, before_conversion)


def largest_relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """max over embeddings of |found - expected| / |expected|, Euclidean lengths; inf where one is not finite.

    Args:
        found: [n, dimension].
        expected: the same by torch. An embedding of length 0 is compared with the longest of them.

    >>> largest_relative_error(np.array([[3.0, 4.0]]), np.array([[3.0, 4.5]])) == 0.5 / 29.25**0.5
    True
    """
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    wide = expected.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=-1)
    lengths = np.where(lengths > 0, lengths, lengths.max(initial=0) or 1)
    return float((np.linalg.norm(found - wide, axis=-1) / lengths).max(initial=0))


def _keeping_its_own(encoder: Encoder, wanted: str) -> Encoder:
    own = encoder.runtime.name if encoder.runtime else ""
    if wanted in ("auto", own):
        return encoder
    if wanted == "torch" and encoder.in_torch is not None:
        return encoder.in_torch()
    raise UsageError(f"--runtime {wanted}: {encoder.info.id} is computed by {TITLES.get(own, own)} alone")


def _obstacle(name: str, encoder: Encoder, wanted: str) -> str:
    """Why a network is not even tried in that library; empty if it is."""
    title = TITLES[name]
    if torch.device(encoder.device).type != "cpu":
        return f"{title} computes on the CPU, and the device is {encoder.device}"
    if encoder.dtype != "float32":
        return f"{title} is used in float32, and the dtype is {encoder.dtype}"
    if encoder.compiled:
        return f"--compile asks for torch's own compiler, not for {title}"
    if importlib.util.find_spec(PACKAGES[name]) is None:
        return missing_package(PACKAGES[name], title)
    if wanted == "auto" and platform.machine().lower() not in ("x86_64", "amd64"):
        return f"auto takes {title} on x86-64, where it was measured, and this is {platform.machine()}"
    return ""


def _too_large(name: str, embed: Embedder) -> str:
    """Why the memory does not hold a converted network beside the one in torch; empty if it does."""
    needed = COPIES * sum(tensor.numel() * tensor.element_size() for tensor in embed.module.state_dict().values())
    free = free_on_host()
    if needed <= free:
        return ""
    return f"{TITLES[name]} needs {needed / 1e9:.1f} GB for its copy of the weights, and {free / 1e9:.1f} GB are free"


def _views(encoder: Encoder) -> torch.Tensor:
    """[3, ...] of fixed pictures."""
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
    """By that library where it computes the same, faster (``runtime_choice.py`` has the rule); else by torch."""
    file = choice_file(cache / "compiled", name, in_torch.info, views)
    choice = cached_choice(file)
    if choice is None:
        before_conversion(in_torch)
    if choice is None or not choice.reason:
        try:
            converted = _converted(in_torch, embed, name, cache, views)
        except EncoderError as error:
            choice = Choice(str(error))
            if not out_of_memory(error):
                store_choice(file, choice)
        else:
            if choice is None:
                choice = choice_of(times_as_fast(embed, converted.embed, views), TITLES[name])
                store_choice(file, choice)
            if not choice.reason and converted.runtime is not None:
                return replace(converted, runtime=replace(converted.runtime, speed=choice.speed))
    return replace(in_torch, runtime=Runtime("torch", torch.__version__, reason=choice.reason))


def _converted(in_torch: Encoder, embed: Embedder, name: str, cache: Path, batch: torch.Tensor) -> Encoder:
    """Raises ``EncoderError`` where the library does not convert the network, or computes something else."""
    expected = np.concatenate([embed(batch).numpy(), embed(batch[:1]).numpy()])

    def error_of(computes: Computes) -> float:
        """Together, if it takes that, and one alone: a network traced for batches of three would show it."""
        try:
            size = min(computes.batch_sizes, default=len(batch))
            found = np.concatenate(computes([part.numpy() for part in (*batch.split(size), batch[:1])]))
        except Exception as error:
            raise EncoderError(f"{embed.name}: {TITLES[name]} does not run it ({first_line(error)})") from error
        return largest_relative_error(found, expected)

    if name == "openvino":
        from benchmark.encoders.runtime.openvino import open_network

        computes: Computes
        computes, error = open_network(in_torch.info, embed, batch, cache / "compiled", error_of, LARGEST_ERROR)
    else:
        from benchmark.encoders.runtime.onnxruntime import exported_network

        computes = exported_network(embed, batch)
        error = error_of(computes)
    if error > LARGEST_ERROR:
        raise EncoderError(
            f"{embed.name}: {TITLES[name]} computes something else than torch (relative error {error:.1e}, at most "
            f"{LARGEST_ERROR:g} is allowed)"
        )
    views = min(computes.batch_sizes, default=None)  # several at a time round as one does
    runtime = Runtime(name, computes.version, float(f"{error:.1e}"), views=views)
    return replace(in_torch, embed=RuntimeEmbedder(embed.name, computes), runtime=runtime, in_torch=lambda: in_torch)
