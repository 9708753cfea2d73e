"""Encoders of timm, open_clip and torchvision, preprocessed as the library's record of the weights says.

All three follow one path: the library makes the model while its loads are recorded, all weights must have arrived and
be finite, the preprocessing is compared with the library's own, and ``network_encoder`` does the rest.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmark.encoders.encoder import Encoder
from benchmark.encoders.loaders.hub import Checkpoint, load_hub, read_config, read_tensors
from benchmark.encoders.loaders.weights_check import (
    FETCHED,
    NEAREST,
    every_weight_is_read,
    recorded_loads,
    require_all,
    require_finite,
)
from benchmark.encoders.network import Forward, Network, call_module, network_encoder, pooled
from benchmark.encoders.placement import placement
from benchmark.encoders.preprocess.verified import (
    Candidate,
    FromTransform,
    candidates_of_preset,
    candidates_of_transform,
    verified,
)
from benchmark.encoders.provenance import Training, group_and_data
from benchmark.encoders.registry import LoadRequest
from benchmark.encoders.suggestions import unknown_model
from builders.errors import EncoderError, UsageError, unknown_name
from builders.untrusted import describe_error, from_authors, from_hub

WRAPPED = "timm_model."
"""Prefix of the names of weights in a checkpoint of transformers' wrapper of timm."""

POOL = "attn_pool."
"""Prefix of timm's names of the weights of attention pooling."""


def load_timm(request: LoadRequest) -> Encoder:
    """Load ``timm:NAME``. A name without a tag means timm's default tag, and the result names that tag.

    Weights on the Hub are loaded as the Hub repo that they are, pinned to a commit.

    Raises:
        UsageError: timm has no such pretrained model.
        EncoderError: it cannot be fetched or read.
    """
    import timm
    from timm.models import get_pretrained_cfg, is_model_pretrained

    name = request.spec.removeprefix("timm:")
    if not is_model_pretrained(name):
        raise unknown_model("timm model", name, timm.list_models(pretrained=True), "timm.list_pretrained()")
    config: Any = get_pretrained_cfg(name)
    if config.hf_hub_id:
        return load_hub(LoadRequest(**{**vars(request), "spec": str(config.hf_hub_id)}))
    full_name = f"{config.architecture}.{config.tag}" if config.tag else name
    return _load_timm(full_name, Checkpoint(f"timm:{full_name}", Path(), None), request)


def load_timm_checkpoint(checkpoint: Checkpoint, request: LoadRequest) -> Encoder:
    """Load a folder in timm's Hub layout (``timm.models.save_for_hf``), or in that of transformers' wrapper of timm
    (``TimmWrapperForImageClassification.save_pretrained``).

    Raises:
        EncoderError: it cannot be read, or weights of the embedding are missing.
    """
    config = read_config(checkpoint.folder / "config.json")
    if config.get("model_type") == "timm_wrapper":
        from timm.models import is_model, list_models

        name = str(config.get("architecture"))
        if not is_model(name.partition(".")[0]):
            raise unknown_model(f"timm architecture of {checkpoint.name}", name, list_models(), "timm.list_models()")
        return _load_timm(name, checkpoint, request, partial(_wrapper_options, checkpoint, config))
    return _load_timm(f"local-dir:{checkpoint.folder}", checkpoint, request)


def load_open_clip(request: LoadRequest) -> Encoder:
    """Load ``open_clip:ARCH/PRETRAINED``; the second part may be left out if there is only one.

    Raises:
        UsageError: open_clip has no such architecture or weights, or several and none was named.
        EncoderError: they cannot be fetched or read.
    """
    import open_clip

    architecture, _, tag = request.spec.removeprefix("open_clip:").partition("/")
    if architecture not in open_clip.list_models():
        raise unknown_model("open_clip architecture", architecture, open_clip.list_models(), "open_clip.list_models()")
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
    """Load a folder with ``open_clip_config.json``.

    Raises:
        EncoderError: it cannot be read.
    """
    return _load_open_clip(f"local-dir:{checkpoint.folder}", {}, checkpoint, request)


