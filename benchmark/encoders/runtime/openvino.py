"""A torch network in OpenVINO: traced, compiled in float32, one stream for each thread, kept on disk.

Streams take the next chunk whenever they are free, each on one thread, so none waits for another at the end of a layer.
Bits depend neither on how many streams there are nor on how views are cut into chunks; tests hold that.

How many views it takes at a time: ``openvino_arrangement.py``.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import itertools
import json
import math
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.compute import parallel_map
from benchmark.encoders.encoder import EncoderInfo
from benchmark.encoders.network import Embedder
from benchmark.encoders.runtime.export import WholeNetwork, tracing
from builders.errors import EncoderError
from builders.files import write_bytes_atomically, write_text_atomically
from builders.untrusted import first_line

TELLS = "openvino_telemetry"
"""The package that sends."""


@contextlib.contextmanager
def no_telemetry() -> Iterator[None]:
    """Within it ``openvino_telemetry`` is not found; afterwards all is as before, for whoever wants it themselves.

    >>> with no_telemetry():
    ...     import openvino_telemetry
    Traceback (most recent call last):
    ModuleNotFoundError: import of openvino_telemetry halted; None in sys.modules
    """
    before = {TELLS: sys.modules[TELLS]} if TELLS in sys.modules else {}
    sys.modules[TELLS] = None  # type: ignore[assignment]  # Python's own word for "not to be found"
    try:
        yield
    finally:
        del sys.modules[TELLS]
        sys.modules.update(before)


with no_telemetry():
    import openvino


TOGETHER = 4
"""Views of the rest. EfficientNet-Lite0 took 0.87 of the time of one by one with three, 0.86 with four and 0.88 with
six (docs/explanation/performance.md)."""

FITS = 2_000_000
"""Bytes of one view that every operation of the rest reads and makes at most: those of four views lie in a core's share
of the last cache. EfficientNet-Lite0 takes 0.86 of the time from 1.5 MB on and 1.03 where they are 7 MB."""

HEAVY = 8
"""Times as many bytes of weights as of what all operations make of one view, from which the number of views is left
open. One by one, of a fixed shape, took up to a sixth less and at most 1 % more than eight at a time in the seven
networks that were measured (docs/explanation/performance.md): 0.15 to 1 times. A matrix over all pixels: 74 times."""

STARTS = {"Convolution", "GroupConvolution", "MatMul"}
"""Operations that begin something new: what reads the last of the first part, so that nothing is cut that OpenVINO
would compute in one step, and round otherwise."""


def arranged(model: Any) -> list[Any]:
    """Models of the same network, that of most views first.

    Args:
        model: an OpenVINO model of any number of views, its first axis.

    Returns:
        The model as it is where its weights are ``HEAVY``; else one of exactly one view, and before it one of exactly
        ``TOGETHER``, where there is a place from which on everything ``FITS``.
    """
    one = _of(model, 1)
    steps = _steps(one)
    if sum(step.weights for step in steps) > HEAVY * sum(step.made for step in steps):
        return [model]
    with contextlib.suppress(RuntimeError):  # a model that cannot be taken apart stays whole
        if (place := _place(steps)) is not None:
            return [_together(model, one, place), one]
    return [one]


def _of(model: Any, views: int) -> Any:
    """The same of exactly so many views; shapes that only they left open are numbers then."""
    from openvino.passes import ConstantFolding, Manager  # not at the top: after the module that imports it untold

    fixed = model.clone()
    fixed.reshape({fixed.input(0): openvino.PartialShape([views, *model.input(0).get_partial_shape()[1:]])})
    fixed.validate_nodes_and_infer_types()
    folding = Manager()
    folding.register_pass(ConstantFolding())
    folding.run_passes(fixed)
    return fixed


@dataclass(frozen=True)
class _Step:
    """An operation whose result depends on the views, and bytes."""

    operation: Any
    sources: tuple[Any, ...]
    """Tensors that it reads and that depend on the views."""
    weights: int
    """Of what it reads and does not depend on them."""
    read: int
    """Of ``sources``."""
    made: int


def _steps(model: Any) -> list[_Step]:
    """In the order in which they are computed: the input first, the result last."""
    steps, constant = [], set()
    for operation in model.get_ordered_ops():
        sources = [place.get_source_output() for place in operation.inputs()]
        open_ones = tuple(source for source in sources if source.get_node().get_name() not in constant)
        if not open_ones and operation.get_type_name() != "Parameter":
            constant.add(operation.get_name())
            continue
        read = sum(map(_bytes, open_ones))
        made = 0 if operation.get_type_name() == "Result" else sum(map(_bytes, operation.outputs()))
        steps.append(_Step(operation, open_ones, sum(map(_bytes, sources)) - read, read, made))
    return steps


def _bytes(place: Any) -> int:
    """Of a tensor; 0 where its shape is left open."""
    shape = place.get_partial_shape()
    return math.prod(place.get_shape()) * place.get_element_type().size if shape.is_static else 0


def _place(steps: Sequence[_Step]) -> Any | None:
    """The operation that makes what the rest begins with: the first from which on one tensor alone is read, by what
    ``STARTS`` something, and everything ``FITS``. It is the input where that is so of the whole model, and None where
    there is no place."""
    found = None
    needed: dict[tuple[str, int], tuple[Any, set[str]]] = {}  # tensors made before: by what, and what kinds read them
    for step in reversed(steps[1:]):
        if step.read + step.made > FITS:
            break
        for made in step.operation.outputs():
            needed.pop(_named(made), None)
        for source in step.sources:
            _, readers = needed.setdefault(_named(source), (source.get_node(), set()))
            readers.add(step.operation.get_type_name())
        if len(needed) == 1:
            ((maker, readers),) = needed.values()
            if readers & STARTS or maker.get_type_name() == "Parameter":
                found = maker
    return found


def _named(tensor: Any) -> tuple[str, int]:
    return tensor.get_node().get_name(), tensor.get_index()


def _together(model: Any, one: Any, place: Any) -> Any:
    """A model of ``TOGETHER`` views: up to that operation each for itself, and all together from there.

    Raises:
        RuntimeError: there is no such operation in a model of several views.
    """
    rest = _of(model, TOGETHER)
    if place.get_type_name() == "Parameter":
        return rest
    views = openvino.opset13.parameter(rest.input(0).get_shape(), rest.input(0).get_element_type())
    each = openvino.opset13.split(views, openvino.opset13.constant(0, np.int64), TOGETHER)
    name, firsts = place.get_friendly_name(), []
    for view in each.outputs():
        first = one.clone()
        _read_instead(first.input(0), view)
        firsts.append(_made_by(first, name))
    _read_instead(_made_by(rest, name), openvino.opset13.concat(firsts, 0).output(0))
    return openvino.Model(rest.get_results(), [views])


def _made_by(model: Any, name: str) -> Any:
    """The tensor that the one operation of that name makes."""
    found = [one for one in model.get_ordered_ops() if one.get_friendly_name() == name]
    if len(found) != 1:
        raise RuntimeError(f"{len(found)} operations are called {name}")
    return found[0].output(0)


def _read_instead(tensor: Any, other: Any) -> None:
    """Whatever reads a tensor reads the other one from now on."""
    for reader in tensor.get_target_inputs():
        reader.replace_source_output(other)


KEPT_BYTES = 4 << 30
"""Compiled networks that the folder holds at most, each as large as its weights; the least recently used go first."""

CODE = ("camtrace", "openvino", "torch", "torchvision", "timm", "transformers", "open_clip_torch")
"""Packages whose version may change what a network of the same weights computes."""


class OpenVinoNetwork:
    """A compiled network, see ``benchmark/encoders/runtime/choose.py``."""

    version = openvino.__version__.partition("-")[0]

    def __init__(self, models: Sequence[Any], streams: int) -> None:
        """Of compiled models of one network, for each number of views one."""
        self._queues = {_views_of(model): openvino.AsyncInferQueue(model, 2 * streams) for model in models}
        self.batch_sizes = tuple(sorted((views for views in self._queues if views is not None), reverse=True))
        self._one_batch = threading.Lock()

    def __call__(self, chunks: Sequence[np.ndarray]) -> list[np.ndarray]:
        # shared with OpenVINO, which reads them in that order
        given = [np.ascontiguousarray(chunk) for chunk in chunks]
        found: list[np.ndarray | None] = [None] * len(chunks)

        def keep(request: Any, place: int) -> None:
            found[place] = np.array(request.get_output_tensor(0).data, dtype=np.float32)

        with self._one_batch:
            for views, queue in self._queues.items():
                queue.set_callback(keep)
                for place, chunk in enumerate(given):
                    if views in (None, len(chunk)):
                        queue.start_async({0: chunk}, userdata=place, share_inputs=True)
                queue.wait_all()
        made = [part for part in found if part is not None and part.ndim == 2]
        if [len(part) for part in made] != [len(chunk) for chunk in chunks]:
            raise RuntimeError("not one embedding for each view")
        return made


def _views_of(model: Any) -> int | None:
    """Those that a compiled model takes at a time; None for any number."""
    views = model.input(0).get_partial_shape()[0]
    return None if views.is_dynamic else int(views.get_length())


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
    kept = None if info.weights_sha256 is None else _CompiledModel(folder, _key(info, batch))
    if kept is not None and (blobs := kept.read()) is not None:
        with contextlib.suppress(Exception):  # whatever a file of another time may hold: it is made again
            read = [_core().import_model(blob, "CPU", _settings(streams)) for blob in blobs]
            network = OpenVinoNetwork(read, streams)
            if error_of(network) <= largest:
                return network, kept.error
    try:
        models = arranged(_traced(embed, batch))
        compiled = parallel_map(lambda model: _core().compile_model(model, "CPU", _settings(streams)), models)
        network = OpenVinoNetwork(compiled, streams)
        if not _same_bits(network, batch.numpy()):
            compiled = compiled[-1:]
            network = OpenVinoNetwork(compiled, streams)
    except Exception as error:  # a frontend in another language raises what it likes
        raise EncoderError(f"{embed.name}: OpenVINO does not convert it ({_reason(error)})") from error
    measured = error_of(network)
    if kept is not None and measured <= largest:
        measured = kept.write(compiled, measured)
    return network, measured


def _same_bits(network: OpenVinoNetwork, batch: np.ndarray) -> bool:
    """Whether these views have the same embeddings however many are computed at a time."""
    if len(network.batch_sizes) < 2:
        return True
    views = batch[np.arange(max(network.batch_sizes)) % len(batch)]
    first, *others = (np.concatenate(network(np.split(views, len(views) // n))) for n in network.batch_sizes)
    return all(np.array_equal(first, other) for other in others)


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

    ``openvino.convert_model`` does the same and would tell its makers of each conversion, see ``no_telemetry``.
    """
    with no_telemetry():
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


