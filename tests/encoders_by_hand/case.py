"""What one family is tried with, and the sizes that its tiny model is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import transformers as tf

TINY = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
VIT = {**TINY, "image_size": 32, "patch_size": 8}
TEXT = {**TINY, "vocab_size": 99, "max_position_embeddings": 20}
DECODER = {**TINY, "num_key_value_heads": 2, "vocab_size": 99, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
CNN = {"hidden_sizes": [8, 16, 16, 24], "depths": [1, 1, 1, 1]}
NAFLEX = {**TINY, "patch_size": 8, "num_patches": 16}
CLASSES = {"num_labels": 7}

ByHand = Callable[[Any, dict[str, Any]], torch.Tensor]
"""(model, what the processor made of one photo) -> [1, dimension]."""


@dataclass(frozen=True)
class Case:
    """A tiny checkpoint of one family, and its embedding by hand."""

    build: Callable[[], Any]
    """The model as it is saved."""
    processor: Callable[[], Any] | None
    """None where the checkpoint has none."""
    by_hand: ByHand | None
    """By the library's own classes; None where the family is refused."""
    words: str
    """What the recorded pooling says, or the refusal."""
    reread: Any = None
    """Class that the reference is read with, where it is not the one that was saved."""
    head: Callable[[Any, torch.Tensor], torch.Tensor] | None = None
    """The task head on our embedding: must be the model's own logits."""
    logits: Callable[[Any, dict[str, Any]], torch.Tensor] = field(default=lambda model, x: model(**x).logits)
    """The model's own answer that ``head`` is compared with."""
    options: str = ""
    """What stands after ``?`` in the spec."""
    processor_options: dict[str, Any] = field(default_factory=dict)
    """Arguments of the processor when it is called by hand."""
    square: int | None = None
    """Side of the square that each photo becomes, with ``?size=``."""
    before: bool = False
    """True if photos become squares before the processor, which cannot make them."""


def randomise(model: Any) -> None:
    """Weights that tell apart what initial ones would not (zeros in biases, ones in norms), and let a photo through."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scales = parameter.ndim < 2 and "bias" not in name
            gain = 2.0 if parameter.ndim == 4 else 1.0  # ReLU halves what convolutions hand on
            if not parameter.numel():  # of a width of zero
                continue
            spread = 0.2 if parameter.ndim < 2 else (gain * len(parameter) / parameter.numel()) ** 0.5
            torch.nn.init.normal_(parameter, mean=float(scales), std=spread)


def clip_processor() -> Any:
    return tf.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


def vit_processor() -> Any:
    return tf.ViTImageProcessor(size={"height": 32, "width": 32})


def bit_processor() -> Any:
    return tf.BitImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32})


def convnext_processor() -> Any:
    return tf.ConvNextImageProcessor(size={"shortest_edge": 64}, crop_pct=0.875)


def siglip_processor() -> Any:
    return tf.SiglipImageProcessor(size={"height": 32, "width": 32})


def square_processor(side: int) -> Callable[[], Any]:
    return lambda: tf.ViTImageProcessor(size={"height": side, "width": side})


def of_pixels(by_hand: Callable[[Any, torch.Tensor], torch.Tensor]) -> ByHand:
    """By hand of a model that takes the picture alone."""
    return lambda model, inputs: by_hand(model, inputs["pixel_values"])


def class_token(model: Any, x: torch.Tensor) -> torch.Tensor:
    return model(x).last_hidden_state[:, 0]


def mean_token(model: Any, x: torch.Tensor) -> torch.Tensor:
    return model(x).last_hidden_state.mean(1)


def mean_position(model: Any, x: torch.Tensor) -> torch.Tensor:
    return model(x).last_hidden_state.mean((2, 3))


def plain(
    build: Callable[[], Any],
    by_hand: Callable[[Any, torch.Tensor], torch.Tensor],
    words: str,
    processor: Callable[[], Any] = vit_processor,
    **more: Any,
) -> Case:
    """A case of a model that takes pictures of one size alone."""
    return Case(build, processor, of_pixels(by_hand), words, **more)


def classifier(
    build: Callable[[], Any],
    by_hand: Callable[[Any, torch.Tensor], torch.Tensor],
    words: str,
    head: Callable[[Any, torch.Tensor], torch.Tensor] = lambda model, e: model.classifier(e),
    processor: Callable[[], Any] = vit_processor,
    **more: Any,
) -> Case:
    """The same of a model with a classifier, whose head our embedding is handed to."""
    return Case(build, processor, of_pixels(by_hand), words, head=head, **more)


def tower(
    build: Callable[[], Any], by_hand: Callable[[Any, torch.Tensor], torch.Tensor], words: str, **more: Any
) -> Case:
    """The same of a model of which one tower sees the picture."""
    return Case(build, more.pop("processor", clip_processor), of_pixels(by_hand), words, **more)
