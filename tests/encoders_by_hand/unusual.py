"""Unusual checkpoints: what trainings, quantisation and other libraries leave, in the form of ``trainers.py``.

Each equals the library's own call, or is refused in one sentence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
import transformers as tf
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf
from torch import nn

from tests.encoders_by_hand.case import CNN, VIT, bit_processor, clip_processor, convnext_processor, randomise
from tests.encoders_by_hand.other_frameworks import OTHER_FRAMEWORKS
from tests.encoders_by_hand.reference import (
    ARGUMENTS,
    VIT_OPTIONS,
    Embed,
    Trained,
    Write,
    by_module,
    by_timm,
    by_vit,
    hf_network,
    timm_network,
    with_statistics,
)
from tests.encoders_by_hand.trial import _processor_of

Tensors = Mapping[str, torch.Tensor]


def by_hand(folder: Path, model: nn.Module, read: Callable[[Any, torch.Tensor], torch.Tensor]) -> Embed:
    """A model of transformers in memory, through the processor of a folder."""
    processor = _processor_of(folder)

    def embed(pictures: list[Image.Image]) -> np.ndarray:
        with torch.no_grad():
            pixels = torch.cat([processor(images=p, return_tensors="pt")["pixel_values"] for p in pictures])
            return read(model, pixels).numpy()

    return embed


def _vit_folder(folder: Path, network: nn.Module | None = None) -> nn.Module:
    """A checkpoint of a small ViT classifier; the network."""
    network = network or hf_network()
    network.save_pretrained(folder)
    tf.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return network


def _restored(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    """Change the weights of a folder."""
    from safetensors.torch import load_file

    file = folder / "model.safetensors"
    save_file({k: v.contiguous() for k, v in change(load_file(file)).items()}, file, {"format": "pt"})


def _shard_absent(folder: Path) -> Trained:
    network = hf_network()
    network.save_pretrained(folder, max_shard_size="30KB")
    tf.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    sorted(folder.glob("model-*.safetensors"))[1].unlink()
    return Trained(str(folder), None, "1 of its 3 parts are missing (model-00002-of-00003.safetensors)")


def _tied(folder: Path) -> Trained:
    """The language model's head alone is stored, of which its table of words is a copy."""
    text = {"model_type": "llama", "hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 1, "vocab_size": 99}
    text |= {"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True}
    config = tf.LlavaConfig(
        vision_config=tf.CLIPVisionConfig(**VIT), text_config=text, image_token_index=98, tie_word_embeddings=True
    )
    network = tf.LlavaForConditionalGeneration(config)
    randomise(network)
    network.eval().save_pretrained(folder)
    clip_processor().save_pretrained(folder)
    table = "embed_tokens.weight"
    _restored(folder, lambda t: {"lm_head.weight" if k.endswith(table) else k: v for k, v in t.items()})
    return Trained(str(folder), by_hand(folder, network, lambda m, x: m.model.vision_tower(x).pooler_output))


def _buffers_renamed(folder: Path) -> Trained:
    network = tf.ResNetModel(tf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1]))
    randomise(network)
    network.save_pretrained(folder)
    bit_processor().save_pretrained(folder)
    _restored(folder, lambda t: {k.replace("running_mean", "moving_mean"): v for k, v in t.items()})
    return Trained(str(folder), None, "lacks 8 of its weights")


def _adapted(base: nn.Module, folder: Path, make: Callable[[Any], Any]) -> nn.Module:
    """A base with an adapter by PEFT, whose own weights alone are drawn; saved."""
    peft = pytest.importorskip("peft")
    adapted = peft.get_peft_model(base, make(peft))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    adapted.save_pretrained(folder)
    return adapted.eval()


def _adapter(folder: Path, make: Callable[[Any], Any]) -> Trained:
    _vit_folder(folder / "base")
    base = tf.ViTForImageClassification.from_pretrained(folder / "base")
    adapted = _adapted(base, folder / "adapter", make)
    return Trained(str(folder / "adapter"), by_vit(adapted.get_base_model()), "adapter, merged into base")


def _lora_of_convolutions(folder: Path) -> Trained:
    network = tf.ConvNextModel(tf.ConvNextConfig(**CNN))
    randomise(network)
    network.save_pretrained(folder / "base")
    convnext_processor().save_pretrained(folder / "base")
    base = tf.ConvNextModel.from_pretrained(folder / "base")
    targets = r".*(downsampling_layer\.1|pwconv1)"
    adapted = _adapted(base, folder / "adapter", lambda peft: peft.LoraConfig(r=2, target_modules=targets))
    pooler = lambda m, x: m(x).pooler_output  # noqa: E731
    return Trained(str(folder / "adapter"), by_hand(folder / "base", adapted.get_base_model(), pooler))


