"""Official files of weights, in the names and shapes of their authors: as timm loads them, or refused with a remedy.

The files here have random weights and few layers. Their names are those of the authors' repositories.
"""

import re

import numpy as np
import pytest
import timm
import torch

from benchmark.encoders import load_encoder
from builders.errors import CamtraceError

DIM, HEADS, DEPTH = 64, 2, 2


def numbers(*shape):
    return torch.randn(shape) * 0.1


def layer(name, *shape):
    return {f"{name}.weight": numbers(*shape), f"{name}.bias": numbers(shape[0])}


def norm(name, width=DIM):
    return {f"{name}.weight": 1 + numbers(width), f"{name}.bias": numbers(width)}


def block(name, width=DIM, scale=False, bias=True, mlp=("mlp.fc1", "mlp.fc2")):
    qkv = layer(f"{name}.attn.qkv", 3 * width, width)
    return {
        **norm(f"{name}.norm1", width),
        **(qkv if bias else {f"{name}.attn.qkv.weight": qkv[f"{name}.attn.qkv.weight"]}),
        **layer(f"{name}.attn.proj", width, width),
        **norm(f"{name}.norm2", width),
        **layer(f"{name}.{mlp[0]}", 4 * width, width),
        **layer(f"{name}.{mlp[1]}", width, 4 * width),
        **({f"{name}.ls{i}.gamma": numbers(width) for i in (1, 2)} if scale else {}),
    }


def vit(patch=16, tokens=197, scale=False, cls=True, blocks=None, **more):
    names = blocks or [f"blocks.{i}" for i in range(DEPTH)]
    return {
        **({"cls_token": numbers(1, 1, DIM)} if cls else {}),
        "pos_embed": numbers(1, tokens, DIM),
        **more,
        **layer("patch_embed.proj", DIM, 3, patch, patch),
        **{k: v for name in names for k, v in block(name, scale=scale).items()},
        **norm("norm"),
    }


def under(prefix, tensors):
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def dinov2(**more):
    return vit(14, 1 + 37 * 37, True, mask_token=numbers(1, DIM), **more)


def dinov2_chunks():
    """As the training saves its teacher: in each chunk the blocks keep their number."""
    backbone = vit(14, 1 + 37 * 37, True, blocks=["blocks.0.0", "blocks.1.1"], mask_token=numbers(1, DIM))
    head = {"dino_head.mlp.0.weight": numbers(8, DIM), "dino_head.last_layer.weight_v": numbers(8, 8)}
    return {"teacher": {**under("backbone.", backbone), **head}}


def dinov3():
    tensors = {
        "cls_token": numbers(1, 1, DIM),
        "storage_tokens": numbers(1, 4, DIM),
        "mask_token": numbers(1, DIM),
        **layer("patch_embed.proj", DIM, 3, 16, 16),
        "rope_embed.periods": numbers(8).abs(),
        **norm("norm"),
    }
    for i in range(DEPTH):
        tensors |= block(f"blocks.{i}", scale=True)
        tensors[f"blocks.{i}.attn.qkv.bias"][DIM : 2 * DIM] = 0  # the authors mask the bias of the keys
        tensors[f"blocks.{i}.attn.qkv.bias_mask"] = torch.cat([torch.ones(DIM), torch.zeros(DIM), torch.ones(DIM)])
    return tensors


def convnext():
    widths, tensors = (16, 32, 48, 64), {}
    tensors |= {**layer("downsample_layers.0.0", 16, 3, 4, 4), **norm("downsample_layers.0.1", 16)}
    for i, width in enumerate(widths):
        if i:
            tensors |= norm(f"downsample_layers.{i}.0", widths[i - 1])
            tensors |= layer(f"downsample_layers.{i}.1", width, widths[i - 1], 2, 2)
        name = f"stages.{i}.0"
        tensors |= {f"{name}.gamma": numbers(width), **layer(f"{name}.dwconv", width, 1, 7, 7)}
        tensors |= {**norm(f"{name}.norm", width), **layer(f"{name}.pwconv1", 4 * width, width)}
        tensors |= layer(f"{name}.pwconv2", width, 4 * width)
    return {"model": {**tensors, **norm("norm", 64), **layer("head", 10, 64)}}


