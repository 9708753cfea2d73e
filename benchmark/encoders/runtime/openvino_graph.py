"""Graphs of OpenVINO: how they are cut, compiled and run. This module works without torch, so that a process that only
compiles a network starts quickly.

A stream computes one chunk of views on one thread and takes the next chunk when it is free, so no thread waits for
another at the end of a layer. The bits of embeddings depend neither on the number of streams nor on the chunks.

Most networks compute their first, large maps for one view at a time, and the rest, whose maps fit the cache of a core,
for four (``fixed_size_models``).
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.encoders.runtime.cache import CompiledNetwork
from builders.untrusted import first_line

TELEMETRY_PACKAGE = "openvino_telemetry"
"""Package that sends an event to OpenVINO's makers at each import and conversion."""


@contextlib.contextmanager
def no_telemetry() -> Iterator[None]:
    """Within it ``openvino_telemetry`` cannot be imported; afterwards it can, for other code of the process.

    >>> with no_telemetry():
    ...     import openvino_telemetry
    Traceback (most recent call last):
    ModuleNotFoundError: import of openvino_telemetry halted; None in sys.modules
    """
    before = {TELEMETRY_PACKAGE: sys.modules[TELEMETRY_PACKAGE]} if TELEMETRY_PACKAGE in sys.modules else {}
    sys.modules[TELEMETRY_PACKAGE] = None  # type: ignore[assignment]  # None makes an import fail
    try:
        yield
    finally:
        del sys.modules[TELEMETRY_PACKAGE]
        sys.modules.update(before)


with no_telemetry():
    import openvino

__all__ = [
    "OpenVinoNetwork",
    "compile_models",
    "core",
    "fixed_size_models",
    "no_telemetry",
    "openvino",
    "reason",
    "settings",
]


VIEWS_TOGETHER = 4
"""Views that the rest of a network takes together. EfficientNet-Lite0 took 0.87 of the time of single views with three,
0.86 with four and 0.88 with six (docs/explanation/performance.md)."""

MAX_VIEW_BYTES = 2_000_000
"""Largest number of bytes per view that an operation of the rest reads and writes: those of four views fit a core's
share of the last cache. EfficientNet-Lite0 takes 0.86 of the time from 1.5 MB on and 1.03 at 7 MB."""

HEAVY_WEIGHTS = 8
"""Bytes of weights over bytes that all operations write of one view, above which the number of views stays open. Single
views of fixed shape took up to a sixth less and at most 1 % more time than eight at a time in the seven networks that
were measured (docs/explanation/performance.md), where this ratio was 0.15 to 1. A matrix over all pixels has 74."""

FIRST_OF_REST = {"Convolution", "GroupConvolution", "MatMul"}
"""Operations that may begin the rest of a network. A cut before others could separate what OpenVINO computes in one
step, and so change the rounding."""


def fixed_size_models(model: Any) -> list[Any]:
    """Models of one network for fixed numbers of views, the one for most views first.

    Args:
        model: an OpenVINO model; the number of views, its first axis, is open.

    Returns:
        The model itself where its ratio of weights exceeds ``HEAVY_WEIGHTS``. Else a model for exactly one view, and
        before it one for exactly ``VIEWS_TOGETHER``, where the network has a rest that fits ``MAX_VIEW_BYTES``.
    """
    single = _with_views(model, 1)
    steps = _steps(single)
    if sum(step.weights for step in steps) > HEAVY_WEIGHTS * sum(step.written for step in steps):
        return [model]
    with contextlib.suppress(RuntimeError):  # a model that cannot be cut stays whole
        if (cut := _last_before_rest(steps)) is not None:
            return [_model_of_several(model, single, cut), single]
    return [single]


def _with_views(model: Any, views: int) -> Any:
    """The model for exactly so many views, with all shapes that depended on the number."""
    from openvino.passes import ConstantFolding, Manager  # not at the top: after the import without telemetry

    fixed = model.clone()
    fixed.reshape({fixed.input(0): openvino.PartialShape([views, *model.input(0).get_partial_shape()[1:]])})
    fixed.validate_nodes_and_infer_types()
    folding = Manager()
    folding.register_pass(ConstantFolding())
    folding.run_passes(fixed)
    return fixed


