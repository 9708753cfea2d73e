"""Encoders of timm: the pooled features before the classifier, preprocessed as the weights' ``pretrained_cfg`` says."""

from __future__ import annotations

import contextlib
import inspect
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmark.encoders.encoder import Encoder
from benchmark.encoders.loaders.hub import Checkpoint, load_hub, read_config, read_tensors
from benchmark.encoders.loaders.weights_check import FETCHED, recorded_loads, require_all, require_finite
from benchmark.encoders.network import Network, network_encoder, pooled
from benchmark.encoders.placement import placement
from benchmark.encoders.preprocess.verified import (
    FromTransform,
    candidates_of_preset,
    candidates_of_transform,
    verified,
)
from benchmark.encoders.provenance import group_and_data
from benchmark.encoders.registry import LoadRequest
from builders.errors import EncoderError, UsageError, unknown_name
from builders.untrusted import describe_error, from_authors, from_hub


def load_open_clip(request: LoadRequest) -> Encoder:
    """Load ``open_clip:ARCH/PRETRAINED``; the second part may be left out if there is only one.

    Raises:
        UsageError: open_clip has no such architecture or weights, or several and none was named.
        EncoderError: they cannot be fetched or read.
    """
    import open_clip

    architecture, _, tag = request.spec.removeprefix("open_clip:").partition("/")
    if architecture not in open_clip.list_models():
        raise unknown_name("open_clip architecture", architecture, open_clip.list_models())
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if not tag and len(tags) != 1:
        several = ", ".join(f"open_clip:{architecture}/{name}" for name in tags)
        raise UsageError(f"{request.spec}: name the weights: {several or 'there are none'}")
    tag = tag or tags[0]
    if tag not in tags:
        raise unknown_name(f"weights of open_clip:{architecture}", tag, tags)
    # Weights that were trained with QuickGELU give other embeddings with GELU; open_clip only warns.
    quick_gelu = bool(open_clip.get_pretrained_cfg(architecture, tag).get("quick_gelu", False))
    checkpoint = Checkpoint(f"open_clip:{architecture}/{tag}", Path(), None)
    return _load_open_clip(architecture, {"pretrained": tag, "force_quick_gelu": quick_gelu}, checkpoint, request)


def load_open_clip_checkpoint(checkpoint: Checkpoint, request: LoadRequest) -> Encoder:
    """An encoder from a folder with ``open_clip_config.json``.

    Raises:
        EncoderError: it cannot be read.
    """
    return _load_open_clip(f"local-dir:{checkpoint.folder}", {}, checkpoint, request)


def _load_open_clip(source: str, options: dict[str, Any], checkpoint: Checkpoint, request: LoadRequest) -> Encoder:
    import open_clip

    place = placement(request.device, request.dtype, request.compile)
    try:
        with _quiet(), from_hub(), from_authors(), recorded_loads() as arrivals:
            model, transform = open_clip.create_model_from_pretrained(source, weights_only=True, **options)
    except Exception as error:  # RuntimeError, ValueError, OSError, UnpicklingError, ... of open_clip and what it calls
        if arrivals:
            require_all(checkpoint.name, arrivals)
        reason = describe_error(error).replace(str(checkpoint.folder.resolve()), checkpoint.name)
        raise EncoderError(f"{checkpoint.name}: open_clip cannot load it ({reason})") from error
    require_all(checkpoint.name, arrivals)
    require_finite(checkpoint.name, model.visual)
    processing = verified(checkpoint.name, FromTransform(transform), candidates_of_transform(transform), "pil")
    group, training_data = group_and_data(checkpoint.name, contrastive=True)
    return network_encoder(
        Network(
            name=checkpoint.name,
            library="open_clip",
            module=_ImageTower(model.visual),
            preprocess=processing.preprocess,
            preprocessing=processing.record,
            normalise=processing.normalise,
            forward=_encode_image,
            pooling="projected image features (encode_image)",
            revision=checkpoint.revision,
            group=group,
            training_data=training_data,
            details={"architecture": type(model).__name__, "open_clip": open_clip.__version__, **options},
        ),
        place,
    )


class _ImageTower(nn.Module):
    """What ``encode_image`` computes, without the text tower."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = self.visual(pixels)
        return features[0] if isinstance(features, tuple) else features  # CoCa returns its tokens too


def _encode_image(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    return module(pixels)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


def load_torchvision(request: LoadRequest) -> Encoder:
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
        raise EncoderError(f"{full}: its weights cannot be fetched ({describe_error(error)})") from None
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
            forward=_torchvision_features,
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


def _torchvision_features(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    return pooled(module(pixels))


WRAPPED = "timm_model."
"""How the names of weights begin in a checkpoint of transformers' wrapper of timm."""

POOL = "attn_pool."
"""How those of attention pooling begin in timm."""


def load_timm(request: LoadRequest) -> Encoder:
    """Load ``timm:NAME``. A name without a tag means timm's default tag, and the result names that tag.

    Weights that are on the Hub are loaded as the Hub repo that they are, pinned to a commit.

    Raises:
        UsageError: timm has no such pretrained model.
        EncoderError: it cannot be fetched or read.
    """
    import timm
    from timm.models import get_pretrained_cfg, is_model_pretrained

    name = request.spec.removeprefix("timm:")
    if not is_model_pretrained(name):
        raise unknown_name("timm model", name, timm.list_models(pretrained=True))
    config: Any = get_pretrained_cfg(name)
    if config.hf_hub_id:
        return load_hub(LoadRequest(**{**vars(request), "spec": str(config.hf_hub_id)}))
    full = f"{config.architecture}.{config.tag}" if config.tag else name
    return _load_timm(full, Checkpoint(f"timm:{full}", Path(), None), request)


