"""Configurations that state sizes which their files cannot hold are refused before a library takes memory for them."""

import json
import time
from pathlib import Path

import pytest

from benchmark.encoders import load_encoder
from builders.errors import EncoderError
from tests.encoders_by_hand.families import CASES
from tests.encoders_by_hand.trial import save

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A ViT of 60 KB."""
    path = tmp_path_factory.mktemp("small") / "vit"
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    transformers.ViTModel(transformers.ViTConfig(**sizes, image_size=32, patch_size=8)).save_pretrained(path)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(path)
    return path


SIZES = {
    "config.json": (
        *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "image_size"),
        *("patch_size", "num_channels", "pooler_output_size", "vocab_size", "num_experts", "depths"),
    ),
    "preprocessor_config.json": (
        *("size.height", "size.width", "size.shortest_edge", "size.longest_edge", "max_num_patches"),
    ),
}


def with_size(folder, target, file, field, number):
    """A copy of a folder with another number in one field."""
    target.mkdir()
    for path in filter(Path.is_file, folder.iterdir()):
        (target / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / file).read_text())
    *outer, last = field.split(".")
    part = config
    for name in outer:
        part = part[name]
    part[last] = number
    (target / file).write_text(json.dumps(config))
    return f"local-dir:{target}"


@pytest.mark.parametrize(("file", "field"), [(file, field) for file, fields in SIZES.items() for field in fields])
@pytest.mark.parametrize("number", [2 * 10**7])
def test_load_encoder__a_size_that_its_file_cannot_hold(folder, tmp_path, file, field, number):
    started = time.process_time()
    with pytest.raises(EncoderError, match=rf"{field.rpartition('.')[2]}|channels"):
        load_encoder(with_size(folder, tmp_path / "hostile", file, field, number), device="cpu", runtime="torch")
    assert time.process_time() - started < 10


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="where there is a GPU, memory has no limit")
def test_load_encoder__a_size_that_no_arithmetic_knows(tmp_path):
    save(CASES["levit classifier"], tmp_path)
    spec = with_size(tmp_path, tmp_path / "hostile", "config.json", "padding", 10_000)
    with pytest.raises(EncoderError, match="bytes of weights"):
        load_encoder(spec, device="cpu", runtime="torch")


def test_load_encoder__the_folder_as_it_is(folder):
    assert load_encoder(f"local-dir:{folder}", device="cpu", runtime="torch").info.dimension == 16
