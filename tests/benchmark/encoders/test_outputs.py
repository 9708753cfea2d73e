"""Named outputs: layers against each library's call, poolings by hand, and ``final`` to the bit."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
from torch import nn

from benchmark.encoders import Encoder, as_encoder, load_encoder, photo_places, with_outputs
from benchmark.encoders.layers.outputs import parse_output
from benchmark.encoders.layers.pooling import STEPS, Layer, pool, region_mask
from benchmark.encoders.loaders.library_model import ImageTower, pooled_output, without_classifier
from benchmark.encoders.network import Network, Normalisation, call_module, network_encoder, probe_image
from benchmark.encoders.placement import Placement
from builders.errors import EncoderError, UsageError
from tests.encoders_by_hand.case import Case
from tests.encoders_by_hand.families import CASES
from tests.encoders_by_hand.trial import save

DOUBLE = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class _Square:
    """A picture as pixels of one side."""

    def __init__(self, side: int) -> None:
        self.side = side

    def __call__(self, image: Any) -> np.ndarray:
        return np.asarray(image.resize((self.side, self.side)))


def _encoder(module: nn.Module, side: int, library: str, forward: Any) -> Encoder:
    network = Network(
        name=f"{library}:tiny",
        library=library,
        module=module,
        preprocess=_Square(side),
        preprocessing={},
        normalise=DOUBLE,
        forward=forward,
        pooling="",
        stateless=True,
    )
    return network_encoder(network, Placement("cpu", "float32"))


def _batch(encoder: Encoder, views: int = 3) -> torch.Tensor:
    sizes = ((320, 240), (200, 300), (250, 250), (90, 60))[:views]
    return torch.from_numpy(np.stack([encoder.preprocess(probe_image(*size)) for size in sizes]))


def _pixels(encoder: Encoder) -> torch.Tensor:
    return DOUBLE(_batch(encoder)).contiguous(memory_format=torch.channels_last)


def _split(encoder: Encoder, outputs: list[str]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """``final``, and the other outputs by name, of one pass."""
    layered = with_outputs(encoder, outputs)
    together = layered.together.embed(_batch(encoder))
    assert together.shape[1] == layered.together.info.dimension
    final = together[:, : encoder.info.dimension]
    assert torch.equal(final, layered.encoder.embed(_batch(encoder)))  # to the bit
    return final, {name: together[:, columns] for name, columns in layered.columns().items()}


SMALL = {"img_size": 64}
FAMILIES = {  # arguments, side, layers, tokens that are no patches
    "deit_tiny_distilled_patch16_224": (SMALL, 64, 12, 2),
    "vit_small_patch14_reg4_dinov2": ({"img_size": 56, "depth": 3}, 56, 3, 5),
    "vit_small_patch16_dinov3": ({**SMALL, "depth": 3}, 64, 3, 5),
    "naflexvit_base_patch16_gap": ({"depth": 2}, 64, 2, 4),
    "hiera_tiny_224": ({"stages": (1, 1, 1, 1), "embed_dim": 24}, 224, 4, 0),
    "resnet18": ({}, 64, 5, 0),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_timm__layers_are_those_of_forward_intermediates(name: str) -> None:
    arguments, side, layers, others = FAMILIES[name]
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, num_classes=0, **arguments).eval()
    encoder = _encoder(model, side, "timm", pooled_output)
    _, outputs = _split(encoder, ["layers", "layers:max"])
    with torch.inference_mode():
        if others:
            wanted: Any = model.forward_intermediates(
                _pixels(encoder), intermediates_only=True, output_fmt="NLC", return_prefix_tokens=True
            )
        else:
            wanted = [
                (module_name, None)
                for module_name in model.forward_intermediates(_pixels(encoder), intermediates_only=True)
            ]
    assert "forward_intermediates" in with_outputs(encoder, ["layers[0]"]).outputs[0].read
    has_class = others and name != "naflexvit_base_patch16_gap"  # which has registers alone
    assert len(wanted) == layers
    assert set(outputs) == {f"layers[{i}]:{p}" for i in range(layers) for p in ["mean", "max", *["cls"] * has_class]}
    for number, (patches, prefix) in enumerate(wanted):
        flat = patches.flatten(2).transpose(1, 2) if patches.ndim == 4 else patches
        assert prefix is None or prefix.shape[1] == others
        assert outputs[f"layers[{number}]:mean"].shape == (3, flat.shape[2])
        torch.testing.assert_close(outputs[f"layers[{number}]:mean"], flat.mean(1), atol=1e-5, rtol=1e-5)
        assert torch.equal(outputs[f"layers[{number}]:max"], flat.amax(1))
        if has_class:
            assert torch.equal(outputs[f"layers[{number}]:cls"], prefix[:, 0])


STATES = {  # layers, tokens that are no patches
    "deit with teacher": (2, 2),
    "vit_mae": (2, 1),
    "dinov2_with_registers": (2, 5),
    "clip": (2, 1),
    "swin": (2, 0),
    "resnet": (4, 0),
}


@pytest.mark.parametrize("name", STATES)
def test_transformers__layers_are_its_hidden_states(name: str, tmp_path: Path) -> None:
    import transformers

    case: Case = CASES[name]
    save(case, tmp_path)
    encoder = load_encoder(str(tmp_path), device="cpu", runtime="torch")
    _, outputs = _split(encoder, ["layers", "layers:max"])
    model: Any = transformers.AutoModel.from_pretrained(tmp_path).eval()
    tower = getattr(model, "vision_model", model)
    batch = _batch(encoder)
    pixels = encoder.embed.normalise(batch) if encoder.embed.normalise else batch  # type: ignore[attr-defined]
    noise = {"noise": torch.arange(16).float().expand(3, -1)} if name == "vit_mae" else {}
    if name == "vit_mae":
        model.config.mask_ratio = 0.0
    with torch.no_grad():
        states = tower(pixels, output_hidden_states=True, **noise).hidden_states[1:]
    layers, others = STATES[name]
    assert len(states) == layers
    assert {k.partition("]")[0] for k in outputs} == {f"layers[{i}" for i in range(layers)}
    for number, state in enumerate(states):
        flat = state.flatten(2).transpose(1, 2) if state.ndim == 4 else state
        torch.testing.assert_close(outputs[f"layers[{number}]:mean"], flat[:, others:].mean(1), atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(outputs[f"layers[{number}]:max"], flat[:, others:].amax(1), atol=2e-5, rtol=1e-4)
        assert (f"layers[{number}]:cls" in outputs) == bool(others)
        if others:
            torch.testing.assert_close(outputs[f"layers[{number}]:cls"], state[:, 0], atol=2e-5, rtol=1e-4)
    read = with_outputs(encoder, ["layers[0]"]).outputs[0].read
    assert read.startswith("hidden states of transformers, ")
    assert ("the last is last_hidden_state" in read) == (name in ("beit", "clip", "convnext", "resnet", "hiera"))


@pytest.mark.parametrize("name", ["ViT", "RN", "timm"])
def test_open_clip__layers_are_what_its_modules_give(name: str) -> None:
    vision: dict[str, Any] = {"image_size": 32, "layers": 3, "width": 64, "head_width": 32, "patch_size": 8}
    if name == "RN":
        vision = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None}
    if name == "timm":
        vision = {"timm_model_name": "test_convnext", "timm_pool": "", "timm_proj": "linear", "image_size": 64}
    text = {"context_length": 8, "vocab_size": 99, "width": 32, "heads": 2, "layers": 1}
    torch.manual_seed(0)
    model = open_clip.CLIP(embed_dim=24, vision_cfg=vision, text_cfg=text).eval()
    encoder = _encoder(ImageTower(model.visual), vision["image_size"], "open_clip", call_module)
    _, outputs = _split(encoder, ["layers"])
    names = {
        "ViT": [f"transformer.resblocks.{i}" for i in range(3)],
        "RN": ["act3", "layer1", "layer2", "layer3", "layer4"],
        "timm": [f"trunk.stages.{i}" for i in range(4)],
    }[name]
    hooked: list[torch.Tensor] = []
    for module_name in names:
        model.visual.get_submodule(module_name).register_forward_hook(lambda _, given, output: hooked.append(output))
    with torch.inference_mode():
        model.encode_image(_pixels(encoder))
    assert len(outputs) == len(names) * (2 if name == "ViT" else 1)
    for number, features in enumerate(hooked):
        if name == "ViT":
            assert torch.equal(outputs[f"layers[{number}]:cls"], features[:, 0])
        mean = features[:, 1:].mean(1) if name == "ViT" else features.mean((2, 3))
        torch.testing.assert_close(outputs[f"layers[{number}]:mean"], mean, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "modules", "side"),
    [
        ("resnet18", ["relu", "layer1", "layer2", "layer3", "layer4"], 64),
        ("vit", [f"encoder.layers.encoder_layer_{i}" for i in range(3)], 64),
        ("convnext_tiny", [f"features.{i}" for i in (1, 3, 5, 7)], 64),
        ("swin_t", [f"features.{i}" for i in (1, 3, 5, 7)], 64),
        ("efficientnet_b0", [f"features.{i}" for i in (1, 2, 3, 5, 8)], 64),
    ],
)
def test_torchvision__layers_are_what_its_modules_give(name: str, modules: list[str], side: int) -> None:
    torch.manual_seed(0)
    small = {"patch_size": 16, "num_layers": 3, "num_heads": 2, "hidden_dim": 32, "mlp_dim": 48}
    made: Any = torchvision.models.VisionTransformer(side, **small) if name == "vit" else None
    model = without_classifier(made or torchvision.models.get_model(name, weights=None)).eval()
    encoder = _encoder(model, side, "torchvision", pooled_output)
    _, outputs = _split(encoder, ["layers:mean"])
    hooked: list[torch.Tensor] = []
    for module_name in modules:
        model.get_submodule(module_name).register_forward_hook(lambda _, given, output: hooked.append(output.clone()))
    with torch.inference_mode():
        model(_pixels(encoder))
    assert list(outputs) == [f"layers[{i}]:mean" for i in range(len(modules))]
    for number, features in enumerate(hooked):
        over = {"vit": (1,), "swin_t": (1, 2)}.get(name, (2, 3))
        mean = (features[:, 1:] if name == "vit" else features).mean(over)
        torch.testing.assert_close(outputs[f"layers[{number}]:mean"], mean, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_bundled__final_is_its_embedding_and_chunks_side_by_side_do_not_mix() -> None:
    encoder = load_encoder("bundled:efficientnet-lite0", device="cpu", runtime="torch")
    layered = with_outputs(encoder, ["layers"])
    batch = _batch(encoder, 4)
    many = torch.cat([batch] * 5)  # two chunks of a CPU, each on its thread
    made = layered.together.embed(many)
    assert torch.equal(made[:, :1280], encoder.embed(many))
    assert [o.dimension for o in layered.outputs] == [16, 24, 40, 112, 1280]
    assert (made.reshape(5, 4, -1) - layered.together.embed(batch)[None]).abs().max() < 1e-4
    assert (made[0] - made[1]).abs().max() > 0.01


def test_module_in_memory__has_layers_and_its_own_stays_as_it_is() -> None:
    torch.manual_seed(0)
    module = torchvision.models.resnet18(num_classes=5)
    encoder = as_encoder(module, preprocess=lambda image: torch.ones(3, 64, 64) * image.width / 320, device="cpu")
    assert [o.name for o in with_outputs(encoder, ["layers[1:3]:mean"]).outputs] == ["layers[1]:mean", "layers[2]:mean"]
    assert module.training
    assert not module.layer1._forward_hooks


def test_pool__by_hand() -> None:
    patches = torch.tensor([[[1.0, -4.0], [3.0, 2.0]]])
    layer = Layer(patches, torch.tensor([[[7.0, 8.0]]]))
    assert pool(layer, "cls").tolist() == [[7, 8]]
    assert pool(layer, "mean").tolist() == [[2, -1]]
    assert pool(layer, "max").tolist() == [[3, 2]]
    gem = [((1 + 27) / 2) ** (1 / 3), ((1e-6**3 + 8) / 2) ** (1 / 3)]
    torch.testing.assert_close(pool(layer, "gem"), torch.tensor([gem]))
    as_map = Layer(patches.transpose(1, 2)[..., None])
    for how in ("mean", "max", "gem"):
        torch.testing.assert_close(pool(as_map, how), pool(layer, how))


def test_regions__cover_what_they_say_and_the_grid_every_patch_once() -> None:
    cells = [region_mask(f"grid-{r}-{c}", 14, 9) for r in range(4) for c in range(4)]
    assert torch.equal(torch.stack(cells).sum(0), torch.ones(14, 9, dtype=torch.long))
    assert sorted({int(cell.sum()) for cell in cells}) == [6, 8, 9, 12]
    assert int(region_mask("border", 16, 16).sum()) == 16 * 16 - 12 * 12
    assert int(region_mask("centre", 16, 16).sum()) == 8 * 8
    for pooling in ("border", "centre", "grid-1-2"):
        assert region_mask(pooling, 16, 16, "meta").device.type == "meta"
    numbers = torch.arange(16.0).reshape(1, 16, 1)
    assert pool(Layer(numbers, None, (4, 4)), "grid-1-2").item() == 6
    assert pool(Layer(numbers, None, (4, 4)), "centre").item() == (5 + 6 + 9 + 10) / 4
    with pytest.raises(UsageError, match="4 x 4"):
        pool(Layer(numbers[:, :4], None, (2, 2)), "border")
    with pytest.raises(UsageError, match="not known where"):
        pool(Layer(numbers[:, :15]), "border")


def test_patch__is_the_one_at_the_photos_place() -> None:
    numbers = Layer(torch.arange(64.0).reshape(1, 1, 8, 8).expand(3, 1, 8, 8))
    places = torch.tensor([[0, 0], [STEPS // 2, STEPS - 1], [STEPS - 1, STEPS // 2 - 1]])
    # the part in row 1, column 2 of 4 x 4 has the patches of rows 2 and 3, columns 4 and 5
    assert pool(numbers, "patch-1-2", places).tolist() == [[20], [29], [28]]
    assert pool(numbers, "patch-1-2").tolist() == [[29]] * 3
    sequence = Layer(torch.arange(14.0 * 9).reshape(1, -1, 1).expand(400, -1, -1), None, (14, 9))
    everywhere = torch.randint(0, STEPS, (400, 2), generator=torch.Generator().manual_seed(0))
    for part in ("0-0", "3-1", "2-3"):
        read = pool(sequence, f"patch-{part}", everywhere).flatten().unique()
        assert read.tolist() == region_mask(f"grid-{part}", 14, 9).flatten().nonzero().flatten().tolist()
    whole = torch.stack([region_mask(f"grid[8]-{r}-{c}", 8, 8) for r in range(8) for c in range(8)])
    assert torch.equal(whole.flatten(1).int(), torch.eye(64, dtype=torch.int))  # as many parts as patches
    with pytest.raises(UsageError, match="regions need 9 x 9"):
        pool(numbers, "patch[9]-0-0")


def test_places__are_of_the_photo_alone() -> None:
    digest = hashlib.sha256(b"patch, draw 0\0train/cat/1.jpg").hexdigest()
    places = photo_places(["other", "train/cat/1.jpg"])[1]
    assert places.tolist() == [int(digest[:4], 16), int(digest[4:8], 16)]
    many = photo_places([str(i) for i in range(4000)])
    parts = np.bincount(4 * (many[:, 0] * 4 // STEPS) + many[:, 1] * 4 // STEPS)
    assert parts.size == 16
    assert abs(parts - 250).max() < 80  # five standard deviations


def test_parts__have_one_name_each() -> None:
    wanted = parse_output("layers[2]:patch[4],grid[2],grid[4]-0-1,patch")
    assert wanted is not None
    assert wanted.poolings[0] == "patch-0-0"
    assert wanted.poolings[16:] == ("grid[2]-0-0", "grid[2]-0-1", "grid[2]-1-0", "grid[2]-1-1", "grid-0-1")


@pytest.mark.parametrize(
    "text",
    [
        "layer",
        "layers[",
        "layers[a]",
        "layers[::0]",
        "layers[]",
        "layers:mean,median",
        "layers:patch[0]",
        "layers:patch[17]",
        "layers:grid-4-0",
        "",
    ],
)
def test_parse__refuses_in_one_sentence(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_output(text)
    assert "\n" not in str(caught.value)


def test_outputs__that_an_encoder_lacks() -> None:
    encoder = load_encoder("bundled:efficientnet-lite0", device="cpu", runtime="torch")
    with pytest.raises(UsageError, match="layers"):
        with_outputs(encoder, ["layers[5]"])
    with pytest.raises(UsageError, match="no class token"):
        with_outputs(encoder, ["layers:cls"])
    with pytest.raises(UsageError, match="networks"):
        with_outputs(load_encoder("control:jpeg-statistics"), ["layers"])


@pytest.mark.parametrize("name", ["siglip2 NaFlex", "idefics2"])
def test_padded_sequences__are_refused(name: str, tmp_path: Path) -> None:
    save(CASES[name], tmp_path)
    with pytest.raises((UsageError, EncoderError), match="padded"):
        with_outputs(load_encoder(str(tmp_path), device="cpu", runtime="torch"), ["layers"])
