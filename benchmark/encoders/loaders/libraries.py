"""Encoders of timm, open_clip and torchvision, preprocessed as the library's record of the weights says."""

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

from benchmark.encoders.admission.gate import FETCHED
from benchmark.encoders.encoder import Encoder
from benchmark.encoders.loaders.hub import Checkpoint, load_hub, read_config, read_tensors
from benchmark.encoders.loaders.library_model import (
    ImageTower,
    LibraryModel,
    library_encoder,
    pooled_output,
    without_classifier,
)
from benchmark.encoders.network import call_module
from benchmark.encoders.preprocess.verified import candidates_of_preset
from benchmark.encoders.provenance import group_and_data
from benchmark.encoders.registry import LoadRequest
from benchmark.encoders.suggestions import unknown_model
from builders.errors import UsageError, unknown_name

WRAPPED = "timm_model."
"""Prefix of the names of weights in a checkpoint of transformers' wrapper of timm."""

DISTILLATION = "head_dist."
"""Prefix of timm's names of the weights of the head of a distillation token, which some configurations do not name."""

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
        tagged = timm.list_models(pretrained=True)
        known = [f"timm:{of}" for of in {*tagged, *(of.partition(".")[0] for of in tagged)}]
        raise unknown_model("timm model", request.spec, known, "timm.list_pretrained()")
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
    from timm.models import is_model, list_models

    config = read_config(checkpoint.folder / "config.json")
    name = str(config.get("architecture"))
    if not is_model(name.partition(".")[0]):
        raise unknown_model(f"timm architecture of {checkpoint.name}", name, list_models(), "timm.list_models()")
    if config.get("model_type") == "timm_wrapper":
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

    def load() -> LibraryModel:
        return torchvision_model(name, checkpoint.name, get_model(name, weights=weights, progress=False), weights)

    return library_encoder("torchvision", checkpoint, request, load, "its weights cannot be fetched", FETCHED)


def _load_timm(
    source: str, checkpoint: Checkpoint, request: LoadRequest, options: Callable[[], dict[str, Any]] = dict
) -> Encoder:
    import timm

    def load() -> LibraryModel:
        return timm_model(checkpoint.name, timm.create_model(source, pretrained=True, num_classes=0, **options()))

    return library_encoder("timm", checkpoint, request, load, "timm cannot load it")


def _load_open_clip(source: str, options: dict[str, Any], checkpoint: Checkpoint, request: LoadRequest) -> Encoder:
    import open_clip

    def load() -> LibraryModel:
        with quiet():
            model, transform = open_clip.create_model_from_pretrained(source, weights_only=True, **options)
        return open_clip_model(checkpoint.name, model, transform, options)

    return library_encoder("open_clip", checkpoint, request, load, "open_clip cannot load it")


def timm_model(name: str, model: Any, **data: Any) -> LibraryModel:
    """A model of timm without classifier, with the preprocessing of its configuration.

    Args:
        name: id of the encoder.
        model: of ``timm.create_model(..., num_classes=0)``; put into evaluation mode.
        data: entries of timm's data configuration that replace the model's own.
    """
    import timm
    from timm.data import create_transform, resolve_model_data_config

    model = model.eval()
    config: Any = model.pretrained_cfg
    config.pop("state_dict", None)
    data = {**resolve_model_data_config(model), **data}
    if (channels := data["input_size"][0]) != 3:
        what = f"reads pictures of {channels} channel{'s' * (channels != 1)}, and photos have three"
        raise UsageError(f"{name} {what}; score it as Python, which makes them: --model MODULE:FUNCTION")
    global_pool = getattr(model, "global_pool", None)
    return LibraryModel(
        weights=model,
        forward=pooled_output,
        pooling=f"features before the classifier (num_classes=0, global_pool={global_pool!r})",
        transform=create_transform(**data, is_training=False),
        training=group_and_data(
            name, architecture=str(config.get("architecture")), classes=int(config.get("num_classes") or 0)
        ),
        details={
            "architecture": config.get("architecture"),
            "tag": config.get("tag"),
            "timm": timm.__version__,
        },
        record={"data_config": {key: list(v) if isinstance(v, tuple) else v for key, v in data.items()}},
        outside=_of_head(model),
    )


def open_clip_model(
    name: str, model: Any, transform: Callable[[Any], torch.Tensor], options: Mapping[str, Any]
) -> LibraryModel:
    """The image tower of a model of open_clip.

    Args:
        name: id of the encoder.
        model: of ``open_clip.create_model``.
        transform: of evaluation.
        options: arguments that made the model, for the record.
    """
    import open_clip

    normalised = bool(inspect.signature(model.encode_image).parameters["normalize"].default)  # CoCa alone
    return LibraryModel(
        weights=model.visual,
        network=partial(ImageTower, normalised=normalised),
        forward=call_module,
        pooling=f"projected image features (encode_image{', normalised' * normalised})",
        stateless=False,
        transform=transform,
        training=group_and_data(name, contrastive=True),
        details={"architecture": type(model).__name__, "open_clip": open_clip.__version__, **options},
    )


def torchvision_model(architecture: str, name: str, model: Any, weights: Any) -> LibraryModel:
    """A model of torchvision; its last linear layer is left out.

    Args:
        architecture: torchvision's name.
        name: id of the encoder.
        model: of ``torchvision.models.get_model``.
        weights: the member of torchvision's enumeration that has the preprocessing.
    """
    import torchvision

    return LibraryModel(
        weights=model,
        network=without_classifier,
        forward=pooled_output,
        pooling="the input of the last linear layer",
        transform=weights.transforms(),
        candidates=candidates_of_preset,
        training=group_and_data(name, classes=len(weights.meta.get("categories", ()))),
        details={"architecture": architecture, "url": weights.url, "torchvision": torchvision.__version__},
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
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
    heads = (DISTILLATION, *(f"{layer.rpartition('.')[0] or layer}." for layer in layers))
    without_pooling = getattr(model, "attn_pool", 0) is None

    def outside(key: str) -> str:
        if key.startswith(heads):
            return "the classifier"
        return "attention pooling, which this variant leaves out" if without_pooling and key.startswith(POOL) else ""

    return outside


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