def _lora_with_norms(folder: Path) -> Trained:
    modules = {"target_modules": ["q_proj"], "modules_to_save": ["layernorm", "classifier"]}
    return _adapter(folder, lambda peft: peft.LoraConfig(r=2, lora_alpha=4, **modules))


def _ia3(folder: Path) -> Trained:
    return _adapter(folder, lambda peft: peft.IA3Config(target_modules=["k_proj", "fc1"], feedforward_modules=["fc1"]))


def _loha(folder: Path) -> Trained:
    return _adapter(folder, lambda peft: peft.LoHaConfig(r=2, alpha=4, target_modules=["v_proj"]))


def _lora_with_biases(folder: Path) -> Trained:
    return _adapter(folder, lambda peft: peft.LoraConfig(r=2, target_modules=["fc2"], bias="all"))


def _weights(folder: Path, content: Any, query: str = "", name: str = "w.pth") -> str:
    torch.save(content, folder / name)
    return f"weights:{folder}/{name}?arch=timm:test_resnet{query}"


def _averaged_under_another_name(folder: Path) -> Trained:
    network, other = timm_network(), timm_network().state_dict()
    content = {"params": {k: v + 1 for k, v in other.items()}, "params_ema": network.state_dict()}
    return Trained(_weights(folder, content, "&ema=true"), by_timm(network), "names without 'params_ema.'")


def _two_kinds_of_average(folder: Path) -> Trained:
    state = timm_network().state_dict()
    content = {"ema_net": state, "swa_model": {k: v + 1 for k, v in state.items()}}
    return Trained(_weights(folder, content), None, "averaged weights (EMA) alone: add ema=true")


def _half(folder: Path) -> Trained:
    network = timm_network().bfloat16().float()
    save_file({k: v.bfloat16() if v.is_floating_point() else v for k, v in network.state_dict().items()},
              folder / "w.safetensors")  # fmt: skip
    return Trained(f"weights:{folder}/w.safetensors?arch=timm:test_resnet", by_timm(network))


def _half_by_transformers(folder: Path) -> Trained:
    network = hf_network().half().float()
    _vit_folder(folder, hf_network().half())
    return Trained(str(folder), by_vit(network))


def _eight_bits(tensor: torch.Tensor) -> torch.Tensor:
    return (tensor / tensor.abs().max() * 127).round().to(torch.int8) if tensor.ndim > 1 else tensor


def _integers(folder: Path) -> Trained:
    state = {k: _eight_bits(v) for k, v in timm_network().state_dict().items()}
    return Trained(_weights(folder, state), None, "integers")


def _integers_by_transformers(folder: Path) -> Trained:
    _vit_folder(folder)
    _restored(folder, lambda t: {k: _eight_bits(v) for k, v in t.items()})
    return Trained(str(folder), None, "integers")


def _quantised(folder: Path, method: Mapping[str, Any]) -> Trained:
    _vit_folder(folder)
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "quantization_config": dict(method)}))
    return Trained(str(folder), None, "quant")


def _bitsandbytes(folder: Path) -> Trained:
    return _quantised(folder, {"quant_method": "bitsandbytes", "load_in_8bit": True})


def _gptq(folder: Path) -> Trained:
    return _quantised(folder, {"quant_method": "gptq", "bits": 4})


def _quantised_by_torch(folder: Path) -> Trained:
    network = timm_network("vit_tiny_patch16_224", **VIT_OPTIONS)
    quantised = torch.ao.quantization.quantize_dynamic(network, {nn.Linear}, dtype=torch.qint8)
    torch.save(quantised.state_dict(), folder / "w.pth")
    return Trained(
        f"weights:{folder}/w.pth?arch=timm:vit_tiny_patch16_224&{ARGUMENTS}&size=32", None, "quantised by torch"
    )


def _timm_folder(folder: Path, name: str = "test_resnet", **options: Any) -> nn.Module:
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False, **options).eval()
    randomise(network)
    save_for_hf(network, folder, model_args={k: v for k, v in options.items() if k != "num_classes"})
    return network


