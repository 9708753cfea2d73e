"""Files of weights in the names and shapes of their authors' repositories, with random numbers and few layers."""

import torch

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