def load_torchvision(request: LoadRequest) -> Encoder:
    """Load ``torchvision:NAME[/WEIGHTS]``; without weights torchvision's DEFAULT, and the result names which they are.

    Raises:
        UsageError: torchvision has no such model or weights.
        EncoderError: the weights cannot be fetched.
    """
    import torchvision
    from torchvision.models import get_model, get_model_weights, list_models

    name, _, wanted = request.spec.removeprefix("torchvision:").partition("/")
    names = list_models(module=torchvision.models)
    if name not in names:
        raise unknown_model("torchvision model", name, names, "torchvision.models.list_models()")
    available = get_model_weights(name)
    if wanted and wanted not in available.__members__:
        raise unknown_name(f"weights of torchvision:{name}", wanted, available.__members__)
    weights = available[wanted or "DEFAULT"]
    checkpoint = Checkpoint(f"torchvision:{name}/{weights.name}", Path(), None)

    def load() -> _LibraryModel:
        return _LibraryModel(
            weights=get_model(name, weights=weights, progress=False),
            network=without_classifier,
            forward=pooled_output,
            pooling="the input of the last linear layer",
            transform=weights.transforms(),
            candidates=candidates_of_preset,
            training=group_and_data(checkpoint.name, classes=len(weights.meta.get("categories", ()))),
            details={"architecture": name, "url": weights.url, "torchvision": torchvision.__version__},
        )

    return _library_encoder("torchvision", checkpoint, request, load, "its weights cannot be fetched", FETCHED)


def _load_timm(
    source: str, checkpoint: Checkpoint, request: LoadRequest, options: Callable[[], dict[str, Any]] = dict
) -> Encoder:
    import timm
    from timm.data import create_transform, resolve_model_data_config

    def load() -> _LibraryModel:
        model: Any = timm.create_model(source, pretrained=True, num_classes=0, **options()).eval()
        config: Any = model.pretrained_cfg
        config.pop("state_dict", None)
        data = resolve_model_data_config(model)
        global_pool = getattr(model, "global_pool", None)
        return _LibraryModel(
            weights=model,
            forward=pooled_output,
            pooling=f"features before the classifier (num_classes=0, global_pool={global_pool!r})",
            transform=create_transform(**data, is_training=False),
            training=group_and_data(
                checkpoint.name,
                architecture=str(config.get("architecture")),
                classes=int(config.get("num_classes") or 0),
            ),
            details={
                "architecture": config.get("architecture"),
                "tag": config.get("tag"),
                "timm": timm.__version__,
            },
            record={"data_config": {key: list(v) if isinstance(v, tuple) else v for key, v in data.items()}},
            unread=_of_head(model),
        )

    return _library_encoder("timm", checkpoint, request, load, "timm cannot load it")


def _load_open_clip(source: str, options: dict[str, Any], checkpoint: Checkpoint, request: LoadRequest) -> Encoder:
    import open_clip

    def load() -> _LibraryModel:
        with _quiet():
            model, transform = open_clip.create_model_from_pretrained(source, weights_only=True, **options)
        return _LibraryModel(
            weights=model.visual,
            network=_ImageTower,
            forward=call_module,
            pooling="projected image features (encode_image)",
            stateless=False,
            transform=transform,
            training=group_and_data(checkpoint.name, contrastive=True),
            details={"architecture": type(model).__name__, "open_clip": open_clip.__version__, **options},
        )

    return _library_encoder("open_clip", checkpoint, request, load, "open_clip cannot load it")


def _unchanged(module: nn.Module) -> nn.Module:
    return module


