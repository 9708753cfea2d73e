"""Encoders of the transformers library, from a folder that ``save_pretrained`` wrote.

Which output is the embedding is decided in ``transformers_embeddings.py``.

SigLIP2 with NaFlex (``model_type`` siglip2) takes patches and masks of many sizes and is refused; the fixed-resolution
SigLIP2 checkpoints are ``model_type`` siglip.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmark.encoders.embedding import Network, network_encoder, placement, probe_image
from benchmark.encoders.encoder import Encoder
from benchmark.encoders.hub import Checkpoint
from benchmark.encoders.provenance import group_and_data
from benchmark.encoders.registry import Request
from benchmark.encoders.transformers_embeddings import FAMILIES, choose_embedding
from benchmark.encoders.verified import Preprocessing, candidates_of_processor, verified
from builders.errors import CamtraceError, EncoderError, UsageError

TEXT_PARTS = ("text_model", "text_projection", "logit_scale", "logit_bias", "token_embedding", "temperature")
"""Attributes of two-tower models that take no part in an image's embedding; dropped after loading."""


def load_checkpoint(checkpoint: Checkpoint, request: Request) -> Encoder:
    """An encoder from a folder that ``save_pretrained`` wrote.

    Raises:
        UsageError: NaFlex, a text model, or code from the Hub without ``trust_remote_code``.
        EncoderError: the files cannot be read, or weights of the embedding are missing.
    """
    import transformers

    place = placement(request.device, request.dtype, request.compile)
    with _quiet(), _one_sentence(checkpoint.name, request.trust_remote_code):
        config = transformers.AutoConfig.from_pretrained(checkpoint.folder, trust_remote_code=request.trust_remote_code)
        _refuse_naflex(checkpoint.name, config)
        processing = _preprocessing(checkpoint, request)
        if config.model_type in FAMILIES:
            FAMILIES[config.model_type].configure(config)
        model, report = _model_class(config).from_pretrained(
            checkpoint.folder,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            trust_remote_code=request.trust_remote_code,
        )
        _require_images(checkpoint.name, model)
        two_towers = hasattr(model, "get_image_features")
        if two_towers:
            _drop_text(model)
        missing = set(report["missing_keys"]) & set(model.state_dict())
        model.eval()
        embedding = choose_embedding(model, config, missing, _probe_batch(processing))
        _require_weights(checkpoint.name, missing)
        group, training_data = group_and_data(checkpoint.name, contrastive=two_towers)
        return network_encoder(
            Network(
                name=checkpoint.name,
                library="transformers",
                module=model,
                preprocess=processing.preprocess,
                preprocessing=processing.record,
                normalise=processing.normalise,
                forward=embedding.forward,
                pooling=embedding.words,
                revision=checkpoint.revision,
                group=group,
                training_data=training_data,
                details={
                    "architecture": type(model).__name__,
                    "model_type": config.model_type,
                    "attention": str(getattr(model.config, "_attn_implementation", None)),
                    "transformers": transformers.__version__,
                },
            ),
            place,
        )


def _model_class(config: Any) -> Any:
    """``AutoModel``, except that a CLIP-like vision tower saved with its projection keeps it."""
    import transformers

    names = getattr(config, "architectures", None) or []
    if names and names[0].endswith("VisionModelWithProjection") and hasattr(transformers, names[0]):
        return getattr(transformers, names[0])
    return transformers.AutoModel


def _refuse_naflex(name: str, config: Any) -> None:
    types = {config.model_type, getattr(getattr(config, "vision_config", None), "model_type", None)}
    if types & {"siglip2", "siglip2_vision_model"}:
        raise UsageError(
            f"{name} is a NaFlex SigLIP2 (patches and masks of many sizes), which has no one preprocessing; "
            "use a fixed-resolution SigLIP2, such as google/siglip2-base-patch16-256"
        )


def _require_images(name: str, model: Any) -> None:
    if not hasattr(model, "get_image_features") and getattr(model, "main_input_name", "") != "pixel_values":
        raise UsageError(f"{name} is not an image encoder: its input is {model.main_input_name}")


def _require_weights(name: str, missing: set[str]) -> None:
    """Refuse an embedding that would depend on random weights; an unused pooler and mask token may be random."""
    needed = sorted(key for key in missing if "pooler" not in key and not key.endswith("mask_token"))
    if needed:
        raise EncoderError(f"{name}: the checkpoint lacks {len(needed)} of its weights (such as {needed[0]})")


def _drop_text(model: nn.Module) -> None:
    for part in TEXT_PARTS:
        if hasattr(model, part):
            delattr(model, part)


@dataclass(frozen=True)
class _Processor:
    """A transformers image processor as a library preprocessing."""

    processor: Any

    def __call__(self, image: Image.Image) -> np.ndarray:
        pixels = self.processor(images=image, return_tensors="np")["pixel_values"]
        return np.asarray(pixels[0], dtype=np.float32)


def _preprocessing(checkpoint: Checkpoint, request: Request) -> Preprocessing:
    """The checkpoint's image processor, PIL backend if its class has one."""
    import transformers

    options = {"trust_remote_code": request.trust_remote_code}
    names = ("preprocessor_config.json", "processor_config.json")
    if not any((checkpoint.folder / name).is_file() for name in names):
        raise EncoderError(f"{checkpoint.name} has no preprocessor_config.json, so its preprocessing is unknown")
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(checkpoint.folder, backend="pil", **options)
    except (ValueError, ImportError, AttributeError, KeyError):  # no PIL class of it
        processor = transformers.AutoImageProcessor.from_pretrained(checkpoint.folder, **options)
    backend = str(getattr(processor, "backend", "unknown"))
    return verified(
        checkpoint.name,
        _Processor(processor),
        candidates_of_processor(processor),
        backend,
        processor=type(processor).__name__,
    )


def _probe_batch(processing: Preprocessing) -> torch.Tensor:
    batch = torch.from_numpy(processing.preprocess(probe_image()))[None]
    return processing.normalise(batch) if processing.normalise is not None else batch


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Loading reports and progress bars of the library stay out of the way; errors do not."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _one_sentence(name: str, trust_remote_code: bool) -> Iterator[None]:
    try:
        yield
    except CamtraceError:
        raise
    except Exception as error:  # the library raises OSError, ValueError, KeyError, RuntimeError, SafetensorError, ...
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if "trust_remote_code" in str(error) and not trust_remote_code:
            raise UsageError(
                f"{name} needs code from its repo to load; read it, then allow it with --trust-remote-code"
            ) from None
        raise EncoderError(f"{name}: transformers cannot load it ({type(error).__name__}: {reason})") from error