def swin():
    tensors = {**layer("patch_embed.proj", 16, 3, 4, 4), **norm("patch_embed.norm", 16)}
    for i, width in enumerate((16, 32)):
        for j in range(2):
            name = f"layers.{i}.blocks.{j}"
            tensors |= block(name, width)
            tensors[f"{name}.attn.relative_position_bias_table"] = numbers(13 * 13, 2)
            tensors[f"{name}.attn.relative_position_index"] = torch.zeros(49, 49, dtype=torch.long)
            if j:
                tensors[f"{name}.attn_mask"] = torch.zeros((64, 16)[i], 49, 49)
    reduction = {"layers.0.downsample.reduction.weight": numbers(32, 64), **norm("layers.0.downsample.norm", 64)}
    return {"model": {**tensors, **reduction, **norm("norm", 32), **layer("head", 10, 32)}}


def sam():
    tensors = {"pos_embed": numbers(1, 14, 14, DIM), **layer("patch_embed.proj", DIM, 3, 16, 16)}
    for i in range(DEPTH):
        tensors |= block(f"blocks.{i}", mlp=("mlp.lin1", "mlp.lin2"))
        side = 14 if i == DEPTH - 1 else 7  # the last one looks at the whole picture
        tensors |= {f"blocks.{i}.attn.rel_pos_{axis}": numbers(2 * side - 1, DIM // HEADS) for axis in "hw"}
    tensors |= {"neck.0.weight": numbers(16, DIM, 1, 1), "neck.2.weight": numbers(16, 16, 3, 3)}
    tensors |= {**norm("neck.1", 16), **norm("neck.3", 16)}
    decoder = {"prompt_encoder.no_mask_embed.weight": numbers(1, 16), "mask_decoder.iou_token.weight": numbers(1, 16)}
    return {**under("image_encoder.", tensors), **decoder}


def ibot():
    student = under("module.backbone.", vit(masked_embed=numbers(1, DIM)))
    teacher = under("backbone.", vit(masked_embed=numbers(1, DIM)))
    return {"student": student, "teacher": {**teacher, "head.mlp.0.weight": numbers(8, DIM)}, "epoch": 3}


def ijepa():
    encoder, target = (under("module.", vit(14, 256, cls=False)) for _ in "ab")
    return {"encoder": encoder, "predictor": {"module.mask_token": numbers(1, 1, 8)}, "target_encoder": target}


def mae(decoder=False):
    more = {"mask_token": numbers(1, 1, 8), "decoder_pos_embed": numbers(1, 197, 8), **layer("decoder_embed", 8, DIM)}
    return {"model": {**vit(), **(more if decoder else {})}}


def moco():
    head = {"head.0.weight": numbers(8, DIM), "head.3.weight": numbers(8, 8), "head.6.weight": numbers(8, 8)}
    both = {**under("module.base_encoder.", {**vit(), **head}), **under("module.momentum_encoder.", {**vit(), **head})}
    return {"state_dict": {**both, "module.predictor.0.weight": numbers(8, 8)}, "arch": "vit_small", "epoch": 3}


def beit():
    tensors = {"cls_token": numbers(1, 1, DIM), **layer("patch_embed.proj", DIM, 3, 16, 16), **norm("fc_norm")}
    for i in range(DEPTH):
        name = f"blocks.{i}"
        tensors |= {**block(name, bias=False), f"{name}.gamma_1": numbers(DIM), f"{name}.gamma_2": numbers(DIM)}
        tensors |= {f"{name}.attn.q_bias": numbers(DIM), f"{name}.attn.v_bias": numbers(DIM)}
        tensors[f"{name}.attn.relative_position_bias_table"] = numbers(27 * 27 + 3, HEADS)
        tensors[f"{name}.attn.relative_position_index"] = torch.zeros(197, 197, dtype=torch.long)
    return {"model": {**tensors, **layer("head", 10, DIM)}}


SMALL = {"embed_dim": DIM, "depth": DEPTH, "num_heads": HEADS}

OFFICIAL = {
    "DINOv2": (dinov2, "vit_small_patch14_dinov2", SMALL, ""),
    "DINOv2 at 224": (dinov2, "vit_small_patch14_dinov2", {**SMALL, "img_size": 224}, ""),
    "DINOv2 with registers": (
        lambda: dinov2(register_tokens=numbers(1, 4, DIM)), "vit_small_patch14_reg4_dinov2", SMALL, "",
    ),
    "DINOv2, chunks of blocks": (dinov2_chunks, "vit_small_patch14_dinov2", SMALL, "teacher.backbone."),
    "DINOv3": (dinov3, "vit_small_patch16_dinov3_qkvb", SMALL, ""),
    "ConvNeXt": (convnext, "convnext_tiny", {"depths": [1, 1, 1, 1], "dims": [16, 32, 48, 64]}, "model."),
    "Swin": (
        swin, "swin_tiny_patch4_window7_224", {"embed_dim": 16, "depths": [2, 2], "num_heads": [2, 2]}, "model.",
    ),
    "SAM": (
        sam, "samvit_base_patch16",
        {**SMALL, "window_size": 7, "global_attn_indexes": [1], "neck_chans": 16, "img_size": 224}, "",
    ),
    "iBOT": (ibot, "vit_small_patch16_224.dino", SMALL, "teacher.backbone."),
    "I-JEPA": (ijepa, "vit_huge_patch14_gap_224.in1k_ijepa", SMALL, "target_encoder.module."),
    "MAE": (mae, "vit_base_patch16_224.mae", SMALL, "model."),
    "MoCo v3": (moco, "vit_small_patch16_224", SMALL, "state_dict.module.base_encoder."),
    "BEiT": (beit, "beit_base_patch16_224", SMALL, "model."),
}  # fmt: skip
"""Trainer -> file, architecture, its size, and where the network stands in the file."""


def flat(content, prefix=""):
    return {
        name: tensor
        for key, value in content.items()
        for name, tensor in (
            flat(value, f"{prefix}{key}.").items() if isinstance(value, dict) else [(f"{prefix}{key}", value)]
        )
    }


def by_timm(content, architecture, options, prefix):
    """The network as ``timm.create_model`` loads the file's part."""
    part = {k.removeprefix(prefix): v for k, v in flat(content).items() if k.startswith(prefix)}
    part = {re.sub(r"^blocks\.\d\.(\d)\.", r"blocks.\1.", k): v for k, v in part.items()}  # as the training reads them
    part = {k: v for k, v in part.items() if not k.startswith(("head.", "masked_embed"))}
    plain = timm.create_model(architecture, num_classes=0, **options)
    overlay = {**plain.pretrained_cfg, "state_dict": part, "source": "", "file": None, "num_classes": 0}
    return timm.create_model(
        architecture, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay, **options
    ).eval()


def spec_of(folder, content, architecture, options, more=""):
    torch.save(content, folder / "official.pth")
    query = "".join(f"&arch.{name}={str(value).replace(' ', '')}" for name, value in options.items())
    return f"weights:{folder}/official.pth?arch=timm:{architecture}{query}{more}"


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_file__as_timm_loads_it(tmp_path, name):
    write, architecture, options, prefix = OFFICIAL[name]
    torch.manual_seed(0)
    content = write()
    network = by_timm(content, architecture, options, prefix)
    several = {"iBOT", "I-JEPA", "MoCo v3"}
    spec = spec_of(tmp_path, content, architecture, options)
    if name in several:
        with pytest.raises(CamtraceError, match="prefix=") as refused:
            load_encoder(spec, runtime="torch", device="cpu")
        assert prefix.removeprefix("state_dict.").rstrip(".") in str(refused.value)
        spec += f"&prefix={prefix.rstrip('.')}"
    if name == "iBOT":
        with pytest.raises(CamtraceError, match="ignore=masked_embed"):
            load_encoder(spec, runtime="torch", device="cpu")
        spec += "&ignore=masked_embed"
    encoder = load_encoder(spec, runtime="torch", device="cpu")
    height, width = encoder.info.preprocessing["size"]
    views = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    mean, std = (np.float32(encoder.info.preprocessing[key]) for key in ("mean", "std"))
    with torch.inference_mode():
        pixels = torch.from_numpy((np.float32(views) / 255 - mean) / std).permute(0, 3, 1, 2)
        expected = network(pixels).numpy()
    found = encoder.embed(torch.from_numpy(views)).numpy()
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    assert np.abs(expected[0] - expected[1]).max() > 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("name", [name for name in OFFICIAL if name != "DINOv2 at 224"])
def test_official_file__without_one_tensor_is_refused(tmp_path, name):
    write, architecture, options, prefix = OFFICIAL[name]
    content = flat(write())
    [gone, *_] = [k for k in content if k.startswith(prefix) and re.search(r"(proj|conv1)\.weight$", k)]
    del content[gone]
    spec = spec_of(tmp_path, content, architecture, options, f"&prefix={prefix.rstrip('.')}" if prefix else "")
    with pytest.raises(CamtraceError):
        load_encoder(spec, runtime="torch", device="cpu")


def test_head_of_a_training__the_remedy_works_as_typed(tmp_path):
    content = mae(decoder=True)
    spec = spec_of(tmp_path, content, "vit_base_patch16_224.mae", SMALL)
    with pytest.raises(CamtraceError, match="&ignore=") as refused:
        load_encoder(spec, runtime="torch", device="cpu")
    encoder = load_encoder(spec + re.search(r"&ignore=\S+", str(refused.value))[0], runtime="torch", device="cpu")
    assert encoder.info.dimension == DIM
