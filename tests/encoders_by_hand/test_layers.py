"""Layers of networks against their modules called by hand: numbers, names and order, and patches alone in the means.

For each family its blocks or stages are named here, and a forward hook on each gives what it computes; nothing is read
from the library's lists of hidden states. How many tokens are no patches stands here too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import timm
import torch
from safetensors.torch import save_file

from benchmark.encoders import load_encoder, with_outputs
from tests.encoders_by_hand.case import randomise
from tests.encoders_by_hand.families import CASES
from tests.encoders_by_hand.trial import photos, relative_error, save

pytestmark = pytest.mark.filterwarnings("ignore")
BY_HAND = (pytest.mark.by_hand, pytest.mark.slow)

QUICK = ("deit classifier", "yolos", "vit of 3 x 5 patches", "segformer", "mobilenetv3_small_050", "ViT-B-32")
"""Families that the plain suite has too: tokens of other kinds, stages without an input among them, each library."""


def _marked(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=() if name in QUICK else BY_HAND) for name in names]


LIMIT = 1e-4
"""Largest error relative to the differences between photos."""


@dataclass(frozen=True)
class Layers:
    """The layers of one network, by hand."""

    modules: Sequence[str]
    """Names of its blocks or stages, in the order of the forward pass."""
    classes: int = 0
    """Class tokens, which come first."""
    others: int = 0
    """Register and distillation tokens, which come next."""
    last: int = 0
    """Detection tokens, at the end."""
    channels_last: bool = False
    """Of maps."""
    norm: str = ""
    """Module that the library applies to the last layer before it calls it a hidden state."""

    def outputs(self) -> list[str]:
        """Names of the outputs of ``--outputs layers``."""
        poolings = ["cls", "mean"] if self.classes else ["mean"]
        return [f"layers[{number}]:{pooling}" for number in range(len(self.modules)) for pooling in poolings]

    def vectors(self, model: torch.nn.Module, run: Callable[[], Any]) -> list[np.ndarray]:
        """What these outputs must be, of a forward pass."""
        states: dict[str, torch.Tensor] = {}
        hooks = [
            model.get_submodule(name).register_forward_hook(
                lambda _, inputs, output, name=name: states.__setitem__(name, _state(output).clone())
            )
            for name in self.modules
        ]
        with torch.no_grad():
            run()
            for hook in hooks:
                hook.remove()
            if self.norm:
                states[self.modules[-1]] = model.get_submodule(self.norm)(states[self.modules[-1]])
        return [vector.numpy() for name in self.modules for vector in self._pooled(states[name])]

    def _pooled(self, state: torch.Tensor) -> list[torch.Tensor]:
        if state.ndim == 4:
            return [state.mean((1, 2) if self.channels_last else (2, 3))]
        patches = state[:, self.classes + self.others : state.shape[1] - self.last].mean(1)
        return [state[:, : self.classes].mean(1), patches] if self.classes else [patches]


def _state(output: Any) -> torch.Tensor:
    return output if isinstance(output, torch.Tensor) else _state(output[0])


def _numbered(before: str, count: int, first: int = 0) -> list[str]:
    return [f"{before}.{number}" for number in range(first, first + count)]


TRANSFORMERS = {
    "vit classifier": Layers(_numbered("vit.layers", 2), 1),
    "vit_mae": Layers(_numbered("layers", 2), 1),
    "vit_msn": Layers(_numbered("layers", 2), 1),
    "deit classifier": Layers(_numbered("deit.layers", 2), 1, 1),
    "beit": Layers(_numbered("layers", 2), 1),
    "dinov2 classifier": Layers(_numbered("dinov2.encoder.layer", 2), 1),
    "dinov2_with_registers": Layers(_numbered("encoder.layer", 2), 1, 4),
    "dinov3_vit": Layers(_numbered("model.layer", 2), 1, 2),
    "dinov3_convnext": Layers(_numbered("model.stages", 4)),
    "vit of 3 x 5 patches": Layers(_numbered("layers", 2), 1),
    "siglip": Layers(_numbered("vision_model.encoder.layers", 2)),
    "clip": Layers(_numbered("vision_model.encoder.layers", 2), 1),
    "llava": Layers(_numbered("model.vision_tower.encoder.layers", 2), 1),
    "yolos": Layers(_numbered("encoder.layer", 2), 1, 0, 100),
    "radio": Layers(_numbered("encoder.layer", 2), 3, 7),
    "pixio": Layers(_numbered("layers", 2), 8),
    "tipsv2": Layers(_numbered("vision_model.encoder.layer", 2), 1, 1),
    "swin": Layers(_numbered("encoder.layers", 2)),
    "convnext": Layers(_numbered("encoder.stages", 4)),
    "resnet classifier": Layers(_numbered("resnet.encoder.stages", 4)),
    "mobilenet_v1 classifier": Layers(_numbered("mobilenet_v1.layer", 26)),
    "mobilenet_v2": Layers(_numbered("layer", 16)),
    "mobilevit": Layers(_numbered("encoder.layer", 5)),
    "efficientnet": Layers(_numbered("encoder.blocks", 8)),
    "segformer": Layers(_numbered("stages", 4)),
    "pvt_v2": Layers(_numbered("encoder.layers", 4)),
    "poolformer classifier": Layers([f"poolformer.encoder.block.{i}.0" for i in range(4)]),
    "cvt classifier": Layers(_numbered("cvt.encoder.stages", 3)),
    "hiera": Layers(_numbered("encoder.stages", 3)),
    "sam2": Layers(_numbered("vision_encoder.backbone.blocks", 4), channels_last=True),
    "sam": Layers(_numbered("vision_encoder.layers", 2), channels_last=True),
}
"""Cases of the table -> their layers."""


def _check(encoder: Any, layers: Layers, model: torch.nn.Module, call: Callable[[torch.Tensor], Any]) -> None:
    layered = with_outputs(encoder, ["layers"])
    assert [output.name for output in layered.outputs] == layers.outputs()
    views = torch.stack([torch.from_numpy(encoder.preprocess(photo)) for photo in photos()])
    pixels = encoder.embed.normalise(views) if encoder.embed.normalise is not None else views
    expected = layers.vectors(model, lambda: call(pixels))
    embeddings = layered.together.embed(views).numpy()
    columns = layered.columns()
    assert {name: embeddings[:, columns[name]].shape for name in layers.outputs()} == {
        name: vector.shape for name, vector in zip(layers.outputs(), expected, strict=True)
    }
    errors = {
        name: relative_error(embeddings[:, columns[name]], vector)
        for name, vector in zip(layers.outputs(), expected, strict=True)
    }
    assert max(errors.values()) < LIMIT, errors
    assert min(np.abs(vector - vector.mean(0)).max() for vector in expected) > 1e-6


@pytest.mark.parametrize("name", _marked(TRANSFORMERS))
def test_transformers__layers_are_what_its_modules_give(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    save(case, tmp_path)
    encoder = load_encoder(
        f"local-dir:{tmp_path}" + (f"?size={case.square}" if case.square else ""), device="cpu", runtime="torch"
    )
    model = type(case.build()).from_pretrained(tmp_path, dtype=torch.float32).eval()
    layers = TRANSFORMERS[name]
    if "last_hidden_state" in with_outputs(encoder, ["layers[-1]:mean"]).outputs[0].read:
        layers = replace(layers, norm=NORMS.get(name, ""))
    if name == "vit_mae":  # no patch masked, in their order
        model.config.mask_ratio = 0.0
        _check(encoder, layers, model, lambda x: model(x, noise=torch.arange(16).float().expand(len(x), -1)))
        return
    towers = {"llava": "model.vision_tower", "sam2": "vision_encoder", "sam": "vision_encoder"}
    towers |= dict.fromkeys(("clip", "siglip", "tipsv2"), "vision_model")
    _check(encoder, layers, model, model.get_submodule(towers.get(name, "")))


NORMS: dict[str, str] = {}
"""Cases whose last hidden state is normed, and by which module."""

SMALL = {"img_size": 64, "depth": 2}
TIMM = {
    "vit_tiny_patch16_224": (SMALL, Layers(_numbered("blocks", 2), 1)),
    "deit_tiny_distilled_patch16_224": (SMALL, Layers(_numbered("blocks", 2), 1, 1)),
    "vit_small_patch14_reg4_dinov2": ({"img_size": 56, "depth": 2}, Layers(_numbered("blocks", 2), 1, 4)),
    "vit_small_patch16_dinov3": (SMALL, Layers(_numbered("blocks", 2), 1, 4)),
    "eva02_tiny_patch14_224": ({"img_size": 56, "depth": 2}, Layers(_numbered("blocks", 2), 1)),
    "vit_base_patch16_siglip_224": (SMALL, Layers(_numbered("blocks", 2))),
    "vit_pe_core_tiny_patch16_384": (SMALL, Layers(_numbered("blocks", 2), 1)),
    "swin_tiny_patch4_window7_224": (
        {"img_size": 224, "depths": (1, 1, 1, 1), "embed_dim": 24},
        Layers(_numbered("layers", 4), channels_last=True),
    ),
    "convnext_atto": ({}, Layers(_numbered("stages", 4))),
    "resnet18": ({}, Layers(["act1", *_numbered("layer", 4, 1)])),
    "mobilenetv3_small_050": ({}, Layers(["bn1", "blocks.0", "blocks.1", "blocks.3", "blocks.5"])),
}
"""Names of timm -> arguments, and their layers."""


@pytest.mark.parametrize("name", _marked(TIMM))
def test_timm__layers_are_what_its_modules_give(name: str, tmp_path: Path) -> None:
    arguments, layers = TIMM[name]
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, **arguments).eval()
    randomise(model)
    timm.models.save_for_hf(model, tmp_path, model_args=arguments)
    encoder = load_encoder(f"local-dir:{tmp_path}", device="cpu", runtime="torch")
    layers = replace(layers, modules=[module.replace("layer.", "layer") for module in layers.modules])
    _check(encoder, layers, model, model)


@pytest.mark.parametrize("name", _marked(["ViT-B-32", "RN50"]))
def test_open_clip__layers_are_what_its_modules_give(name: str, tmp_path: Path) -> None:
    config = open_clip.get_model_config(name)
    config["vision_cfg"] |= {"width": 64, "layers": 3, "head_width": 32} if name != "RN50" else {"width": 16}
    config["text_cfg"] = {"context_length": 8, "vocab_size": 99, "width": 32, "heads": 2, "layers": 1}
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    settings = {"model_cfg": config, "preprocess_cfg": {"mean": list(mean), "std": list(std)}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(settings))
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{tmp_path}", load_weights=False).eval()
    weights = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(weights, tmp_path / "open_clip_model.safetensors")
    encoder = load_encoder(f"local-dir:{tmp_path}", device="cpu", runtime="torch")
    blocks = Layers([f"visual.transformer.resblocks.{i}" for i in range(3)], 1)
    stages = Layers(["visual.act3", *(f"visual.layer{i}" for i in range(1, 5))])
    _check(encoder, stages if name == "RN50" else blocks, model, model.encode_image)
