"""A model as timm, open_clip or torchvision made it, and the encoder of it.

The library makes the model while its loads are recorded, all weights must have arrived and be finite, the preprocessing
is compared with the library's own, and ``network_encoder`` does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmark.encoders.admission.gate import NEAREST, admit, first_names, reason_of
from benchmark.encoders.admission.sources import recorded_sources
from benchmark.encoders.encoder import Encoder
from benchmark.encoders.loaders.hub import Checkpoint
from benchmark.encoders.network import Forward, Network, network_encoder, pooled
from benchmark.encoders.placement import placement
from benchmark.encoders.preprocess.verified import (
    Candidate,
    FromTransform,
    Preprocessing,
    candidates_of_transform,
    verified,
)
from benchmark.encoders.provenance import Training
from benchmark.encoders.registry import LoadRequest
from builders.errors import CamtraceError, EncoderError
from builders.untrusted import describe_error, from_authors, from_hub


def _unchanged(module: nn.Module) -> nn.Module:
    return module


def _as_it_is(preprocessing: Preprocessing) -> Preprocessing:
    return preprocessing


@dataclass(frozen=True)
class LibraryModel:
    """A model as its library loaded it, and what an encoder needs of it."""

    weights: Any
    """The module that was loaded."""
    forward: Forward
    pooling: str
    transform: Callable[[Any], torch.Tensor]
    """The library's own preprocessing."""
    training: Training
    details: Mapping[str, Any]
    network: Callable[[Any], nn.Module] = _unchanged
    """``weights`` -> the scored module, which ``forward`` calls; may change them in place."""
    stateless: bool = True
    """As of ``Network``."""
    candidates: Callable[[Any], list[Candidate]] = candidates_of_transform
    """``transform`` -> fast preprocessings that may equal it."""
    record: Mapping[str, Any] = field(default_factory=dict)
    """Further entries of the record of the preprocessing."""
    outside: Callable[[str], str] = reason_of
    """Name of a superfluous weight -> why it does not belong to the network, as of ``admit``."""
    restate: Callable[[Preprocessing], Preprocessing] = _as_it_is
    """The library's preprocessing -> the one to use."""


def library_encoder(
    library: str,
    checkpoint: Checkpoint,
    request: LoadRequest,
    load: Callable[[], LibraryModel],
    failure: str,
    remedy: str = NEAREST,
) -> Encoder:
    """An encoder from a library's model.

    Args:
        library: of ``encoder.LIBRARIES``.
        checkpoint: the name and, where there is one, the folder.
        request: gives device and dtype.
        load: makes the model by the library.
        failure: begins the message where ``load`` raises.
        remedy: ends the message where weights did not arrive.

    Raises:
        EncoderError: ``load`` fails, or some of the weights are missing, superfluous or not finite.
    """
    place = placement(request.device, request.dtype, request.compile)
    name = checkpoint.name
    try:
        with from_hub(), from_authors(), recorded_sources() as sources:
            model = load()
    except CamtraceError:
        raise
    except Exception as error:  # RuntimeError, OSError, URLError, UnpicklingError, ... of the library and what it calls
        if sources.unfit:
            what = f"its weights cannot be used ({first_names(sources.unfit.values())}); {remedy}"
            raise EncoderError(f"{name}: {len(sources.unfit)} of {what}") from None
        raise EncoderError(f"{name}: {failure} ({_without_folder(describe_error(error), checkpoint)})") from error
    module = model.network(model.weights)
    admission = admit(name, module, sources, top=model.weights, outside=model.outside, remedy=remedy)
    processing = verified(
        name, FromTransform(model.transform), model.candidates(model.transform), "pil", **model.record
    )
    processing = model.restate(processing)
    return network_encoder(
        Network(
            name=name,
            library=library,
            module=module,
            preprocess=processing.preprocess,
            preprocessing=processing.record,
            normalise=processing.normalise,
            forward=model.forward,
            pooling=model.pooling,
            stateless=model.stateless,
            prove=admission.prove,
            revision=checkpoint.revision,
            group=model.training.group,
            training_data=model.training.data,
            details={**model.details, **({"ignored_weights": [*admission.ignored]} if admission.ignored else {})},
        ),
        place,
    )


def _without_folder(text: str, checkpoint: Checkpoint) -> str:
    if checkpoint.folder == Path():
        return text
    for folder in (checkpoint.folder.resolve(), checkpoint.folder):
        text = text.replace(str(folder), checkpoint.name)
    return text


def pooled_output(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """Forward pass of a network without its classifier: [n, 3, height, width] -> [n, dimension]."""
    return pooled(module(pixels), picture=pixels.shape[-2:])


def without_classifier(model: nn.Module) -> nn.Module:
    """Replace the last linear layer by the identity, in place.

    A network without one (SqueezeNet) ends in a global average instead of its ``classifier``.

    >>> without_classifier(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)))(torch.ones(1, 4)).shape
    torch.Size([1, 3])
    """
    linear = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    linear = [name for name in linear if not name.startswith(("aux", "AuxLogits"))]
    if linear:
        parent, _, last = linear[-1].rpartition(".")
        setattr(model.get_submodule(parent), last, nn.Identity())
    else:
        model.classifier = nn.AdaptiveAvgPool2d(1)
    return model


class ImageTower(nn.Module):
    """``encode_image`` without the text tower."""

    def __init__(self, visual: nn.Module, normalised: bool = False) -> None:
        super().__init__()
        self.visual = visual
        self._normalised = normalised

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = self.visual(pixels)
        vectors = features[0] if isinstance(features, tuple) else features  # CoCa returns its tokens too
        return nn.functional.normalize(vectors, dim=-1) if self._normalised else vectors
