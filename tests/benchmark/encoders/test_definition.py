"""Encoders of equal weights that compute something else are two: in banks, and within a run."""

import json
import shutil
from pathlib import Path

import pytest
import transformers as tf

from benchmark.bank import key_hash
from benchmark.bank.keys import encoder_key
from benchmark.encoders import Encoder, deduplicated, load_encoder, with_unique_id

CONFIG = tf.CLIPVisionConfig(
    hidden_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=64,
    image_size=32,
    patch_size=8,
    projection_dim=16,
    hidden_act="gelu",
)


def of(folder: Path) -> Encoder:
    return load_encoder(f"local-dir:{folder}", device="cpu", runtime="torch")


def key(encoder: Encoder) -> str:
    return key_hash(encoder_key(encoder.info, "float32", compiled=False, device="cpu", runtime=None))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a") / "clip"
    tf.CLIPVisionModelWithProjection(CONFIG).save_pretrained(folder)
    crop = {"height": 32, "width": 32}
    tf.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=crop).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("edit", [{"hidden_act": "quick_gelu"}, {"num_attention_heads": 8}, {"layer_norm_eps": 0.1}])
def test_configuration__another_one_is_another_encoder(folder, tmp_path, edit):
    other = tmp_path / "clip"
    shutil.copytree(folder, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | edit))
    first, again, second = of(folder), of(folder), of(other)
    assert first.info.weights_sha256 == second.info.weights_sha256
    assert key(first) == key(again) != key(second)
    said: list[str] = []
    two = deduplicated({"a": first, "b": second, "c": again}, said.append)
    assert list(two) == ["a", "b"]
    assert len({encoder.info.id for encoder in two.values()}) == 2
    assert len(said) == 1
    taken: dict[str, str] = {}
    assert len({with_unique_id(encoder, taken).info.id for encoder in (first, second, again)}) == 2


def test_configuration__names_of_classes_and_of_files_change_nothing(folder, tmp_path):
    other = tmp_path / "clip"
    shutil.copytree(folder, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(
        json.dumps(config | {"id2label": {"0": "cat", "1": "dog"}, "_name_or_path": "x"})
    )
    assert key(of(folder)) == key(of(other))
