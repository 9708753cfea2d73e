"""Encoders of timm: the pooled features before the classifier, preprocessed as the weights' ``pretrained_cfg`` says."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmark.encoders.checkpoint_files import read_config, read_tensors
from benchmark.encoders.embedding import Network, network_encoder, pooled
from benchmark.encoders.encoder import Encoder
from benchmark.encoders.hub import Checkpoint, load_hub
from benchmark.encoders.placement import placement
from benchmark.encoders.provenance import group_and_data
from benchmark.encoders.registry import Request
from benchmark.encoders.verified import FromTransform, candidates_of_transform, verified
from benchmark.encoders.weights_check import recorded_loads, require_all, require_finite
from builders.errors import EncoderError, unknown_name
from builders.outside import from_authors, from_hub, kind_and_line

WRAPPED = "timm_model."
"""How the names of weights begin in a checkpoint of transformers' wrapper of timm."""

POOL = "attn_pool."
"""How those of attention pooling begin in timm."""


def load_timm(request: Request) -> Encoder:
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
        return load_hub(Request(**{**vars(request), "spec": str(config.hf_hub_id)}))
    full = f"{config.architecture}.{config.tag}" if config.tag else name
    return _load(full, Checkpoint(f"timm:{full}", Path(), None), request)


def load_checkpoint(checkpoint: Checkpoint, request: Request) -> Encoder:
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
        return _load(name, checkpoint, request, partial(_of_wrapper, checkpoint, config))
    return _load(f"local-dir:{checkpoint.folder}", checkpoint, request)


def _load(
    source: str, checkpoint: Checkpoint, request: Request, options: Callable[[], dict[str, Any]] = dict
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
        reason = kind_and_line(error).replace(str(checkpoint.folder), checkpoint.name)
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
            forward=_features,
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


def _features(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    return pooled(model(pixels))
