"""ONNX Runtime as a way to compute a network: sessions of one thread, chunks side by side."""

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
"""The variable that it looks for when it is imported."""


@contextlib.contextmanager
def _no_telemetry() -> Iterator[None]:
    """Within it the variable is 1, unless the user has set it; afterwards all is as before."""
    said = SILENT_ENVIRONMENT in os.environ
    os.environ.setdefault(SILENT_ENVIRONMENT, "1")
    try:
        yield
    finally:
        if not said:
            del os.environ[SILENT_ENVIRONMENT]


with _no_telemetry():
    import onnxruntime

__all__ = ["onnxruntime"]

OPSET = 17
"""Of exported networks: layer normalisation is one operator from here on."""

SILENT = 4
"""ONNX Runtime's severity above which it prints; what it cannot do, it raises as well."""


class OnnxNetwork:
    """A session that computes embeddings; see ``benchmark/encoders/runtime/choose.py``."""

    version = onnxruntime.__version__
    batch_sizes: tuple[int, ...] = ()
    """Any number at a time."""

    def __init__(self, model: bytes | Path, output: str | None = None) -> None:
        """Raises whatever ONNX Runtime raises of a file."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = SILENT
        given = str(model) if isinstance(model, Path) else model
        self.session = onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
        self._input = self.session.get_inputs()[0].name
        self._outputs = [output or self.session.get_outputs()[0].name]

    def __call__(self, chunks: Sequence[np.ndarray]) -> list[np.ndarray]:
        return parallel_map(self.run, chunks)

    def run(self, chunk: np.ndarray) -> np.ndarray:
        """[n, ...] -> what the output holds of it."""
        try:
            return self.session.run(self._outputs, {self._input: chunk})[0]
        except Exception as error:  # ONNX Runtime's own tree of errors hangs directly below Exception
            raise RuntimeError(first_line(error)) from error


def exported_network(embed: Embedder, batch: torch.Tensor) -> OnnxNetwork:
    """A torch network for ONNX Runtime.

    Args:
        embed: the network in torch.
        batch: [n, ...] views to trace it with; n becomes any number.

    Raises:
        EncoderError: it cannot be exported, or ONNX Runtime does not take it.
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
    except Exception as error:  # whatever tracing, export and session raise
        raise EncoderError(f"{embed.name}: it cannot be exported to ONNX Runtime ({first_line(error)})") from error
