"""Encoders of open_clip: ``encode_image``, preprocessed by the model's own validation transform."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmark.encoders.embedding import Network, network_encoder
from benchmark.encoders.encoder import Encoder
from benchmark.encoders.hub import Checkpoint
from benchmark.encoders.placement import placement
from benchmark.encoders.provenance import group_and_data
from benchmark.encoders.registry import Request
from benchmark.encoders.verified import FromTransform, candidates_of_transform, verified
from benchmark.encoders.weights_check import recorded_loads, require_all, require_finite
from builders.errors import EncoderError, UsageError, unknown_name
from builders.outside import from_authors, from_hub, kind_and_line


def load_open_clip(request: Request) -> Encoder:
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
    return _load(architecture, {"pretrained": tag, "force_quick_gelu": quick_gelu}, checkpoint, request)


def load_checkpoint(checkpoint: Checkpoint, request: Request) -> Encoder:
    """An encoder from a folder with ``open_clip_config.json``.

    Raises:
        EncoderError: it cannot be read.
    """
    return _load(f"local-dir:{checkpoint.folder}", {}, checkpoint, request)


def _load(source: str, options: dict[str, Any], checkpoint: Checkpoint, request: Request) -> Encoder:
    import open_clip

    place = placement(request.device, request.dtype, request.compile)
    try:
        with _quiet(), from_hub(), from_authors(), recorded_loads() as arrivals:
            model, transform = open_clip.create_model_from_pretrained(source, weights_only=True, **options)
    except Exception as error:  # RuntimeError, ValueError, OSError, UnpicklingError, ... of open_clip and what it calls
        if arrivals:
            require_all(checkpoint.name, arrivals)
        reason = kind_and_line(error).replace(str(checkpoint.folder.resolve()), checkpoint.name)
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
