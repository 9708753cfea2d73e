"""The first conversion of a network to another runtime, in a process of its own.

Runtimes are native code, and some networks end it: OpenVINO 2026.4 divides by zero in DINOv3 without registers. Such a
crash, or a conversion that does not end, costs a worker process; the encoder goes on in torch, and the run with it.

Torch traces the network in the calling process and writes it to a file. The worker compiles the file and embeds a few
views; then the calling process does the same with the graph that it has, since a graph that was written and read rounds
differently. The worker does not import torch, so that it starts in a quarter of a second of processor time.
"""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from builders.errors import EncoderError
from builders.processes import Sandbox, SandboxError, WorkerLost
from builders.untrusted import list_folder, parse_array

if TYPE_CHECKING:
    from collections.abc import Mapping

START_S = 180.0
"""Seconds in which a small network must be compiled; on a machine that is busy with other work it takes some."""

BYTES_PER_S = 10_000_000
"""Further time for large networks, by the size of their weights."""

SPARE_BYTES = 8 << 30
"""Address space beyond the free memory: stacks of threads take space, not memory."""

VIEWS, MODEL = "views.npy", "model"
"""Files of the views that a worker embeds, and of the network, which has a suffix."""


def limit_s(weights: int) -> float:
    """Seconds that a conversion may take.

    Args:
        weights: bytes.

    >>> limit_s(350_000_000)
    215.0
    """
    return START_S + weights / BYTES_PER_S


@contextlib.contextmanager
def trial_folder(below: Path | None, views: np.ndarray) -> Iterator[Path]:
    """A temporary folder that holds the views; removed afterwards.

    Args:
        below: folder of compiled networks; None for a network that is not to be stored.
        views: [n, ...], a few, as the network takes them.
    """
    if below is not None:
        below.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="trial-", dir=below) as name:
        folder = Path(name)
        np.save(folder / VIEWS, views)
        yield folder


def in_own_process(
    name: str, title: str, function: Callable[..., Mapping[str, Any]], file: Path, *arguments: str, memory: int
) -> None:
    """Call a function in a worker process.

    Args:
        name: of the encoder, for messages.
        title: of the runtime.
        function: of a module, called with (file, *arguments); returns ``{"failure": ""}``, or why the network cannot
            be converted.
        file: the network.
        memory: bytes that the worker may take.

    Raises:
        EncoderError: the network cannot be converted, or the worker ended, hung or ran out of memory.
    """
    target = f"{function.__module__}:{function.__name__}"
    weights = sum((file.parent / part).stat().st_size for part in list_folder(file.parent).files)
    sandbox = Sandbox(target, timeout_s=limit_s(weights), memory_bytes=memory + SPARE_BYTES)
    try:
        failure = sandbox.call(file, *arguments, parse=_failure)
    except WorkerLost as lost:
        raise EncoderError(f"{name}: {title} ends the process that converts it{_signal(lost)}") from None
    except SandboxError as error:
        cause = MemoryError() if "memory" in str(error) else None
        raise TrialError(f"{name}: the conversion to {title} {error}") from cause
    finally:
        sandbox.stop()
    if failure:
        raise EncoderError(f"{name}: {title} does not convert it ({failure})")


class TrialError(EncoderError):
    """A conversion that took too long or too much memory; it may go well on another day."""


def _failure(answer: Any) -> str:
    return str(answer["failure"])


def _signal(lost: WorkerLost) -> str:
    """The signal that ended a worker, in brackets; empty where none did.

    >>> _signal(WorkerLost(-8)), _signal(WorkerLost(1))
    (' (SIGFPE)', '')
    """
    if lost.status is None or lost.status >= 0:
        return ""
    with contextlib.suppress(ValueError):
        return f" ({signal.Signals(-lost.status).name})"
    return f" (signal {-lost.status})"


def compile_for_openvino(file: Path, streams: str) -> dict[str, str]:
    """In the worker: compile a network and embed the views.

    Args:
        file: an OpenVINO model of any number of views.
        streams: chunks that are computed at a time.
    """
    from benchmark.encoders.runtime import openvino_graph as graph

    views = parse_array((file.parent / VIEWS).read_bytes())
    try:
        compiled = graph.compile_models(graph.core().read_model(file), int(streams), views)
        graph.OpenVinoNetwork(compiled, int(streams))(list(np.split(views, len(views))))
    except MemoryError:
        raise
    except Exception as error:  # OpenVINO's C++ code may raise anything
        return {"failure": graph.reason(error)}
    return {"failure": ""}
