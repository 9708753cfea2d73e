"""Broken checkpoints: each is refused in one sentence, or scored as if it were whole. None is scored as random."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
import transformers as tf
from safetensors.torch import load_file, save_file
from torch import nn

from benchmark.encoders import Encoder, load_encoder
from benchmark.encoders.admission.gate import load_exactly, require_finite
from builders.errors import CamtraceError, EncoderError, UsageError
from tests.benchmark.encoders.test_open_clip_models import MODEL as OPEN_CLIP
from tests.encoders_by_hand.case import randomise
from tests.encoders_by_hand.families import CASES
from tests.encoders_by_hand.trial import embed, photos, relative_error, save

Tensors = dict[str, torch.Tensor]
VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4}
SENTENCE = (
    r"lacks \d+ of its weights|holds \d+ weights|\d+ of its weights (cannot be used|holds? values)"
    r"|timm cannot load it"  # it cannot adapt a weight of another shape
)


@dataclass(frozen=True)
class Library:
    """A tiny whole checkpoint of a library, and its weights."""

    write: Callable[[Path], None]
    file: str
    head: str
    """Beginning of the names of its classifier."""
    layers: str
    """Beginning of the names of its layers, before their number."""


def _timm(folder: Path) -> None:
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=7, **VIT)
    randomise(model)
    model.pretrained_cfg.update(input_size=(3, 32, 32))
    timm.models.save_for_hf(model, folder, model_args=VIT, safe_serialization=True)


def _wrapper(folder: Path, cls: Any = tf.TimmWrapperForImageClassification, **more: Any) -> None:
    config = tf.TimmWrapperConfig(architecture="vit_tiny_patch16_224", num_labels=7, model_args=VIT)
    model = cls(config).eval()
    randomise(model)
    model.save_pretrained(folder, **more)


def _open_clip(folder: Path) -> None:
    torch.manual_seed(0)
    folder.mkdir(exist_ok=True)
    save_file(open_clip.CLIP(**OPEN_CLIP).state_dict(), folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": OPEN_CLIP, "preprocess_cfg": {}}))


def _torchvision(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    model = torchvision.models.shufflenet_v2_x0_5()
    randomise(model)
    save_file(model.state_dict(), folder / "model.safetensors")


LIBRARIES = {
    "transformers": Library(lambda f: save(CASES["vit"], f), "model.safetensors", "pooler.", "encoder.layer."),
    "transformers classifier": Library(
        lambda f: save(CASES["vit classifier"], f), "model.safetensors", "classifier.", "vit.encoder.layer."
    ),
    "timm": Library(_timm, "model.safetensors", "head.", "blocks."),
    "timm wrapper": Library(_wrapper, "model.safetensors", "timm_model.head.", "timm_model.blocks."),
    "open_clip": Library(_open_clip, "open_clip_model.safetensors", "visual.proj", "visual.transformer.resblocks."),
    "torchvision": Library(_torchvision, "model.safetensors", "fc.", "stage2."),
}

Break = Callable[[Tensors, np.random.Generator, Library], Tensors]


def _one(tensors: Tensors, generator: np.random.Generator, of: Callable[[torch.Tensor], bool] = lambda t: True) -> str:
    return str(generator.choice(sorted(key for key, tensor in tensors.items() if of(tensor))))


def _renamed(tensors: Tensors, generator: np.random.Generator, library: Library) -> Tensors:
    renamed = _one(tensors, generator)
    return {f"{key}_old" if key == renamed else key: tensor for key, tensor in tensors.items()}


def _without_layer(tensors: Tensors, generator: np.random.Generator, library: Library) -> Tensors:
    layer = _one(tensors, generator).rpartition(".")[0]
    return {key: tensor for key, tensor in tensors.items() if not layer or not key.startswith(layer)}


def _layer_too_many(tensors: Tensors, generator: np.random.Generator, library: Library) -> Tensors:
    first = {key: tensor for key, tensor in tensors.items() if key.startswith(f"{library.layers}0.")}
    return tensors | {key.replace(f"{library.layers}0.", f"{library.layers}9."): t.clone() for key, t in first.items()}


def _classes(tensors: Tensors, generator: np.random.Generator, library: Library) -> Tensors:
    more = int(generator.integers(1, 5))
    head = {key: torch.cat([t, t[:more]]) for key, t in tensors.items() if key.startswith(library.head)}
    return tensors | head


def _transposed(tensors: Tensors, generator: np.random.Generator, library: Library) -> Tensors:
    key = _one(tensors, generator, lambda t: t.ndim >= 2 and t.shape[0] != t.shape[1])
    return tensors | {key: tensors[key].transpose(0, 1).contiguous()}


def _half(tensors: Tensors, generator: np.random.Generator, library: Library) -> Tensors:
    names = sorted(tensors)
    first = bool(generator.integers(2))
    return {key: tensors[key] for key in (names[: len(names) // 2] if first else names[len(names) // 2 :])}


def _not_finite(tensors: Tensors, generator: np.random.Generator, library: Library) -> Tensors:
    key = _one(tensors, generator, lambda t: t.is_floating_point())
    broken = tensors[key].clone()
    broken.view(-1)[int(generator.integers(broken.numel()))] = float(generator.choice([np.nan, np.inf, -np.inf]))
    return tensors | {key: broken}


def _prefix(prefix: str) -> Break:
    return lambda tensors, generator, library: {f"{prefix}{key}": tensor for key, tensor in tensors.items()}


BREAKS: dict[str, Break] = {
    "renamed": _renamed,
    "layer missing": _without_layer,
    "layer too many": _layer_too_many,
    "other classes": _classes,
    "transposed": _transposed,
    "half the file": _half,
    "not finite": _not_finite,
    "unknown prefix": _prefix("student."),
    "prefix of transformers' wrapper": _prefix("timm_model."),
}


EACH = [(name, kind) for i, kind in enumerate(BREAKS) for name in [*LIBRARIES, *LIBRARIES][i % len(LIBRARIES) :][:2]]
"""Libraries take their turns: each kind with two of them."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {name: tmp_path_factory.mktemp(name.replace(" ", "-")) for name in LIBRARIES}
    for name, library in LIBRARIES.items():
        torch.manual_seed(0)
        library.write(folders[name])
    return folders


