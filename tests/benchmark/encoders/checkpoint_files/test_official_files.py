"""Official files of weights, in the names and shapes of their authors: as timm loads them, or refused with a remedy."""

import re

import numpy as np
import pytest
import timm
import torch

from benchmark.encoders import load_encoder
from builders.errors import CamtraceError
from tests.benchmark.encoders.checkpoint_files.official import (
    DEPTH,
    DIM,
    HEADS,
    beit,
    convnext,
    dinov2,
    dinov2_chunks,
    dinov3,
    ibot,
    ijepa,
    mae,
    moco,
    numbers,
    sam,
    swin,
)

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


@pytest.mark.parametrize("name", ["DINOv2", "iBOT", "MoCo v3", "I-JEPA"])
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


@pytest.mark.parametrize("name", ["DINOv2", "MoCo v3"])
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


def test_biases_that_timm_would_leave_out__are_refused(tmp_path):
    """timm has each DINOv3 with biases of the queries and without; of the latter it drops those of the file."""
    spec = spec_of(tmp_path, dinov3(), "vit_small_patch16_dinov3", SMALL)
    with pytest.raises(CamtraceError, match=r"qkv\.bias"):
        load_encoder(spec, runtime="torch", device="cpu")
