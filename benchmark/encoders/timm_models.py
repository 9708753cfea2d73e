"""Encoders of timm: the pooled features before the classifier, preprocessed as the weights' ``pretrained_cfg`` says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from benchmark.encoders.embedding import Network, network_encoder, pooled
from benchmark.encoders.encoder import Encoder
from benchmark.encoders.hub import Checkpoint, load_hub
from benchmark.encoders.placement import placement
from benchmark.encoders.provenance import group_and_data
from benchmark.encoders.registry import Request
from benchmark.encoders.verified import FromTransform, candidates_of_transform, verified
from builders.errors import EncoderError, unknown_name
from builders.outside import from_authors, from_hub, kind_and_line


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
    """An encoder from a folder in timm's Hub layout (``timm.models.save_for_hf``).

    Raises:
        EncoderError: it cannot be read.
    """
    return _load(f"local-dir:{checkpoint.folder}", checkpoint, request)


def _load(source: str, checkpoint: Checkpoint, request: Request) -> Encoder:
    import timm
    from timm.data import create_transform, resolve_model_data_config

    place = placement(request.device, request.dtype, request.compile)
    try:
        with from_hub(), from_authors():
            model = timm.create_model(source, pretrained=True, num_classes=0).eval()
        data = resolve_model_data_config(model)
        transform = create_transform(**data, is_training=False)
    except Exception as error:  # RuntimeError, KeyError, OSError, UnpicklingError, ... of timm and what it calls
        reason = kind_and_line(error).replace(str(checkpoint.folder), checkpoint.name)
        raise EncoderError(f"{checkpoint.name}: timm cannot load it ({reason})") from error
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
            details={"architecture": config.get("architecture"), "tag": config.get("tag"), "timm": timm.__version__},
        ),
        place,
    )


def _features(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    return pooled(model(pixels))