def load_timm_checkpoint(checkpoint: Checkpoint, request: LoadRequest) -> Encoder:
    """An encoder from a folder in timm's Hub layout (``timm.models.save_for_hf``), or in that of transformers' wrapper
    of timm (``TimmWrapperForImageClassification.save_pretrained``).

    Raises:
        EncoderError: it cannot be read, or weights of the embedding are missing.
    """
    config = read_config(checkpoint.folder / "config.json")
    if config.get("model_type") == "timm_wrapper":
        from timm.models import is_model, list_models

        name = str(config.get("architecture"))
        if not is_model(name.partition(".")[0]):
            raise unknown_name(f"timm architecture of {checkpoint.name}", name, list_models())
        return _load_timm(name, checkpoint, request, partial(_of_wrapper, checkpoint, config))
    return _load_timm(f"local-dir:{checkpoint.folder}", checkpoint, request)


def _load_timm(
    source: str, checkpoint: Checkpoint, request: LoadRequest, options: Callable[[], dict[str, Any]] = dict
) -> Encoder:
    import timm
    from timm.data import create_transform, resolve_model_data_config

    place = placement(request.device, request.dtype, request.compile)
    try:
        with from_hub(), from_authors(), recorded_loads() as arrivals:
            model: Any = timm.create_model(source, pretrained=True, num_classes=0, **options()).eval()
        model.pretrained_cfg.pop("state_dict", None)
        data = resolve_model_data_config(model)
        transform = create_transform(**data, is_training=False)
    except Exception as error:  # RuntimeError, KeyError, OSError, UnpicklingError, ... of timm and what it calls
        if arrivals:
            require_all(checkpoint.name, arrivals)
        reason = describe_error(error).replace(str(checkpoint.folder), checkpoint.name)
        raise EncoderError(f"{checkpoint.name}: timm cannot load it ({reason})") from error
    ignored = require_all(checkpoint.name, arrivals, _of_head(model))
    require_finite(checkpoint.name, model)
    processing = verified(
        checkpoint.name,
        FromTransform(transform),
        candidates_of_transform(transform),
        "pil",
        data_config={key: list(v) if isinstance(v, tuple) else v for key, v in data.items()},
    )
    config: Any = model.pretrained_cfg
    group, training_data = group_and_data(
        checkpoint.name, architecture=str(config.get("architecture")), classes=int(config.get("num_classes") or 0)
    )
    pool = getattr(model, "global_pool", None)
    return network_encoder(
        Network(
            name=checkpoint.name,
            library="timm",
            module=model,
            preprocess=processing.preprocess,
            preprocessing=processing.record,
            normalise=processing.normalise,
            forward=_timm_features,
            pooling=f"features before the classifier (num_classes=0, global_pool={pool!r})",
            stateless=True,
            revision=checkpoint.revision,
            group=group,
            training_data=training_data,
            details={
                "architecture": config.get("architecture"),
                "tag": config.get("tag"),
                "timm": timm.__version__,
                **({"ignored_weights": ignored} if ignored else {}),
            },
        ),
        place,
    )


def _of_head(model: Any) -> Callable[[str], str]:
    """Tells which weights of a checkpoint belong to parts that timm leaves out where no classes are wanted."""
    named = model.pretrained_cfg.get("classifier") or ()
    layers = (named,) if isinstance(named, str) else tuple(named)
    heads = tuple(f"{layer.rpartition('.')[0] or layer}." for layer in layers)
    without_pooling = getattr(model, "attn_pool", 0) is None

    def outside(key: str) -> str:
        if key.startswith(heads):
            return "the classifier"
        return "attention pooling, which this variant leaves out" if without_pooling and key.startswith(POOL) else ""

    return outside


def _of_wrapper(checkpoint: Checkpoint, config: Mapping[str, Any]) -> dict[str, Any]:
    """What ``timm.create_model`` is called with for a checkpoint that transformers' wrapper of timm saved: its own
    options, and the weights under timm's names."""
    import timm

    tensors = {name.removeprefix(WRAPPED): tensor for name, tensor in read_tensors(checkpoint.folder).items()}
    given = config.get("model_args") or {}
    reserved = inspect.signature(timm.create_model).parameters
    options = {name: value for name, value in given.items() if name not in reserved and name != "num_classes"}
    pretrained = config.get("pretrained_cfg") or {}
    headless = config.get("architectures") == ["TimmWrapperModel"]
    source = {"state_dict": tensors, "source": "", "file": None}
    overlay: dict[str, Any] = {**source, "num_classes": 0 if headless else config.get("num_classes", 0)}
    if not pretrained:
        overlay["tag"] = None  # that of timm's default weights, which these are not
    if (size := given.get("img_size")) is not None and not pretrained:
        overlay["input_size"] = (3, *((size, size) if isinstance(size, int) else size))
    return {**options, "pretrained_cfg": dict(pretrained) or None, "pretrained_cfg_overlay": overlay}


def _timm_features(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    return pooled(model(pixels))