def _load(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Encoder:
    if name != "torchvision":
        return load_encoder(str(folder), device="cpu")
    tensors = load_file(folder / LIBRARIES[name].file)
    monkeypatch.setattr("torchvision.models._api.WeightsEnum.get_state_dict", lambda *_, **__: tensors)
    return load_encoder("torchvision:shufflenet_v2_x0_5/IMAGENET1K_V1", device="cpu")


@pytest.mark.parametrize(("name", "kind"), EACH)
def test_broken_checkpoint__is_refused_or_embeds_as_the_whole_one(
    name: str, kind: str, whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, generator = LIBRARIES[name], np.random.default_rng([0, *kind.encode()])
    for file in whole[name].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = load_file(whole[name] / library.file)
    broken = BREAKS[kind](dict(tensors), generator, library)
    assert broken.keys() != tensors.keys() or any(
        broken[key].shape != tensors[key].shape or not torch.equal(broken[key], tensors[key]) for key in tensors
    )
    save_file(broken, tmp_path / library.file, {"format": "pt"})
    encoder, refusal = _attempt(name, tmp_path, monkeypatch)
    if encoder is None:
        assert re.search(SENTENCE, refusal), refusal
        assert "\n" not in refusal
    elif kind == "layer too many":
        pytest.fail(f"scored without its last layer: {encoder.info.details}")
    elif "has no pooler" in encoder.info.pooling:  # it says which other vector it takes
        assert _load(name, tmp_path, monkeypatch).info.weights_sha256 == encoder.info.weights_sha256
    else:
        expected = embed(_load(name, whole[name], monkeypatch), photos())
        np.testing.assert_allclose(embed(encoder, photos()), expected, atol=1e-6)


def _attempt(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Encoder | None, str]:
    try:
        return _load(name, folder, monkeypatch), ""
    except CamtraceError as error:
        return None, str(error)


@pytest.mark.parametrize("cls", [tf.TimmWrapperForImageClassification, tf.TimmWrapperModel])
@pytest.mark.parametrize(
    ("architecture", "arguments", "shard"),
    [("vit_tiny_patch16_224", VIT, "60KB"), ("test_resnet", None, "1GB")],
)
def test_transformers_wrapper_of_timm__equals_the_librarys_own_class(
    cls: Any, architecture: str, arguments: dict[str, int] | None, shard: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    labels = {"num_labels": 7} if cls is tf.TimmWrapperForImageClassification else {}
    model = cls(tf.TimmWrapperConfig(architecture=architecture, model_args=arguments, **labels))
    randomise(model)
    model.eval().save_pretrained(tmp_path, max_shard_size=shard)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (shard == "60KB")
    encoder, again = (load_encoder(str(tmp_path), device="cpu") for _ in range(2))
    views = torch.stack([torch.from_numpy(encoder.preprocess(photo)) for photo in photos()])
    mean, std = (torch.tensor(encoder.info.preprocessing[key]) for key in ("mean", "std"))
    pixels = ((views / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = tf.TimmWrapperModel.from_pretrained(tmp_path).eval()(pixels).pooler_output.numpy()
    assert relative_error(embed(encoder, photos()), expected) < 1e-4
    assert encoder.info == again.info
    assert encoder.info.library == "timm"
    assert encoder.info.details["tag"] is None  # timm's default weights have a tag, these have none


def test_transformers_wrapper_of_timm__preprocessing_is_that_of_its_configuration(tmp_path: Path) -> None:
    _wrapper(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["pretrained_cfg"] = {"input_size": [3, 32, 32], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "tag": "x"}
    config["pretrained_cfg"] |= {"source": "hf-hub", "hf_hub_id": "someone/else", "classifier": "head"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    encoder = load_encoder(str(tmp_path), device="cpu")
    assert list(encoder.info.preprocessing["mean"]) == pytest.approx([0.1, 0.2, 0.3])
    assert encoder.info.details["tag"] == "x"


def test_transformers_wrapper_of_timm__another_source_or_file_is_not_read(tmp_path: Path) -> None:
    _wrapper(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    whole = load_encoder(str(tmp_path), device="cpu").info.weights_sha256
    config["model_args"] |= {"checkpoint_path": str(tmp_path / "evil.pth"), "pretrained_cfg": {"file": "evil.pth"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert load_encoder(str(tmp_path), device="cpu").info.weights_sha256 == whole
    (tmp_path / "config.json").write_text(json.dumps(config | {"architecture": "hf-hub:someone/else"}))
    with pytest.raises(UsageError, match="timm architecture"):
        load_encoder(str(tmp_path), device="cpu")


@pytest.mark.parametrize("index", [True, False])
def test_shards__half_of_them_are_refused(index: bool, tmp_path: Path) -> None:
    _wrapper(tmp_path / "timm", max_shard_size="60KB")
    save(CASES["vit"], tmp_path / "tf")
    tf.ViTModel.from_pretrained(tmp_path / "tf").save_pretrained(tmp_path / "tf", max_shard_size="60KB")
    (tmp_path / "tf" / "model.safetensors").unlink(missing_ok=True)
    for name in ("timm", "tf"):
        shards = sorted((tmp_path / name).glob("model-*.safetensors"))
        assert len(shards) > 1
        shards[-1].unlink()
        if not index:
            (tmp_path / name / "model.safetensors.index.json").unlink()
        with pytest.raises(EncoderError, match=r"lacks|1 of its \d parts are missing|cannot load it"):
            load_encoder(str(tmp_path / name), device="cpu")


def test_two_loads__are_equal_where_a_pooler_never_had_weights(tmp_path: Path) -> None:
    save(CASES["vit without pooler"], tmp_path)
    first, second = (load_encoder(str(tmp_path), device="cpu").info for _ in range(2))
    assert first == second
    sentences = first.details["ignored_weights"]
    assert sentences == [
        "decoder.0.bias, decoder.0.weight: a task head or another tower",
        "vit.embeddings.mask_token: stands for hidden patches in training; no patch of a photo is hidden",
    ]


def test_load_exactly__all_weights_and_nothing_else() -> None:
    whole = nn.BatchNorm1d(3).state_dict()
    load_exactly("mine", nn.BatchNorm1d(3), whole)
    load_exactly("mine", nn.BatchNorm1d(3), {k: t for k, t in whole.items() if k != "num_batches_tracked"})
    for broken, words in (
        ({k: t for k, t in whole.items() if k != "running_mean"}, "lacks 1"),
        (whole | {"more": torch.ones(1)}, "holds 1"),
        (whole | {"bias": torch.ones(4)}, "weights"),
        (whole | {"running_var": torch.full((3,), torch.inf)}, "weights"),
        (whole | {"weight": torch.ones(3, dtype=torch.int8)}, "weight is integers"),
    ):
        with pytest.raises(EncoderError, match=words):
            load_exactly("mine", nn.BatchNorm1d(3), broken)


def test_finite__a_mask_may_be_infinite() -> None:
    module = nn.Linear(2, 2)
    module.register_buffer("mask", torch.full((2,), -torch.inf))
    require_finite("mine", module)
