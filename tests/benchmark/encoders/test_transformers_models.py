"""Encoders of transformers: families against the library by hand (``tests/encoders_by_hand`` tries all of them)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from PIL import Image

from benchmark.encoders import load_encoder
from benchmark.encoders.loaders.transformers.embeddings import Loaded, general_embedding, plain
from benchmark.encoders.loaders.transformers.models import refuse_what_reads_no_photo
from builders.errors import EncoderError, UsageError
from tests.encoders_by_hand import refused
from tests.encoders_by_hand.case import TEXT, VIT, square_processor, vit_processor
from tests.encoders_by_hand.families import CASES
from tests.encoders_by_hand.trial import by_hand, embed, relative_error, save

ENOUGH = (
    *("vit", "vit without pooler", "dinov2 classifier", "dinov3_vit", "swin", "resnet", "poolformer classifier"),
    *("depth_anything", "clip", "siglip2 NaFlex", "blip-2, projected", "llava_next", "qwen2_5_vl", "idefics2"),
    "embedding_gemma2",
)
"""One family of each way that an embedding is found; ``encoders_by_hand`` has them all."""

PROMISES = ("clip", "siglip2 NaFlex", "qwen2_5_vl", "idefics2", "dinov2 classifier", "dinov3_vit", "resnet")
"""Those that also show that batches, copies and types are as ``Encoder`` promises."""


@pytest.mark.parametrize("name", ENOUGH)
def test_family__embedding_equals_the_library_by_hand_and_its_head_the_logits(
    name: str, tmp_path: Path, photos: list[Image.Image], keeps_promises: Any
) -> None:
    case = CASES[name]
    save(case, tmp_path)
    options = case.options or (f"size={case.square}" if case.square else "")
    encoder = load_encoder(f"local-dir:{tmp_path}" + (f"?{options}" if options else ""), device="cpu")
    expected, model, inputs = by_hand(case, tmp_path, photos)
    embeddings = embed(encoder, photos)
    assert case.words in encoder.info.pooling
    assert encoder.info.library == "transformers"
    assert encoder.info.dimension == expected.shape[1]
    assert relative_error(embeddings, expected) < 1e-4
    assert np.abs(expected - expected.mean(0)).max() > 1e-3 * np.abs(expected).max()  # it depends on the photo
    if case.head is not None:
        with torch.no_grad():
            logits = torch.cat([case.logits(model, one) for one in inputs]).numpy()
            assert relative_error(case.head(model, torch.from_numpy(embeddings)).numpy(), logits) < 1e-4
    if name in PROMISES:
        keeps_promises(encoder)


@pytest.mark.parametrize("name", list(refused.CASES)[::5])
def test_family__that_reads_no_photo_says_so_in_one_sentence(name: str, tmp_path: Path) -> None:
    save(CASES[name], tmp_path)
    with pytest.raises(UsageError, match=CASES[name].words) as caught:
        load_encoder(str(tmp_path), device="cpu")
    assert "\n" not in str(caught.value)


def test_describing_model__its_language_model_takes_no_part(tmp_path: Path) -> None:
    save(CASES["llava"], tmp_path)
    encoder = load_encoder(str(tmp_path), device="cpu")
    model = tf.LlavaForConditionalGeneration.from_pretrained(tmp_path)
    tower, projector = (
        sum(p.numel() for p in part.parameters())
        for part in (model.model.vision_tower, model.model.multi_modal_projector)
    )
    assert encoder.info.parameters == tower
    assert encoder.info.details["output"] == "tower"
    assert encoder.info.details["outputs"] == ["tower", "projected"]
    projected = load_encoder(f"{tmp_path}?output=projected", device="cpu")
    assert projected.info.parameters == tower + projector
    weights = str(projected.info.weights_sha256)[:8]  # the projector's among them
    assert projected.info.id == f"{encoder.info.id.partition('@')[0]}@{weights}?output=projected"


def test_options__the_one_output_of_a_model_is_its_default(tmp_path: Path) -> None:
    save(CASES["vit"], tmp_path)
    plain = load_encoder(f"local-dir:{tmp_path}", device="cpu")
    assert load_encoder(f"local-dir:{tmp_path}?output=default", device="cpu").info.dimension == plain.info.dimension
    with pytest.raises(UsageError, match="'pooled'"):
        load_encoder(f"local-dir:{tmp_path}?output=pooled", device="cpu")


def test_options__that_cannot_apply_are_an_error(tmp_path: Path) -> None:
    save(CASES["llava"], tmp_path)
    with pytest.raises(UsageError, match="'pooled'"):
        load_encoder(f"local-dir:{tmp_path}?output=pooled", device="cpu")
    with pytest.raises(UsageError, match="pictures"):
        load_encoder(f"local-dir:{tmp_path}?patches=9", device="cpu")
    with pytest.raises(UsageError, match="from 1 to 65536, not '0'"):
        load_encoder(f"local-dir:{tmp_path}?patches=0", device="cpu")
    with pytest.raises(UsageError, match="patches"):
        load_encoder(f"local-dir:{tmp_path}?layer=3", device="cpu")


@pytest.mark.parametrize("name", ["siglip2 NaFlex", "qwen2_vl", "mistral3"])
def test_packed_views__give_the_model_what_the_processor_gives(
    name: str, tmp_path: Path, photos: list[Image.Image]
) -> None:
    save(CASES[name], tmp_path)
    encoder = load_encoder(str(tmp_path), device="cpu")
    processor = tf.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    for photo in photos:
        expected = processor(images=photo, return_tensors="pt")
        view = torch.from_numpy(encoder.preprocess(photo))[None]
        arguments = encoder.preprocess.arguments(view)
        assert set(arguments) == set(expected)
        for key, value in arguments.items():
            wanted = expected[key]
            if value.shape != wanted.shape:  # pictures are padded to the square
                *_, height, width = wanted.shape
                assert not value[..., height:, :].any()
                assert not value[..., width:].any()
                value = value[..., :height, :width]
            assert torch.equal(value.to(wanted.dtype), wanted), key


def test_naflex__states_its_number_of_patches(tmp_path: Path, photos: list[Image.Image]) -> None:
    save(CASES["siglip2 NaFlex"], tmp_path)
    encoder = load_encoder(str(tmp_path), device="cpu")
    assert encoder.info.preprocessing["patches"] == 24
    assert encoder.info.preprocessing["aspect_ratio"] == "kept"
    few = load_encoder(f"{tmp_path}?patches=9", device="cpu")
    assert few.info.preprocessing["patches"] == 9
    assert few.preprocess(photos[0]).shape[0] == 10


@pytest.mark.parametrize("layout", ["0_CLIPModel", ""])
def test_sentence_transformers__clip_is_found_where_its_modules_say(
    layout: str, tmp_path: Path, photos: list[Image.Image]
) -> None:
    save(CASES["clip"], tmp_path / "plain")
    shutil.copytree(tmp_path / "plain", tmp_path / "st" / layout)
    modules = [{"idx": 0, "name": "0", "path": layout, "type": "sentence_transformers.models.CLIPModel"}]
    (tmp_path / "st" / "modules.json").write_text(json.dumps(modules))
    plain, nested = (load_encoder(str(tmp_path / name), device="cpu") for name in ("plain", "st"))
    assert nested.info.id == f"local-dir:st@{str(nested.info.weights_sha256)[:8]}"
    assert nested.info.weights_sha256 == plain.info.weights_sha256
    np.testing.assert_array_equal(embed(nested, photos), embed(plain, photos))


def test_sentence_transformers__a_path_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    save(CASES["clip"], tmp_path / "elsewhere")
    (tmp_path / "st").mkdir()
    (tmp_path / "st" / "modules.json").write_text(json.dumps([{"path": "../elsewhere"}]))
    with pytest.raises(UsageError, match="holds no checkpoint"):
        load_encoder(str(tmp_path / "st"), device="cpu")


@pytest.mark.parametrize("name", ["clip", "dinov3_vit"])
def test_attention__is_torchs_fused_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(CASES[name], tmp_path)
    encoder = load_encoder(str(tmp_path), device="cpu")
    assert encoder.info.details["attention"] == "sdpa"
    calls: list[int] = []
    fused = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional, "scaled_dot_product_attention", lambda *a, **k: calls.append(1) or fused(*a, **k)
    )
    encoder.embed(torch.from_numpy(np.array(encoder.preprocess(Image.new("RGB", (40, 40)))))[None])
    assert len(calls) >= VIT["num_hidden_layers"]


@pytest.mark.parametrize("name", ["clip", "beit", "resnet"])
def test_preprocessing__travels_as_bytes_and_equals_the_pil_processor(
    name: str, tmp_path: Path, photos: list[Image.Image]
) -> None:
    save(CASES[name], tmp_path)
    encoder = load_encoder(f"local-dir:{tmp_path}", device="cpu")
    processor = tf.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    assert encoder.info.preprocessing["transport"] == "uint8"
    assert encoder.info.preprocessing["backend"] == "pil"
    for photo in photos:
        array = encoder.preprocess(photo)
        mean, std = (np.array(encoder.info.preprocessing[k]) for k in ("mean", "std"))
        normalised = ((array / 255 - mean) / std).transpose(2, 0, 1)
        library = processor(images=photo, return_tensors="np")["pixel_values"][0]
        np.testing.assert_allclose(normalised, library, atol=1e-5)


def test_preprocessing__an_unusual_processor_is_used_itself(tmp_path: Path, photos: list[Image.Image]) -> None:
    save(CASES["vit classifier"], tmp_path)
    file = tmp_path / "preprocessor_config.json"
    config = json.loads(file.read_text())
    config |= {"do_rescale": False}
    file.write_text(json.dumps(config))
    encoder = load_encoder(str(tmp_path), device="cpu")
    assert encoder.info.preprocessing["transport"] == "float32"
    processor = tf.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    expected = processor(images=photos[0], return_tensors="np")["pixel_values"][0]
    assert np.array_equal(encoder.preprocess(photos[0]), expected.astype(np.float32))


def test_weights_sha256__follows_the_weights_not_the_file_format(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder in folders:
        save(CASES["dinov2"], folder)
    state = tf.Dinov2Model.from_pretrained(folders[1]).state_dict()
    (folders[1] / "model.safetensors").unlink()
    torch.save(state, folders[1] / "pytorch_model.bin")
    model = tf.Dinov2Model.from_pretrained(folders[2])
    with torch.no_grad():
        model.layernorm.bias[3] += 1e-3
    model.save_pretrained(folders[2])
    first, same, other = (load_encoder(str(folder), device="cpu").info.weights_sha256 for folder in folders)
    assert first == same
    assert first != other


def test_text_tower__takes_no_part(tmp_path: Path) -> None:
    save(CASES["clip"], tmp_path)
    encoder = load_encoder(str(tmp_path), device="cpu")
    model = tf.CLIPModel.from_pretrained(tmp_path)
    vision = sum(p.numel() for part in (model.vision_model, model.visual_projection) for p in part.parameters())
    assert encoder.info.parameters == vision
    assert encoder.info.group == "CVL"


def test_missing_weights__are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save(CASES["dinov2"], tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    missing = next(name for name in tensors if name.endswith("weight") and "norm1" in name)
    del tensors[missing]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(EncoderError, match="weights"):
        load_encoder(str(tmp_path), device="cpu")


@pytest.mark.parametrize(
    ("name", "reads"),
    [
        *[("Apertus", "text"), ("T5", "text"), ("Wav2Vec2", "sound"), ("Whisper", "sound"), ("VJEPA2", "videos")],
        *[("Clap", "sound"), ("PatchTST", "numbers over time")],
    ],
)
def test_refusal__what_a_model_reads_is_known_from_its_configuration(name: str, reads: str) -> None:
    with pytest.raises(UsageError, match=f"{reads}"):
        refuse_what_reads_no_photo("mine", getattr(tf, f"{name}Config")())


@pytest.mark.parametrize(
    "name", [n for n in ("Emu3", "Apertus1p5", "Chameleon", "Mllama") if hasattr(tf, f"{n}Config")]
)
def test_refusal__tokens_that_are_no_features(name: str) -> None:
    with pytest.raises(UsageError, match="features"):
        refuse_what_reads_no_photo("mine", SimpleNamespace(model_type=getattr(tf, f"{name}Config").model_type))


@pytest.mark.parametrize(
    "name", ["CLIP", "Llava", "Flava", "Blip2", "Florence2", "Kosmos2", "ViT", "VisionTextDualEncoder", "Janus", "Sam"]
)
def test_refusal__models_of_pictures_go_on(name: str) -> None:
    config = getattr(tf, f"{name}Config")
    towers = {"vision_config": tf.ViTConfig(), "text_config": tf.BertConfig()} if name.endswith("DualEncoder") else {}
    refuse_what_reads_no_photo("mine", config(**towers))


class _OfPatches(torch.nn.Module):
    """A network with a class token, which its output has or has not."""

    def __init__(self, returns_class_token: bool) -> None:
        super().__init__()
        self.config = SimpleNamespace(hidden_size=192, patch_size=8)
        self.cls_token = torch.nn.Parameter(torch.ones(1, 1, 192))
        self.returns_class_token = returns_class_token

    def forward(self, pixel_values: torch.Tensor) -> Any:
        patches = torch.nn.functional.unfold(pixel_values, 8, stride=8).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], 1)
        return SimpleNamespace(last_hidden_state=tokens if self.returns_class_token else patches)


@pytest.mark.parametrize("returned", [True, False])
def test_class_token__is_taken_where_the_output_has_it_and_never_a_patch_in_its_place(returned: bool) -> None:
    network, views = _OfPatches(returned), torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    embedding = general_embedding(Loaded(network, frozenset(), views, plain))
    patches = torch.nn.functional.unfold(views, 8, stride=8)
    expected = torch.ones(2, 192) if returned else patches.mean(2)
    torch.testing.assert_close(embedding.forward(network, views), expected)
    assert embedding.words.startswith("class token" if returned else "mean over positions")


def test_picture_of_another_size__says_which_option_to_add(tmp_path: Path) -> None:
    save(CASES["vit"], tmp_path)
    square_processor(48)().save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="size=32"):
        load_encoder(str(tmp_path), device="cpu")
    assert load_encoder(f"{tmp_path}?size=32", device="cpu").info.dimension == 32


def test_text_model__is_refused(tmp_path: Path) -> None:
    tf.BertModel(tf.BertConfig(**TEXT)).save_pretrained(tmp_path)
    vit_processor().save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="encoder"):
        load_encoder(str(tmp_path), device="cpu")


def test_no_preprocessor__is_refused(tmp_path: Path) -> None:
    tf.Dinov2Model(tf.Dinov2Config(**VIT)).save_pretrained(tmp_path)
    with pytest.raises(EncoderError, match=r"preprocessor_config\.json"):
        load_encoder(str(tmp_path), device="cpu")


def test_damaged_weights__one_sentence(tmp_path: Path) -> None:
    save(CASES["resnet"], tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0not a header....")
    with pytest.raises(EncoderError, match="transformers") as caught:
        load_encoder(str(tmp_path), device="cpu")
    assert "\n" not in str(caught.value)


def test_remote_code__needs_the_flag(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text(f"open({str(marker)!r}, 'w')\n")
    with pytest.raises(UsageError, match="--trust-remote-code"):
        load_encoder(str(tmp_path), device="cpu")
    assert not marker.exists()


def test_hostile_pickle__is_not_run(tmp_path: Path) -> None:
    save(CASES["dinov2"], tmp_path)
    (tmp_path / "model.safetensors").unlink()
    marker = tmp_path / "ran"

    class Hostile:
        def __reduce__(self) -> tuple[Any, tuple[str, str]]:
            return (open, (str(marker), "w"))

    torch.save({"layernorm.bias": Hostile()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(EncoderError):
        load_encoder(str(tmp_path), device="cpu")
    assert not marker.exists()