@dataclass(frozen=True)
class _LibraryModel:
    """A model as its library loaded it, and what an encoder needs of it."""

    weights: Any
    """The module whose weights must all be finite."""
    forward: Forward
    pooling: str
    transform: Callable[[Any], torch.Tensor]
    """The library's own preprocessing."""
    training: Training
    details: Mapping[str, Any]
    network: Callable[[Any], nn.Module] = _unchanged
    """``weights`` -> the module that ``forward`` calls; may change them in place."""
    stateless: bool = True
    """As of ``Network``."""
    candidates: Callable[[Any], list[Candidate]] = candidates_of_transform
    """``transform`` -> fast preprocessings that may equal it."""
    record: Mapping[str, Any] = field(default_factory=dict)
    """Further entries of the record of the preprocessing."""
    unread: Callable[[str], str] = every_weight_is_read
    """Name of a weight -> why the embedding does not read it, as of ``require_weights``."""


def _library_encoder(
    library: str,
    checkpoint: Checkpoint,
    request: LoadRequest,
    load: Callable[[], _LibraryModel],
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
        with from_hub(), from_authors(), recorded_loads() as reports:
            model = load()
    except Exception as error:  # RuntimeError, OSError, URLError, UnpicklingError, ... of the library and what it calls
        if reports:
            require_all(name, reports, remedy=remedy)
        raise EncoderError(f"{name}: {failure} ({_without_folder(describe_error(error), checkpoint)})") from error
    ignored = require_all(name, reports, model.unread, remedy)
    require_finite(name, model.weights)
    processing = verified(
        name, FromTransform(model.transform), model.candidates(model.transform), "pil", **model.record
    )
    return network_encoder(
        Network(
            name=name,
            library=library,
            module=model.network(model.weights),
            preprocess=processing.preprocess,
            preprocessing=processing.record,
            normalise=processing.normalise,
            forward=model.forward,
            pooling=model.pooling,
            stateless=model.stateless,
            revision=checkpoint.revision,
            group=model.training.group,
            training_data=model.training.data,
            details={**model.details, **({"ignored_weights": ignored} if ignored else {})},
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
    return pooled(module(pixels))


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


class _ImageTower(nn.Module):
    """``encode_image`` without the text tower."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = self.visual(pixels)
        return features[0] if isinstance(features, tuple) else features  # CoCa returns its tokens too


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Within it neither log lines up to warnings nor Python's warnings are shown."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


def _of_head(model: Any) -> Callable[[str], str]:
    """Name of a weight -> why timm leaves its part out where no classes are requested; empty where it does not."""
    classifier = model.pretrained_cfg.get("classifier") or ()
    layers = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    heads = tuple(f"{layer.rpartition('.')[0] or layer}." for layer in layers)
    without_pooling = getattr(model, "attn_pool", 0) is None

    def unread(key: str) -> str:
        if key.startswith(heads):
            return "the classifier"
        return "attention pooling, which this variant leaves out" if without_pooling and key.startswith(POOL) else ""

    return unread


def _wrapper_options(checkpoint: Checkpoint, config: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``timm.create_model`` for a checkpoint that transformers' wrapper of timm saved: the checkpoint's
    options, and its weights under timm's names."""
    import timm

    tensors = {name.removeprefix(WRAPPED): tensor for name, tensor in read_tensors(checkpoint.folder).items()}
    model_args = config.get("model_args") or {}
    reserved = inspect.signature(timm.create_model).parameters
    options = {name: value for name, value in model_args.items() if name not in reserved and name != "num_classes"}
    pretrained = config.get("pretrained_cfg") or {}
    headless = config.get("architectures") == ["TimmWrapperModel"]
    source = {"state_dict": tensors, "source": "", "file": None}
    overlay: dict[str, Any] = {**source, "num_classes": 0 if headless else config.get("num_classes", 0)}
    if not pretrained:
        overlay["tag"] = None  # that of timm's default weights, which these are not
    if (size := model_args.get("img_size")) is not None and not pretrained:
        overlay["input_size"] = (3, *((size, size) if isinstance(size, int) else size))
    return {**options, "pretrained_cfg": dict(pretrained) or None, "pretrained_cfg_overlay": overlay}