@dataclass(frozen=True)
class _Step:
    """An operation whose result depends on the views; sizes in bytes."""

    operation: Any
    sources: tuple[Any, ...]
    """Tensors that it reads and that depend on the views."""
    weights: int
    """Size of the other tensors that it reads."""
    read: int
    """Size of ``sources``."""
    written: int
    """Size of its results."""


def _steps(model: Any) -> list[_Step]:
    """In the order of computation: the input first, the result last."""
    steps, constant = [], set()
    for operation in model.get_ordered_ops():
        tensors = [port.get_source_output() for port in operation.inputs()]
        sources = tuple(tensor for tensor in tensors if tensor.get_node().get_name() not in constant)
        if not sources and operation.get_type_name() != "Parameter":
            constant.add(operation.get_name())
            continue
        read = sum(map(_bytes, sources))
        written = 0 if operation.get_type_name() == "Result" else sum(map(_bytes, operation.outputs()))
        steps.append(_Step(operation, sources, sum(map(_bytes, tensors)) - read, read, written))
    return steps


def _bytes(tensor: Any) -> int:
    """Size in bytes; 0 where the shape is open."""
    shape = tensor.get_partial_shape()
    return math.prod(tensor.get_shape()) * tensor.get_element_type().size if shape.is_static else 0


def _last_before_rest(steps: Sequence[_Step]) -> Any | None:
    """The operation whose result the rest of the network reads; the input where the rest is the whole network.

    The rest is the longest end of the network that reads one tensor alone, begins with one of ``FIRST_OF_REST`` and has
    no operation over ``MAX_VIEW_BYTES``. None where there is no such end.
    """
    cut = None
    # tensors that the steps so far read from earlier ones -> the operation that writes them, kinds of their readers
    needed: dict[tuple[str, int], tuple[Any, set[str]]] = {}
    for step in reversed(steps[1:]):
        if step.read + step.written > MAX_VIEW_BYTES:
            break
        for tensor in step.operation.outputs():
            needed.pop(_name_of(tensor), None)
        for source in step.sources:
            _, readers = needed.setdefault(_name_of(source), (source.get_node(), set()))
            readers.add(step.operation.get_type_name())
        if len(needed) == 1:
            ((writer, readers),) = needed.values()
            if readers & FIRST_OF_REST or writer.get_type_name() == "Parameter":
                cut = writer
    return cut


def _name_of(tensor: Any) -> tuple[str, int]:
    return tensor.get_node().get_name(), tensor.get_index()


def _model_of_several(model: Any, single: Any, cut: Any) -> Any:
    """A model for ``VIEWS_TOGETHER`` views: up to ``cut`` a copy of ``single`` for each view, then all together.

    Raises:
        RuntimeError: the model for several views has no such operation.
    """
    several = _with_views(model, VIEWS_TOGETHER)
    if cut.get_type_name() == "Parameter":
        return several
    views = openvino.opset13.parameter(several.input(0).get_shape(), several.input(0).get_element_type())
    each = openvino.opset13.split(views, openvino.opset13.constant(0, np.int64), VIEWS_TOGETHER)
    name, first_parts = cut.get_friendly_name(), []
    for view in each.outputs():
        first_part = single.clone()
        _replace_source(first_part.input(0), view)
        first_parts.append(_result_of(first_part, name))
    _replace_source(_result_of(several, name), openvino.opset13.concat(first_parts, 0).output(0))
    return openvino.Model(several.get_results(), [views])


def _result_of(model: Any, name: str) -> Any:
    """The tensor that the only operation of this name writes."""
    operations = [operation for operation in model.get_ordered_ops() if operation.get_friendly_name() == name]
    if len(operations) != 1:
        raise RuntimeError(f"{len(operations)} operations are called {name}")
    return operations[0].output(0)


