"""A torch network, or a network in an ONNX file, in ONNX Runtime: sessions of one thread, chunks in parallel."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmark.compute import parallel_map
from benchmark.encoders.network import Embedder
from benchmark.encoders.runtime.export import WholeNetwork, tracing
from builders.errors import EncoderError
from builders.untrusted import first_line

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
        output: name of the output that is the embedding; by default the first.

    Raises:
        Exception: any error of ONNX Runtime.
    """

    version = onnxruntime.__version__
    batch_sizes: tuple[int, ...] = ()

    def __init__(self, model: bytes | Path, output: str | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = SILENT
        source = str(model) if isinstance(model, Path) else model
        self.session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        self._input = self.session.get_inputs()[0].name
        self._outputs = [output or self.session.get_outputs()[0].name]

    def __call__(self, chunks: Sequence[np.ndarray]) -> list[np.ndarray]:
        return parallel_map(self.run, chunks)

    def run(self, chunk: np.ndarray) -> np.ndarray:
        """One chunk [n, ...] -> the output."""
        try:
            return self.session.run(self._outputs, {self._input: chunk})[0]
        except Exception as error:  # ONNX Runtime's errors are direct subclasses of Exception
            raise RuntimeError(first_line(error)) from error


def exported_network(embed: Embedder, batch: torch.Tensor) -> OnnxNetwork:
    """A torch network for ONNX Runtime.

    Args:
        embed: the network in torch.
        batch: [n, ...] views to trace it with; n becomes any number.

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
        return OnnxNetwork(file.getvalue())
    except Exception as error:  # of tracing, export or session
        raise EncoderError(f"{embed.name}: it cannot be exported to ONNX Runtime ({first_line(error)})") from error