def _classes(folder: Path) -> Trained:
    return Trained(str(folder), by_timm(_timm_folder(folder, num_classes=37)))


def _one_channel(folder: Path) -> Trained:
    _timm_folder(folder, in_chans=1)
    return Trained(str(folder), None, "reads pictures of 1 channel")


def _map_pooling(folder: Path) -> Trained:
    options = {**VIT_OPTIONS, "class_token": False}
    network = timm_network("vit_base_patch16_siglip_224", **options)
    torch.save(network.state_dict(), folder / "w.pth")
    arguments = f"{ARGUMENTS}&arch.class_token=false"
    spec = f"weights:{folder}/w.pth?arch=timm:vit_base_patch16_siglip_224&{arguments}&size=32"
    return Trained(spec, by_timm(network, img_size=32))


def _unknown_to_timm(folder: Path) -> Trained:
    _timm_folder(folder)
    file = folder / "config.json"
    file.write_text(file.read_text().replace("test_resnet", "resnet_of_tomorrow"))
    return Trained(str(folder), None, "unknown timm architecture of")


def _another_resolution(folder: Path) -> Trained:
    network = timm.create_model("vit_tiny_patch16_224", **{**VIT_OPTIONS, "img_size": 48})
    torch.save(network.state_dict(), folder / "w.pth")
    spec = f"weights:{folder}/w.pth?arch=timm:vit_tiny_patch16_224&{ARGUMENTS}&size=32"
    smaller = timm.create_model("vit_tiny_patch16_224", num_classes=1000, **VIT_OPTIONS)
    timm.models.load_checkpoint(
        smaller, str(folder / "w.pth"), filter_fn=timm.models.vision_transformer.checkpoint_filter_fn
    )
    return Trained(spec, by_timm(smaller, img_size=32), "pos_embed is 1 x 37 x 32 instead of 1 x 17 x 32")


def _names_of_transformers_4(folder: Path) -> Trained:
    network = _vit_folder(folder / "base")
    names = load_file(folder / "base" / "model.safetensors")
    assert "vit.encoder.layer.0.attention.attention.key.weight" in names
    torch.save({f"module.{name}": tensor for name, tensor in names.items()}, folder / "w.pth")
    spec = f"weights:{folder}/w.pth?arch=transformers:{folder}/base"
    return Trained(spec, by_vit(network), "names without 'module.'")


def _parallel_folder(folder: Path) -> Trained:
    network = _vit_folder(folder)
    names = load_file(folder / "model.safetensors")
    wrapped = {f"module._orig_mod.{name}": tensor for name, tensor in names.items()}
    save_file(wrapped, folder / "model.safetensors", {"format": "pt"})
    return Trained(str(folder), by_vit(network))


def _another_size(folder: Path) -> Trained:
    network = _vit_folder(folder)
    tf.ViTImageProcessor(size={"height": 48, "width": 48}).save_pretrained(folder / "48")
    embed = by_hand(
        folder / "48", network.vit, lambda m, x: m(x, interpolate_pos_encoding=True).last_hidden_state[:, 0]
    )
    return Trained(f"{folder}?size=48", embed)


def _sequential(folder: Path, wrap: Callable[[nn.Module], nn.Module]) -> Trained:
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=7)
    randomise(network)
    torch.save(wrap(nn.Sequential(*list(with_statistics(network).children())[:-2])).state_dict(), folder / "w.pth")
    network.fc = nn.Identity()
    transform = torchvision.transforms._presets.ImageClassification(crop_size=224)
    return Trained(f"weights:{folder}/w.pth?arch=torchvision:resnet18", by_module(network, transform), "not used: ")


def _lightly(folder: Path) -> Trained:
    return _sequential(folder, lambda body: nn.ModuleDict({"backbone": body, "projection_head": nn.Linear(512, 8)}))


def _fastai(folder: Path) -> Trained:
    return _sequential(folder, lambda body: nn.Sequential(body, nn.Sequential(nn.Flatten(), nn.BatchNorm1d(1024))))


def _processor(folder: Path, processor: Any) -> Trained:
    network = tf.CLIPVisionModel(tf.CLIPVisionConfig(**VIT))
    randomise(network)
    network.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return Trained(str(folder), by_hand(folder, network, lambda m, x: m(x).pooler_output))


def _unrescaled(folder: Path) -> Trained:
    processor = tf.CLIPImageProcessor(
        size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}, do_rescale=False, image_mean=[127.0] * 3,
        image_std=[60.0] * 3,
    )  # fmt: skip
    return _processor(folder, processor)


