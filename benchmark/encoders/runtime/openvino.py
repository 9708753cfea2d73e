"""A torch network in OpenVINO: traced, compiled in float32, one stream per thread, cached on disk.

The first compilation of a network happens in a process of its own (``trial.py``). ``openvino_graph.py`` says how
networks are cut and compiled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.compute import free_on_host
from benchmark.encoders.encoder import EncoderInfo
from benchmark.encoders.network import Embedder
from benchmark.encoders.runtime import trial
from benchmark.encoders.runtime.cache import CompiledNetwork, package_versions
from benchmark.encoders.runtime.export import WholeNetwork, tracing
from benchmark.encoders.runtime.openvino_graph import (
    HEAVY_WEIGHTS,
    MAX_VIEW_BYTES,
    VIEWS_TOGETHER,
    OpenVinoNetwork,
    compile_models,
    core,
    no_telemetry,
    openvino,
    reason,
    settings,
)
from builders.errors import EncoderError

CODE = ("camtrace", "openvino", "torch", "torchvision", "timm", "transformers", "open_clip_torch")
"""Packages whose version may change the embeddings of a network with the same weights."""


def open_network(
    info: EncoderInfo,
    embed: Embedder,
    batch: torch.Tensor,
    folder: Path,
    error_of: Callable[[OpenVinoNetwork], float],
    largest: float,
) -> tuple[OpenVinoNetwork, float]:
    """The network compiled; read from ``folder`` where it is stored there and still computes what torch does.

    Args:
        info: of the encoder; a network without identified weights is not stored.
        embed: the network in torch.
        batch: [n, ...] views to trace it with; n becomes any number.
        folder: of compiled networks.
        error_of: gives the relative error of a compiled network against torch.
        largest: the largest error with which a network is stored.

    Returns:
        The network, and its error as measured when it was compiled: the same in every run that reads it.

    Raises:
        EncoderError: OpenVINO does not convert it.
    """
    streams = torch.get_num_threads()
    cached = None if info.weights_sha256 is None else CompiledNetwork(folder, _key(info, batch))
    if cached is not None and (blobs := cached.read()) is not None:
        with contextlib.suppress(Exception):  # an unreadable file is compiled again
            imported = [core().import_model(blob, "CPU", settings(streams)) for blob in blobs]
            network = OpenVinoNetwork(imported, streams)
            if error_of(network) <= largest:
                network.stored = cached
                return network, cached.error
    converted_before = cached is not None and cached.error < float("inf")
    try:
        model = _traced(embed, batch)
        if not converted_before:
            _try_elsewhere(embed.name, model, batch.numpy(), None if cached is None else folder, streams)
        compiled = compile_models(model, streams, batch.numpy())
        network = OpenVinoNetwork(compiled, streams)
    except EncoderError:
        raise
    except Exception as error:  # OpenVINO's C++ code may raise anything
        raise EncoderError(f"{embed.name}: OpenVINO does not convert it ({reason(error)})") from error
    relative_error = error_of(network)
    if cached is not None and relative_error <= largest:
        relative_error = cached.write(compiled, relative_error)
        network.stored = cached
    return network, relative_error


def _try_elsewhere(name: str, model: Any, views: np.ndarray, below: Path | None, streams: int) -> None:
    """Compile and run the network in a worker process, where nothing is known yet about this network."""
    with trial.trial_folder(below, views) as folder:
        file = folder / f"{trial.MODEL}.xml"
        openvino.serialize(model, file)
        trial.in_own_process(name, "OpenVINO", trial.compile_for_openvino, file, str(streams), memory=free_on_host())


def _traced(embed: Embedder, batch: torch.Tensor) -> Any:
    """The network as an OpenVINO model of any number of views.

    ``openvino.convert_model`` does the same, but sends an event with each conversion, see ``no_telemetry``.
    """
    with no_telemetry():
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    whole = WholeNetwork(embed).eval()
    with tracing():
        # In a traced function weights are constants; for a module torch first walks through its parts, which doubles
        # the time. Weights that require gradients cannot be constants.
        requires_grad = any(weights.requires_grad for weights in whole.parameters())
        function = whole if requires_grad else lambda views: whole(views)
        traced = torch.jit.trace(function, (batch,), check_trace=False, strict=False)
        decoder = TorchScriptPythonDecoder(traced)
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    model.reshape({model.input(0): openvino.PartialShape([-1, *batch.shape[1:]])})
    model.validate_nodes_and_infer_types()
    return model


def _key(info: EncoderInfo, batch: torch.Tensor) -> str:
    """Name of a compiled network, from everything that decides its embeddings and the versions that compiled it."""
    parts = [
        info.id, info.library, info.revision, info.weights_sha256, info.pooling, dict(info.preprocessing),
        dict(info.details), list(batch.shape[1:]), str(batch.dtype), HEAVY_WEIGHTS, VIEWS_TOGETHER, MAX_VIEW_BYTES,
        package_versions(CODE),
        core().get_property("CPU", "FULL_DEVICE_NAME"),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:20]
