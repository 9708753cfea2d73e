"""Encoders of torchvision: the input of the classifier, preprocessed by the weights' own transforms."""

from __future__ import annotations

import torch
from torch import nn

from benchmark.encoders.embedding import Network, network_encoder, pooled
from benchmark.encoders.encoder import Encoder
from benchmark.encoders.placement import placement
from benchmark.encoders.provenance import group_and_data
from benchmark.encoders.registry import Request
from benchmark.encoders.verified import FromTransform, candidates_of_preset, verified
from benchmark.encoders.weights_check import FETCHED, recorded_loads, require_all, require_finite
from builders.errors import EncoderError, unknown_name
from builders.outside import from_authors, kind_and_line


def load_torchvision(request: Request) -> Encoder:
    """Load ``torchvision:NAME[/WEIGHTS]``; without weights, torchvision's DEFAULT, and the result names which they are.

    Raises:
        UsageError: no such model or weights.
        EncoderError: the weights cannot be fetched.
    """
    import torchvision
    from torchvision.models import get_model, get_model_weights, list_models

    name, _, wanted = request.spec.removeprefix("torchvision:").partition("/")
    names = list_models(module=torchvision.models)
    if name not in names:
        raise unknown_name("torchvision model", name, names)
    place = placement(request.device, request.dtype, request.compile)
    available = get_model_weights(name)
    if wanted and wanted not in available.__members__:
        raise unknown_name(f"weights of torchvision:{name}", wanted, available.__members__)
    weights = available[wanted or "DEFAULT"]
    full = f"torchvision:{name}/{weights.name}"
    try:
        with from_authors(), recorded_loads() as arrivals:
            model = get_model(name, weights=weights, progress=False)
    except Exception as error:  # URLError, RemoteError, OSError, RuntimeError of a wrong hash, UnpicklingError, ...
        if arrivals:
            require_all(full, arrivals, remedy=FETCHED)
        raise EncoderError(f"{full}: its weights cannot be fetched ({kind_and_line(error)})") from None
    require_all(full, arrivals, remedy=FETCHED)
    require_finite(full, model)
    preset = weights.transforms()
    processing = verified(full, FromTransform(preset), candidates_of_preset(preset), "pil")
    group, training_data = group_and_data(full, classes=len(weights.meta.get("categories", ())))
    return network_encoder(
        Network(
            name=full,
            library="torchvision",
            module=without_classifier(model),
            preprocess=processing.preprocess,
            preprocessing=processing.record,
            normalise=processing.normalise,
            forward=_features,
            pooling="the input of the last linear layer",
            stateless=True,
            group=group,
            training_data=training_data,
            details={"architecture": name, "url": weights.url, "torchvision": torchvision.__version__},
        ),
        place,
    )


def without_classifier(model: nn.Module) -> nn.Module:
    """Replace the last linear layer by the identity, in place; a network without one (SqueezeNet) ends in a
    global average instead of its ``classifier``.

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


def _features(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    return pooled(module(pixels))
