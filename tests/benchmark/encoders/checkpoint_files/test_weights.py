"""``weights:PATH?...`` and plain paths: options, identity, records, and the forms of a specification."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
import transformers as tf
from PIL import Image
from timm.data import create_transform, resolve_data_config

from benchmark.cli.score import main
from benchmark.encoders import Encoder, load_encoder
from benchmark.options import RunOptions
from benchmark.publishing.provenance import private_inputs
from benchmark.results import read_result
from benchmark.scoring import Invocation, reproduce_command
from builders.errors import EncoderError, UsageError
from builders.photos import PhotoSet
from tests.encoders_by_hand.case import VIT, randomise, vit_processor
from tests.encoders_by_hand.trial import relative_error

ARCH = "arch=timm:test_resnet"


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=7)
    randomise(model)
    with torch.no_grad():
        model.train()(torch.rand(8, 3, 64, 64))
    return model.eval()


@pytest.fixture
def file(network: Any, tmp_path: Path) -> Path:
    torch.save(network.state_dict(), tmp_path / "model.pth")
    return tmp_path / "model.pth"


def _load(spec: str) -> Encoder:
    return load_encoder(spec, device="cpu", runtime="torch")


def _by_hand(network: Any, photos: list[Image.Image], **data: Any) -> np.ndarray:
    transform = create_transform(**resolve_data_config(data, model=network), is_training=False)
    with torch.no_grad():
        pixels = torch.stack([transform(photo) for photo in photos])
        return network.forward_head(network.forward_features(pixels), pre_logits=True).numpy()


def test_weights__equal_the_network_in_memory(
    network: Any, file: Path, photos: list[Image.Image], embed_photos: Any, keeps_promises: Any
) -> None:
    encoder = _load(f"weights:{file}?{ARCH}")
    keeps_promises(encoder)
    assert relative_error(embed_photos(encoder, photos), _by_hand(network, photos)) < 1e-5
    again = _load(f"{file}?{ARCH}&group=SSL&training_data=mine")
    assert again.info.weights_sha256 == encoder.info.weights_sha256
    assert (again.info.group, again.info.training_data) == ("SSL", "mine")
    assert encoder.info.id == f"weights:model.pth@{encoder.info.weights_sha256[:8]}?{ARCH}"
    assert (encoder.info.library, encoder.info.group) == ("timm", "unknown")
    details = encoder.info.details
    assert details["ignored_weights"] == ["fc.bias, fc.weight: the classifier"]
    assert (details["file"], details["prefix"], details["ema"]) == ("model.pth", "", False)
    [notice] = encoder.notices
    assert "fc.bias, fc.weight: the classifier" in notice
    assert "guessed" in notice
    assert "mean 0.5, 0.5, 0.5" in notice
    assert json.loads(json.dumps(dict(details))) == details


def test_weights__stated_preprocessing_is_in_the_id(
    network: Any, file: Path, photos: list[Image.Image], embed_photos: Any
) -> None:
    encoder = _load(f"{file}?{ARCH}&size=96&mean=0.4,0.5,0.6&interpolation=bilinear&resize=110")
    data = {"img_size": 96, "mean": [0.4, 0.5, 0.6], "interpolation": "bilinear", "crop_pct": 96 / 110.5}
    assert relative_error(embed_photos(encoder, photos), _by_hand(network, photos, **data)) < 1e-5
    assert encoder.info.id.endswith(f"?{ARCH}&size=96&resize=110&mean=0.4,0.5,0.6&interpolation=bilinear")


def test_weights__options_of_the_specification_win_over_the_record(network: Any, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "model_best.pth.tar")
    (tmp_path / "args.yaml").write_text("model: test_resnet\nmodel_kwargs: {drop_rate: 0.1}\n")
    ids = [_load(f"weights:{tmp_path}/model_best.pth.tar{query}").info.id for query in ("", "?arch.drop_rate=0.2")]
    assert [encoder_id.partition("?")[2] for encoder_id in ids] == [f"{ARCH}&arch.drop_rate={r}" for r in (0.1, 0.2)]


def test_weights__averaged_ones(network: Any, tmp_path: Path) -> None:
    averaged = {key: tensor + 1 for key, tensor in network.state_dict().items()}
    torch.save({"state_dict": network.state_dict(), "state_dict_ema": averaged}, tmp_path / "a.pth.tar")
    plain, ema = (_load(f"weights:{tmp_path}/a.pth.tar?{ARCH}{option}") for option in ("", "&ema=true"))
    assert plain.info.weights_sha256 != ema.info.weights_sha256
    assert (plain.info.details["prefix"], ema.info.details["prefix"]) == ("state_dict.", "state_dict_ema.")


def test_weights__superfluous_ones_are_left_out_by_name_alone(network: Any, file: Path, tmp_path: Path) -> None:
    torch.save(network.state_dict() | {"projector.0.weight": torch.ones(2, 2)}, tmp_path / "a.pth")
    with pytest.raises(EncoderError, match=r"\&ignore=projector"):
        _load(f"{tmp_path}/a.pth?{ARCH}")
    encoder = _load(f"{tmp_path}/a.pth?{ARCH}&ignore=projector.")
    assert "projector.0.weight: left out as ignore= says" in encoder.info.details["ignored_weights"]
    assert encoder.info.weights_sha256 == _load(f"{file}?{ARCH}").info.weights_sha256


def test_folder_of_timm__architecture_and_preprocessing_of_its_record(
    network: Any, tmp_path: Path, photos: list[Image.Image], embed_photos: Any
) -> None:
    arguments = {"model": "test_resnet", "initial_checkpoint": "", "mean": [0.3, 0.3, 0.3], "crop_pct": 0.8}
    state = {"state_dict": network.state_dict(), "args": argparse.Namespace(**arguments), "epoch": 1}
    torch.save(state, tmp_path / "model_best.pth.tar")
    (tmp_path / "args.yaml").write_text(json.dumps(arguments))
    folder = _load(str(tmp_path))
    assert relative_error(embed_photos(folder, photos), _by_hand(network, photos, mean=[0.3] * 3, crop_pct=0.8)) < 1e-5
    assert "model_best.pth.tar (timm's best); timm:test_resnet (args.yaml)" in folder.notices[-1]
    assert folder.info.id.startswith(f"weights:{tmp_path.name}@")
    (tmp_path / "args.yaml").unlink()
    alone = _load(str(tmp_path / "model_best.pth.tar"))
    assert alone.info.preprocessing == folder.info.preprocessing
    assert alone.info.details["architecture_from"] == "the file"


def test_record_of_timm__its_epsilon_of_batch_norm(
    tmp_path: Path, photos: list[Image.Image], embed_photos: Any
) -> None:
    torch.manual_seed(0)
    own = timm.create_model("test_efficientnet", bn_eps=0.1).eval()
    arguments = {"model": "test_efficientnet", "initial_checkpoint": "", "bn_eps": 0.1, "bn_momentum": 0.2}
    torch.save({"state_dict": own.state_dict(), "args": argparse.Namespace(**arguments)}, tmp_path / "a.pth.tar")
    by_file = _load(f"{tmp_path}/a.pth.tar")
    (tmp_path / "args.yaml").write_text(json.dumps(arguments))
    by_record = _load(f"{tmp_path}/a.pth.tar")
    (tmp_path / "args.yaml").write_text(json.dumps({**arguments, "bn_eps": None}))
    default = _load(f"{tmp_path}/a.pth.tar")
    for encoder in (by_file, by_record):
        assert relative_error(embed_photos(encoder, photos), _by_hand(own, photos)) < 1e-5
        assert encoder.info.id.endswith("?arch=timm:test_efficientnet&arch.bn_eps=0.1")
    other = timm.create_model("test_efficientnet").eval()
    other.load_state_dict(own.state_dict())
    assert relative_error(embed_photos(default, photos), _by_hand(other, photos)) < 1e-5
    assert relative_error(_by_hand(other, photos), _by_hand(own, photos)) > 0.01


def test_torchvision__the_head_is_left_out(tmp_path: Path, photos: list[Image.Image], embed_photos: Any) -> None:
    torch.manual_seed(0)
    model = torchvision.models.shufflenet_v2_x0_5(num_classes=7)
    randomise(model)
    torch.save({"model": model.state_dict()}, tmp_path / "a.pth")
    encoder = _load(f"{tmp_path}/a.pth?arch=torchvision:shufflenet_v2_x0_5&size=64&resize=64")
    model.fc = torch.nn.Identity()
    preset = torchvision.transforms._presets.ImageClassification(crop_size=64, resize_size=64)
    with torch.no_grad():
        expected = model.eval()(torch.stack([preset(photo) for photo in photos])).numpy()
    assert relative_error(embed_photos(encoder, photos), expected) < 1e-5
    assert "fc.bias, fc.weight: the classifier" in encoder.notices[-1]
    assert "tag" not in encoder.info.details


def test_open_clip__of_its_own_convention(tmp_path: Path, photos: list[Image.Image], embed_photos: Any) -> None:
    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 8},
        "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
    }
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "ViT-own-test.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "configs")
    torch.manual_seed(0)
    model, _, transform = open_clip.create_model_and_transforms("ViT-own-test", pretrained=None)
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"epoch": 1, "name": "run", "state_dict": state}, tmp_path / "epoch_1.pt")
    encoder = _load(f"open_clip:ViT-own-test/{tmp_path}/epoch_1.pt")
    with torch.no_grad():
        expected = model.eval().encode_image(torch.stack([transform(photo) for photo in photos])).numpy()
    assert relative_error(embed_photos(encoder, photos), expected) < 1e-5
    assert encoder.info.id.endswith("?arch=open_clip:ViT-own-test")
    assert encoder.info.group == "CVL"


def test_transformers__weights_of_a_file_with_the_configuration_of_a_folder(
    tmp_path: Path, photos: list[Image.Image], embed_photos: Any
) -> None:
    torch.manual_seed(0)
    model = tf.ViTForImageClassification(tf.ViTConfig(**VIT, num_labels=5)).eval()
    randomise(model)
    torch.save({"state_dict": {f"net.{k}": t for k, t in model.state_dict().items()}}, tmp_path / "a.ckpt")
    tf.ViTForImageClassification(tf.ViTConfig(**VIT, num_labels=2)).save_pretrained(tmp_path / "base")
    vit_processor().save_pretrained(tmp_path / "base")
    encoder = _load(f"{tmp_path}/a.ckpt?arch=transformers:{tmp_path}/base")
    processor = tf.AutoImageProcessor.from_pretrained(tmp_path / "base", backend="pil")
    with torch.no_grad():
        pixels = torch.cat([processor(images=photo, return_tensors="pt")["pixel_values"] for photo in photos])
        expected = model.vit(pixels).last_hidden_state[:, 0].numpy()
    assert relative_error(embed_photos(encoder, photos), expected) < 1e-5
    assert encoder.info.id == f"weights:a.ckpt@{encoder.info.weights_sha256[:8]}?arch=transformers:base"
    assert "classifier.bias, classifier.weight: the classifier" in encoder.notices[-1]


@pytest.mark.parametrize(
    ("query", "settings"),
    [
        ("&mean=imagenet&std=imagenet", {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}),
        ("&std=0.25&interpolation=bicubic", {"image_std": [0.25] * 3, "resample": 3}),
        ("&size=48&mean=0.4", {"image_mean": [0.4] * 3, "size": {"height": 48, "width": 48}}),
    ],
)
def test_transformers__what_is_stated_replaces_the_preprocessing_of_the_architecture(
    query: str, settings: dict[str, Any], tmp_path: Path, photos: list[Image.Image], embed_photos: Any
) -> None:
    torch.manual_seed(0)
    model = tf.ViTModel(tf.ViTConfig(**VIT), add_pooling_layer=False).eval()
    randomise(model)
    torch.save(model.state_dict(), tmp_path / "a.pth")
    model.config.save_pretrained(tmp_path / "base")
    vit_processor().save_pretrained(tmp_path / "base")
    encoder = _load(f"{tmp_path}/a.pth?arch=transformers:{tmp_path}/base{query}")
    processor = tf.AutoImageProcessor.from_pretrained(tmp_path / "base", backend="pil", **settings)
    with torch.no_grad():
        pixels = torch.cat([processor(images=photo, return_tensors="pt")["pixel_values"] for photo in photos])
        expected = model(pixels, interpolate_pos_encoding=True).last_hidden_state[:, 0].numpy()
    assert relative_error(embed_photos(encoder, photos), expected) < 1e-5
    assert encoder.info.id.endswith(f"?arch=transformers:base{query}")


def test_folder_of_transformers__without_a_processor_the_preprocessing_is_stated(tmp_path: Path) -> None:
    tf.ViTModel(tf.ViTConfig(**VIT)).save_pretrained(tmp_path)
    with pytest.raises(EncoderError, match=r"5\&interpolation=bicubic"):
        _load(str(tmp_path))
    encoder = _load(f"{tmp_path}?size=32&mean=0.5&std=0.5&interpolation=bicubic")
    assert encoder.info.preprocessing["mean"] == [0.5] * 3
    assert encoder.info.id.endswith("?interpolation=bicubic&mean=0.5&size=32&std=0.5")
    vit_processor().save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="preprocessor_config"):
        _load(f"{tmp_path}?size=32&mean=0.5")
    assert _load(f"{tmp_path}?size=32").info.preprocessing["squared"] == 32


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "arch=timm:NAME"),
        ("?arch=resnet18", "'arch=torchvision:resnet18'"),
        ("?arch=keras:resnet", "transformers:NAME"),
        ("?arch=timm:test_resnett", "'test_resnett'"),
        ("?arch=timm:test_resnet&arch.bogus=3", "timm:test_resnet"),
        ("?arch=timm:test_resnet&arch.checkpoint_path=x", "timm:test_resnet"),
        ("?arch=torchvision:resnet18&arch.weights=DEFAULT", "weights"),
        ("?arc=timm:test_resnet", "'arch'"),
        ("?arch=timm:test_resnet&ema=yes", "false"),
        ("?arch=timm:test_resnet&group=x", "unknown group"),
        ("?arch=timm:test_resnet&arch=timm:test_vit", "option"),
        ("?arch=transformers:./nowhere", "folder"),
    ],
)
def test_mistake__one_sentence(query: str, words: str, file: Path) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        _load(f"{file}{query}")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.usefixtures("unpainted", "brief")
def test_command__a_file_is_scored_and_its_path_is_not_in_the_result(
    file: Path, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["-d", f"folder:{photo_folder}", "-t", "probe/jpeg", "--cache", "cache", "--workers", "0", "-o", "out"]
    assert main(["-m", f"{file}?{ARCH}&size=64", *given]) == 0
    assert "weights:model.pth" in capsys.readouterr().err
    result = read_result(tmp_path / "out" / "result.json")
    assert [score.task for score in result.scores] == ["probe/jpeg"]
    assert f"--model 'weights:PATH?{ARCH}&size=64'" in result.environment["command"]
    assert str(tmp_path) not in (tmp_path / "out" / "result.json").read_text()
    assert main(["-m", str(file), *given]) == 2
    assert "arch=timm:NAME" in capsys.readouterr().err


def test_reproduction__names_no_path_and_says_that_the_file_is_the_authors(file: Path) -> None:
    spec = f"weights:{file}?{ARCH}&size=64"
    encoder = _load(spec)
    photos = PhotoSet.of_bytes("sample", {"a.jpg": b"1", "b.jpg": b"2"})
    for form in (spec, f"{file}?{ARCH}&size=64"):
        repeat = reproduce_command(Invocation(form, "sample"), encoder.info, photos, RunOptions())
        assert f"--model 'weights:PATH?{ARCH}&size=64'" in repeat.command
        assert str(file.parent) not in repeat.command + repeat.local["model"]
        assert repeat.local["model"].startswith("PATH: your file of weights (weights:model.pth@")
    result: Any = argparse.Namespace(encoder={"id": encoder.info.id}, data={"name": "sample"}, environment={})
    assert "the author's own code or file" in private_inputs(result)


def test_weights__names_that_compilation_inserts_are_recorded(network: Any, file: Path, tmp_path: Path) -> None:
    torch.save({f"_orig_mod.{name}": tensor for name, tensor in network.state_dict().items()}, tmp_path / "a.pth")
    encoder, plain = (_load(f"{path}?{ARCH}") for path in (tmp_path / "a.pth", file))
    assert encoder.info.details["wrappers"] == ["_orig_mod"]
    assert "; names without _orig_mod; " in encoder.notices[0]
    assert "wrappers" not in plain.info.details
    assert encoder.info.weights_sha256 == plain.info.weights_sha256