def _replace_source(tensor: Any, other: Any) -> None:
    """Let all readers of a tensor read the other one."""
    for reader in tensor.get_target_inputs():
        reader.replace_source_output(other)


class OpenVinoNetwork:
    """A compiled network; a ``RuntimeNetwork`` of ``benchmark/encoders/runtime/choose.py``.

    Args:
        models: compiled models of one network, one for each number of views.
        streams: chunks that are computed at a time.
    """

    version = openvino.__version__.partition("-")[0]

    def __init__(self, models: Sequence[Any], streams: int) -> None:
        self._queues = {_views_of(model): openvino.AsyncInferQueue(model, 2 * streams) for model in models}
        self.batch_sizes = tuple(sorted((views for views in self._queues if views is not None), reverse=True))
        self._one_batch = threading.Lock()
        self.stored: CompiledNetwork | None = None
        """Its file in the cache."""

    def __call__(self, chunks: Sequence[np.ndarray]) -> list[np.ndarray]:
        arrays = [np.ascontiguousarray(chunk) for chunk in chunks]  # OpenVINO reads their memory
        results: list[np.ndarray | None] = [None] * len(chunks)

        def copy_result(request: Any, index: int) -> None:
            results[index] = np.array(request.get_output_tensor(0).data, dtype=np.float32)

        with self._one_batch:
            for views, queue in self._queues.items():
                queue.set_callback(copy_result)
                for index, chunk in enumerate(arrays):
                    if views in (None, len(chunk)):
                        queue.start_async({0: chunk}, userdata=index, share_inputs=True)
                queue.wait_all()
        embeddings = [result for result in results if result is not None and result.ndim == 2]
        if [len(part) for part in embeddings] != [len(chunk) for chunk in chunks]:
            raise RuntimeError("not one embedding for each view")
        return embeddings


def _views_of(model: Any) -> int | None:
    """Number of views that a compiled model takes at a time; None for any number."""
    views = model.input(0).get_partial_shape()[0]
    return None if views.is_dynamic else int(views.get_length())


def compile_models(model: Any, streams: int, views: np.ndarray) -> list[Any]:
    """Compile a network, in float32.

    Args:
        model: an OpenVINO model of any number of views.
        streams: chunks that are computed at a time.
        views: [n, ...], a few, to compare the models for several and for single views.

    Returns:
        The compiled models, one for each number of views; those that change bits of embeddings are left out.

    Raises:
        Exception: any error of OpenVINO.
    """
    models = fixed_size_models(model)
    with ThreadPoolExecutor(len(models)) as threads:
        compiled = list(threads.map(lambda part: core().compile_model(part, "CPU", settings(streams)), models))
    return compiled if _same_bits(OpenVinoNetwork(compiled, streams), views) else compiled[-1:]


def _same_bits(network: OpenVinoNetwork, views: np.ndarray) -> bool:
    """True if the embeddings of these views do not depend on how many are computed at a time."""
    if len(network.batch_sizes) < 2:
        return True
    views = views[np.arange(max(network.batch_sizes)) % len(views)]
    first, *others = (np.concatenate(network(np.split(views, len(views) // n))) for n in network.batch_sizes)
    return all(np.array_equal(first, other) for other in others)


@functools.cache
def core() -> openvino.Core:
    """The only one of the process, never destroyed.

    Each ``Core`` of OpenVINO (2026.4) gives the thread a stack for signal handlers. Its destructor restores the stack
    before it, which may belong to a destroyed ``Core``: the next signal that Python handles, Ctrl-C too, then ends the
    process (SIGSEGV).
    """
    return openvino.Core()


def reason(error: Exception) -> str:
    """The operations that OpenVINO lacks, where the error names them; else the first line of the error."""
    lacking = sorted(set(re.findall(r"\b(?:aten|prim|torchvision|quantized)::\w+", str(error))))
    return f"it lacks {', '.join(lacking)}" if lacking else first_line(error)


def settings(streams: int) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": streams,
        "ENABLE_CPU_PINNING": False,  # workers that make views, and other processes, need cores too
    }
