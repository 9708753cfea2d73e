"""A torch network, or a network in an ONNX file, in ONNX Runtime: sessions of one thread, chunks in parallel."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.compute import free_on_host, parallel_map
from benchmark.encoders.encoder import EncoderInfo
from benchmark.encoders.network import Embedder
from benchmark.encoders.runtime import trial
from benchmark.encoders.runtime.export import WholeNetwork, tracing
from benchmark.encoders.runtime.speed import choice_file
from builders.errors import EncoderError
from builders.files import write_text_atomically
from builders.untrusted import first_line, parse_array

SILENT_ENVIRONMENT = "ORT_DISABLE_TELEMETRY"
"""Environment variable that ONNX Runtime reads when it is imported."""


@contextlib.contextmanager
def _no_telemetry() -> Iterator[None]:
    """Within it the variable is 1, unless the user has set it; afterwards it is as before."""
    set_by_user = SILENT_ENVIRONMENT in os.environ
    os.environ.setdefault(SILENT_ENVIRONMENT, "1")
    try:
        yield
    finally:
        if not set_by_user:
            del os.environ[SILENT_ENVIRONMENT]


with _no_telemetry():
    import onnxruntime

__all__ = ["onnxruntime"]

OPSET = 17
"""Version of ONNX's operators in exported networks; since this one layer normalisation is one operator."""

SILENT = 4
"""Severity above which ONNX Runtime prints. It raises its errors as well."""


class OnnxNetwork:
    """A session that computes embeddings; a ``RuntimeNetwork`` of ``benchmark/encoders/runtime/choose.py``.

    Args:
        model: a file, or its bytes.
        folder: of the files of weights that bytes name.

    Raises:
        Exception: any error of ONNX Runtime.
    """

    version = onnxruntime.__version__
    batch_sizes: tuple[int, ...] = ()
    limit_s: float | None = None
    """Seconds after which a run is stopped; None for a graph that ends."""

    def __init__(self, model: bytes | Path, folder: Path | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = SILENT
        if folder is not None:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
        source = str(model) if isinstance(model, Path) else model
        self.session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        self._input = self.session.get_inputs()[0].name

    def __call__(self, chunks: Sequence[np.ndarray]) -> list[np.ndarray]:
        return parallel_map(self.run, chunks)

    def run(self, chunk: np.ndarray) -> np.ndarray:
        """One chunk [n, ...] -> the first output."""
        return self.run_all(chunk)[0]

    def run_all(self, chunk: np.ndarray) -> list[Any]:
        """One chunk [n, ...] -> every output."""
        options = onnxruntime.RunOptions()
        options.log_severity_level = SILENT
        timer = threading.Timer(self.limit_s or 0, setattr, (options, "terminate", True))
        if self.limit_s is not None:
            timer.start()
        try:
            return self.session.run(None, {self._input: chunk}, options)
        except Exception as error:  # ONNX Runtime's errors are direct subclasses of Exception
            if options.terminate:
                raise RuntimeError(f"it did not end within {self.limit_s:g} s: its graph has a loop") from None
            raise RuntimeError(first_line(error)) from error
        finally:
            timer.cancel()


def exported_network(info: EncoderInfo, embed: Embedder, batch: torch.Tensor, folder: Path) -> OnnxNetwork:
    """A torch network for ONNX Runtime.

    Args:
        info: of the encoder; of a network without identified weights nothing is recorded.
        embed: the network in torch.
        batch: [n, ...] views to trace it with; n becomes any number.
        folder: of compiled networks, which records whether ONNX Runtime survived this one.

    Raises:
        EncoderError: it cannot be exported, or ONNX Runtime cannot load the export.
    """
    file = io.BytesIO()
    any_number = {"views": {0: "n"}, "embeddings": {0: "n"}}
    try:
        with tracing():
            torch.onnx.export(
                WholeNetwork(embed).eval(),
                (batch,),
                file,  # type: ignore[arg-type]  # its annotation forgets files in memory
                dynamo=False,
                opset_version=OPSET,
                input_names=["views"],
                output_names=["embeddings"],
                dynamic_axes=any_number,
            )
        _try_elsewhere(embed.name, file.getvalue(), batch.numpy(), choice_file(folder, "onnxruntime", info, batch))
        return OnnxNetwork(file.getvalue())
    except EncoderError:
        raise
    except Exception as error:  # of tracing, export or session
        raise EncoderError(f"{embed.name}: it cannot be exported to ONNX Runtime ({first_line(error)})") from error


def _try_elsewhere(name: str, network: bytes, views: np.ndarray, choice: Path | None) -> None:
    """Run an exported network in a worker process, unless it ran in one before."""
    record = None if choice is None else choice.with_suffix(".tried.json")
    if record is not None and record.is_file():
        return
    with trial.trial_folder(None if record is None else record.parent, views) as folder:
        file = folder / f"{trial.MODEL}.onnx"
        file.write_bytes(network)
        trial.in_own_process(name, "ONNX Runtime", run_in_worker, file, memory=free_on_host())
    if record is not None:
        with contextlib.suppress(OSError):
            write_text_atomically(record, "{}\n")


def run_in_worker(file: Path) -> dict[str, str]:
    """In the worker of a first conversion: load an exported network and embed the views."""
    try:
        OnnxNetwork(file)([parse_array((file.parent / trial.VIEWS).read_bytes())])
    except MemoryError:
        raise
    except Exception as error:  # ONNX Runtime's errors are direct subclasses of Exception
        return {"failure": first_line(error)}
    return {"failure": ""}
