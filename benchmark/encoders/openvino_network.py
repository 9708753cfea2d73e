"""A torch network in OpenVINO: traced, compiled in float32, one stream for each thread, kept on disk.

Streams take the next chunk whenever they are free, each on one thread, so none waits for another at the end of a layer.
Bits depend neither on how many streams there are nor on how views are cut into chunks; tests hold that.

A network takes one view at a time, of a fixed shape, unless its weights are many times what it makes of a view: then a
number of views that is left open, so that the weights are read once for several.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import math
import os
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.encoders.embedding import Embedder, first_line
from benchmark.encoders.encoder import EncoderInfo
from benchmark.encoders.untold_openvino import openvino, untold
from benchmark.encoders.whole_network import WholeNetwork, tracing
from builders.errors import EncoderError
from builders.files import write_bytes_atomically, write_text_atomically

KEPT_BYTES = 4 << 30
"""Compiled networks that the folder holds at most, each as large as its weights; the least recently used go first."""

HEAVY = 8
"""Times as many bytes of weights as of what all operations make of one view, from which several views are computed at a
time. One by one, of a fixed shape, took up to a sixth less and at most 1 % more than eight at a time in the seven
networks that were measured (docs/performance.md): 0.15 to 1 times. A matrix over all pixels has 74 times."""

CODE = ("camtrace", "openvino", "torch", "torchvision", "timm", "transformers", "open_clip_torch")
"""Packages whose version may change what a network of the same weights computes."""


class OpenVinoNetwork:
    """A compiled network, see ``benchmark/encoders/runtime.py``."""

    version = openvino.__version__.partition("-")[0]

    def __init__(self, compiled: Any, streams: int) -> None:
        self._compiled = compiled
        views = compiled.input(0).get_partial_shape()[0]
        self.views: int | None = None if views.is_dynamic else views.get_length()
        self._queue = openvino.AsyncInferQueue(compiled, 2 * streams)  # one chunk waits while one is computed
        self._one_batch = threading.Lock()

    def __call__(self, chunks: Sequence[np.ndarray]) -> list[np.ndarray]:
        given = [
            np.ascontiguousarray(chunk) for chunk in chunks
        ]  # shared with OpenVINO, which reads them in that order
        found: list[np.ndarray | None] = [None] * len(chunks)

        def keep(request: Any, place: int) -> None:
            found[place] = np.array(request.get_output_tensor(0).data, dtype=np.float32)

        with self._one_batch:
            self._queue.set_callback(keep)
            for place, chunk in enumerate(given):
                self._queue.start_async({0: chunk}, userdata=place, share_inputs=True)
            self._queue.wait_all()
        made = [part for part in found if part is not None and part.ndim == 2]
        if [len(part) for part in made] != [len(chunk) for chunk in chunks]:
            raise RuntimeError("not one embedding for each view")
        return made


def open_network(
    info: EncoderInfo,
    embed: Embedder,
    batch: torch.Tensor,
    folder: Path,
    error_of: Callable[[OpenVinoNetwork], float],
    largest: float,
) -> tuple[OpenVinoNetwork, float]:
    """The network compiled, read from ``folder`` if it is there and still computes what torch does.

    Args:
        info: of the encoder; without identified weights nothing is kept.
        embed: the network in torch.
        batch: [n, ...] views to trace it with; n becomes any number.
        folder: of compiled networks.
        error_of: relative error of a compiled network against torch.
        largest: the largest error that is good enough to be kept.

    Returns:
        The network, and its error as measured when it was compiled: the same in every run that reads it.

    Raises:
        EncoderError: OpenVINO does not convert it.
    """
    streams = torch.get_num_threads()
    kept = None if info.weights_sha256 is None else _Kept(folder, _key(info, batch))
    if kept is not None and (blob := kept.read()) is not None:
        with contextlib.suppress(Exception):  # whatever a file of another time may hold: it is made again
            network = OpenVinoNetwork(_core().import_model(blob, "CPU", _settings(streams)), streams)
            if error_of(network) <= largest:
                return network, kept.error
    try:
        model = one_by_one(_traced(embed, batch))
        compiled = _core().compile_model(model, "CPU", _settings(streams))
        network = OpenVinoNetwork(compiled, streams)
    except Exception as error:  # a frontend in another language raises what it likes
        raise EncoderError(f"{embed.name}: OpenVINO does not convert it ({_reason(error)})") from error
    measured = error_of(network)
    if kept is not None and measured <= largest:
        measured = kept.write(compiled, measured)
    return network, measured


@functools.cache
def _core() -> openvino.Core:
    """One for the whole process, never given back.

    Each ``Core`` of OpenVINO (2026.4) gives the thread a stack for signal handlers and, when it goes, puts back the one
    before it, which may be that of a ``Core`` that is gone: the next signal that Python handles, Ctrl-C too, then ends
    the process (SIGSEGV).
    """
    return openvino.Core()


def _reason(error: Exception) -> str:
    """The operations that OpenVINO lacks, where it names them; its first line else, which is a place in its sources."""
    lacking = sorted(set(re.findall(r"\b(?:aten|prim|torchvision|quantized)::\w+", str(error))))
    return f"it lacks {', '.join(lacking)}" if lacking else first_line(error)


def _settings(streams: int) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": streams,
        "ENABLE_CPU_PINNING": False,  # workers that make views, and other processes, need cores too
    }


def _traced(embed: Embedder, batch: torch.Tensor) -> Any:
    """As an OpenVINO model of any number of views.

    ``openvino.convert_model`` does the same and would tell its makers of each conversion, see ``untold``.
    """
    with untold():
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    whole = WholeNetwork(embed).eval()
    with tracing():
        # of a function weights are constants; of a module torch looks through every part first, which takes as long
        # again. What may still be trained cannot be a constant.
        trained = any(weights.requires_grad for weights in whole.parameters())
        called = whole if trained else lambda views: whole(views)
        traced = torch.jit.trace(called, (batch,), check_trace=False, strict=False)
        decoder = TorchScriptPythonDecoder(traced)
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    model.reshape({model.input(0): openvino.PartialShape([-1, *batch.shape[1:]])})
    model.validate_nodes_and_infer_types()
    return model


def one_by_one(model: Any) -> Any:
    """The same of one view, where its weights are not ``HEAVY``; else as it is.

    Args:
        model: an OpenVINO model of any number of views.
    """
    single = model.clone()
    single.reshape({single.input(0): openvino.PartialShape([1, *model.input(0).get_partial_shape()[1:]])})
    single.validate_nodes_and_infer_types()
    weights, made = _bytes_of(single)
    return model if weights > HEAVY * made else single


def _bytes_of(model: Any) -> tuple[int, int]:
    """Of the constants of a model, and of what all operations make that depends on its input, where that is known."""
    weights, made, fixed = 0, 0, set()
    for operation in model.get_ordered_ops():
        name, sources = operation.get_friendly_name(), operation.inputs()
        own = [place for place in operation.outputs() if place.get_partial_shape().is_static]
        size = sum(math.prod(place.get_shape()) * place.get_element_type().size for place in own)
        if operation.get_type_name() == "Constant":
            weights += size
            fixed.add(name)
        elif sources and all(s.get_source_output().get_node().get_friendly_name() in fixed for s in sources):
            fixed.add(name)
        else:
            made += size
    return weights, made


def _key(info: EncoderInfo, batch: torch.Tensor) -> str:
    """Name of a compiled network: what it computes, and by which code it was made."""
    versions = {}
    for package in CODE:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    said = [
        info.id, info.library, info.revision, info.weights_sha256, info.pooling, dict(info.preprocessing),
        dict(info.details), list(batch.shape[1:]), str(batch.dtype), HEAVY, versions,
        _core().get_property("CPU", "FULL_DEVICE_NAME"),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:20]


class _Kept:
    """A compiled network on disk, with the SHA-256 of its file and its error beside it."""

    def __init__(self, folder: Path, key: str) -> None:
        self._file, self._about = folder / f"{key}.blob", folder / f"{key}.json"
        self.error = float("inf")
        """Relative error as measured when it was compiled first."""

    def read(self) -> bytes | None:
        """The compiled network, if it is whole."""
        try:
            about = json.loads(self._about.read_text(encoding="utf-8"))
            self.error = float(about["relative_error"])
            data = self._file.read_bytes()
            if hashlib.sha256(data).hexdigest() != about["sha256"]:
                return None
            os.utime(self._file)
        except (OSError, ValueError, KeyError, TypeError):  # absent, or not ours
            return None
        return data

    def write(self, compiled: Any, error: float) -> float:
        """Keep it, and make room; gives the error under which it is known. A full disk loses the copy, not the run."""
        error = self.error if self.error < float("inf") else error
        with contextlib.suppress(OSError):
            data = compiled.export_model().getvalue()
            if len(data) <= KEPT_BYTES:
                write_bytes_atomically(self._file, data)
            about = {"relative_error": error, "sha256": hashlib.sha256(data).hexdigest()}
            write_text_atomically(self._about, json.dumps(about) + "\n")
            make_room(self._file.parent, KEPT_BYTES)
        return error


def make_room(folder: Path, most: int) -> None:
    """Remove compiled networks, those first that were not used for longest, until at most ``most`` bytes are left."""
    files = sorted(((path, path.stat()) for path in folder.glob("*.blob")), key=lambda one: one[1].st_mtime)
    held = sum(stat.st_size for _, stat in files)
    for path, stat in files:
        if held <= most:
            break
        path.unlink(missing_ok=True)
        held -= stat.st_size