def _crop_that_pads(folder: Path) -> Trained:
    return _processor(
        folder, tf.CLIPImageProcessor(size={"shortest_edge": 24}, crop_size={"height": 32, "width": 32}, resample=0)
    )


def _unnormalised(folder: Path) -> Trained:
    return _processor(folder, tf.ViTImageProcessor(size={"height": 32, "width": 32}, do_normalize=False, resample=3))


def _without_resize(folder: Path) -> Trained:
    made = _processor(folder, tf.ViTImageProcessor(do_resize=False))
    return Trained(made.spec, None, "?size=")


def _metadata(folder: Path) -> Trained:
    save_file(timm_network().state_dict(), folder / "w.safetensors", {"format": "pt", "arch": "test_resnet"})
    return Trained(f"{folder}/w.safetensors", None, "(it says 'test_resnet')")


def _lightning_backbone(folder: Path) -> Trained:
    network = timm_network()
    state = {f"model.backbone.{k}": v for k, v in network.state_dict().items()}
    state |= {"model.neck.weight": torch.ones(3, 3), "criterion.weight": torch.ones(7)}
    torch.save({"state_dict": state, "pytorch-lightning_version": "2.6.0", "hparams_name": "x"}, folder / "last.ckpt")
    spec = f"weights:{folder}/last.ckpt?arch=timm:test_resnet"
    return Trained(spec, by_timm(network), "names without 'state_dict.model.backbone.'")


def _sentence_transformers(folder: Path, *more: str) -> Trained:
    """As SentenceTransformer.save writes it: the CLIP model, then further modules."""
    network = tf.CLIPModel(tf.CLIPConfig(vision_config=VIT, text_config={"hidden_size": 32, "vocab_size": 99}))
    randomise(network)
    network.save_pretrained(folder / "0_CLIPModel")
    clip_processor().save_pretrained(folder / "0_CLIPModel")
    kinds = ["CLIPModel", *more]
    modules = [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}", "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    features = lambda m, x: m.get_image_features(x).pooler_output  # noqa: E731
    return Trained(str(folder), by_hand(folder / "0_CLIPModel", network.eval(), features))


def _dense(folder: Path) -> Trained:
    return Trained(_sentence_transformers(folder, "Dense").spec, None, "SentenceTransformer(")


def _two_formats(folder: Path) -> Trained:
    network = _vit_folder(folder)
    torch.save({k: v + 1 for k, v in network.state_dict().items()}, folder / "pytorch_model.bin")
    return Trained(str(folder), by_vit(network))


UNUSUAL: dict[str, Write] = {
    "a shard of transformers is absent": _shard_absent,
    "tied weights under the other name": _tied,
    "buffers renamed": _buffers_renamed,
    "LoRA of convolutions": _lora_of_convolutions,
    "LoRA with norms to save": _lora_with_norms,
    "LoRA with biases": _lora_with_biases,
    "IA3": _ia3,
    "LoHa": _loha,
    "averaged weights under another name": _averaged_under_another_name,
    "two kinds of averages": _two_kinds_of_average,
    "bfloat16": _half,
    "float16 by transformers": _half_by_transformers,
    "8-bit integers": _integers,
    "8-bit integers by transformers": _integers_by_transformers,
    "bitsandbytes": _bitsandbytes,
    "GPTQ": _gptq,
    "quantised by torch": _quantised_by_torch,
    "timm: 37 classes": _classes,
    "timm: one channel": _one_channel,
    "timm: attention pooling": _map_pooling,
    "timm: an architecture of tomorrow": _unknown_to_timm,
    "timm: another resolution": _another_resolution,
    "state dict with the names of transformers 4": _names_of_transformers_4,
    "folder of a compiled, parallel network": _parallel_folder,
    "?size= of a ViT": _another_size,
    "lightly": _lightly,
    "fastai": _fastai,
    "processor without rescaling": _unrescaled,
    "processor whose crop pads": _crop_that_pads,
    "processor without normalisation": _unnormalised,
    "processor without resize": _without_resize,
    "safetensors with a name in its metadata": _metadata,
    "Lightning: model.backbone": _lightning_backbone,
    "sentence-transformers": _sentence_transformers,
    "sentence-transformers with a dense layer": _dense,
    "two formats that differ": _two_formats,
    **OTHER_FRAMEWORKS,
}
"""By name."""