def _key(info: EncoderInfo, batch: torch.Tensor) -> str:
    """Name of a compiled network: what it computes, and by which code it was made."""
    versions = {}
    for package in CODE:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    said = [
        info.id, info.library, info.revision, info.weights_sha256, info.pooling, dict(info.preprocessing),
        dict(info.details), list(batch.shape[1:]), str(batch.dtype), HEAVY, TOGETHER, FITS, versions,
        _core().get_property("CPU", "FULL_DEVICE_NAME"),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:20]


class _CompiledModel:
    """Compiled models of a network in one file, with its SHA-256, their sizes and their error beside it."""

    def __init__(self, folder: Path, key: str) -> None:
        self._file, self._about = folder / f"{key}.blob", folder / f"{key}.json"
        self.error = float("inf")
        """Relative error as measured when it was compiled first."""

    def read(self) -> list[bytes] | None:
        """The compiled models, if they are whole."""
        try:
            about = json.loads(self._about.read_text(encoding="utf-8"))
            self.error = float(about["relative_error"])
            data = self._file.read_bytes()
            if hashlib.sha256(data).hexdigest() != about["sha256"]:
                return None
            ends = list(itertools.accumulate(about["bytes"]))
            os.utime(self._file)
        except (OSError, ValueError, KeyError, TypeError):  # absent, or not ours
            return None
        return [data[start:end] for start, end in itertools.pairwise([0, *ends])]

    def write(self, compiled: Sequence[Any], error: float) -> float:
        """Keep them, and make room; gives the error under which they are known. A full disk loses the copy, not the
        run."""
        error = self.error if self.error < float("inf") else error
        with contextlib.suppress(OSError):
            blobs = [model.export_model().getvalue() for model in compiled]
            data = b"".join(blobs)
            if len(data) <= KEPT_BYTES:
                write_bytes_atomically(self._file, data)
            about = {
                "relative_error": error,
                "sha256": hashlib.sha256(data).hexdigest(),
                "bytes": [len(blob) for blob in blobs],
            }
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
