"""Which checkpoint of a training's folder is scored, and the architecture in its record."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from benchmark.encoders.loaders.checkpoint_files.folders import checkpoint_folder, chosen, require_no_more_modules
from benchmark.encoders.loaders.checkpoint_files.records import architecture_in, recorded_architecture
from builders.errors import EncoderError, UsageError


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")


@pytest.mark.parametrize(
    ("names", "path", "reason"),
    [
        (("model_best.pth.tar", "last.pth.tar", "args.yaml"), "model_best.pth.tar", "timm's best"),
        (("last.pth.tar", "checkpoint-9.pth.tar"), "last.pth.tar", "timm's last"),
        (("checkpoint-9.pth.tar", "checkpoint-10.pth.tar"), "checkpoint-10.pth.tar", "the newest of 2"),
        (
            ("checkpoints/epoch_9.pt", "checkpoints/epoch_10.pt", "checkpoints/epoch_latest.pt"),
            "checkpoints/epoch_10.pt",
            "the newest of 2",
        ),
        (("checkpoints/epoch=3-step=40.ckpt", "hparams.yaml"), "checkpoints/epoch=3-step=40.ckpt", ""),
        (("checkpoints/epoch=9-step=40.ckpt", "checkpoints/last.ckpt"), "checkpoints/last.ckpt", "the last"),
        (
            (
                "lightning_logs/version_9/checkpoints/a.ckpt",
                "lightning_logs/version_10/checkpoints/epoch=1-step=2.ckpt",
            ),
            "lightning_logs/version_10/checkpoints/epoch=1-step=2.ckpt",
            "of version_10",
        ),
        (("checkpoint-500/config.json", "checkpoint-1000/config.json", "x.pt"), "checkpoint-1000", "the newest of 2"),
        (("adapter_config.json", "adapter_model.safetensors"), "", ""),
        (("model.safetensors", "optimizer.pt", "training_args.bin", "rng_state.pth"), "model.safetensors", ""),
        (("model.safetensors", "pytorch_model.bin"), "model.safetensors", "of two formats"),
        (("m-00001-of-00002.bin", "m-00002-of-00002.bin"), "m-00001-of-00002.bin", ""),
        (("m.bin.index.json", "m-00001-of-00002.bin"), "m.bin.index.json", ""),
    ],
)
def test_chosen__of_each_trainer(names: tuple[str, ...], path: str, reason: str, tmp_path: Path) -> None:
    write(tmp_path, *names)
    choice = chosen(tmp_path, "mine")
    assert choice.path == tmp_path / path
    assert choice.reason == reason


@pytest.mark.parametrize(("best", "path"), [("/gone/out/checkpoint-500", "checkpoint-500"), (None, "checkpoint-1000")])
def test_chosen__the_trainers_best(best: str | None, path: str, tmp_path: Path) -> None:
    write(tmp_path, "checkpoint-500/config.json", "checkpoint-1000/config.json")
    state = {"best_model_checkpoint": best}
    (tmp_path / "checkpoint-1000" / "trainer_state.json").write_text(json.dumps(state))
    assert chosen(tmp_path, "mine").path == tmp_path / path


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("a.pth", "b.pth"), "weights"),
        (("saved_model.pb",), "tf2onnx"),
        (("flax_model.msgpack", "notes.txt"), "from_flax=True"),
        (("tf_model.h5",), "from_tf=True"),
        (("zero_to_fp32.py", "global_step5/x_states"), "zero_to_fp32"),
        ((".metadata", "__0_0.distcp"), "dcp_to_torch"),
        (("model.onnx",), "onnx:model.onnx"),
        (("notes.txt", "figures/a.png"), "weights"),
        ((), "weights"),
    ],
)
def test_chosen__what_is_not_read_says_what_to_run(names: tuple[str, ...], words: str, tmp_path: Path) -> None:
    write(tmp_path, *names)
    with pytest.raises(UsageError, match=words):
        chosen(tmp_path, "mine")


def test_chosen__a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="cannot be listed"):
        chosen(tmp_path / "a", "mine")


@pytest.mark.parametrize(
    ("kinds", "at_root", "refused"),
    [
        (["CLIPModel"], False, ""),
        (["CLIPModel", "Normalize"], False, ""),
        (["CLIPModel", "Dense"], False, "Dense"),
        (["Transformer", "Pooling", "Normalize"], True, ""),
        (["Transformer", "Pooling", "Dense"], True, "Dense"),
        (["Transformer", "Pooling"], False, "Pooling"),
    ],
)
def test_sentence_transformers__further_modules_are_refused(
    kinds: list[str], at_root: bool, refused: str, tmp_path: Path
) -> None:
    first = "" if at_root else "0_CLIPModel"
    write(tmp_path, f"{first}/config.json" if first else "config.json")
    modules = [{"path": first, "type": f"sentence_transformers.models.{kinds[0]}"}]
    modules += [{"path": f"{i}_{kind}", "type": f"a.b.{kind}"} for i, kind in enumerate(kinds[1:], 1)]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    assert checkpoint_folder(tmp_path) == tmp_path / first
    if not refused:
        require_no_more_modules(tmp_path, "mine")
        return
    with pytest.raises(UsageError, match=f"{refused}"):
        require_no_more_modules(tmp_path, "mine")


def test_record__of_timm(tmp_path: Path) -> None:
    (tmp_path / "args.yaml").write_text(
        "model: resnet50\ngp: avg\nmean: [0.5, 0.5, 0.5]\nstd: null\ninterpolation: ''\n"
        "model_kwargs: {drop_rate: 0.1}\n"
    )
    result = recorded_architecture(tmp_path / "last.pth.tar")
    assert result is not None
    assert result.query() == "arch=timm:resnet50&arch.drop_rate=0.1&arch.global_pool=avg"
    assert result.data == {"mean": [0.5, 0.5, 0.5]}
    (tmp_path / "args.yaml").write_text("model: [not, a, name]\n")
    assert recorded_architecture(tmp_path / "last.pth.tar") is None


def test_record__of_open_clip(tmp_path: Path) -> None:
    (tmp_path / "params.txt").write_text(
        "model: ViT-B-32\nforce_quick_gelu: True\nimage_mean: (0.5, 0.4, 0.3)\nimage_std: None\nforce_image_size: 256\n"
    )
    result = recorded_architecture(tmp_path / "checkpoints" / "epoch_1.pt")
    assert result is not None
    assert result.query() == "arch=open_clip:ViT-B-32&arch.force_image_size=256&arch.force_quick_gelu=True"
    assert result.data == {"image_mean": [0.5, 0.4, 0.3]}


def test_record__entries_of_a_file() -> None:
    assert architecture_in({"args": argparse.Namespace(model="vit", lr=1)}) is None  # whose trainer?
    assert architecture_in({"arch": "resnet18"}) is None
    assert str(architecture_in({"arch": "resnet18", "best_acc1": 3.0})) == "torchvision:resnet18"
    assert str(architecture_in({"args": {"model": "resnet18", "initial_checkpoint": ""}})) == "timm:resnet18"
    references = argparse.Namespace(model="resnet18", val_crop_size=224, val_resize_size=232, interpolation="bilinear")
    result = architecture_in({"args": references})
    assert result is not None
    assert (str(result), result.data["resize"]) == ("torchvision:resnet18", 232)


def test_record__the_nearest_and_that_of_timm_before_that_of_open_clip(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "c" / "epoch_1.pt"
    file.parent.mkdir(parents=True)
    assert recorded_architecture(file) is None
    for depth, folder in enumerate((tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c")):
        (folder / "params.txt").write_text(f"model: RN{depth}\n")
        result = recorded_architecture(file)
        assert (None if result is None else str(result)) == (f"open_clip:RN{depth}" if depth else None)
    (tmp_path / "a" / "b" / "args.yaml").write_text("model: vit\n")
    assert str(recorded_architecture(file)) == "open_clip:RN2"  # timm's is next to the file
    (tmp_path / "a" / "b" / "c" / "args.yaml").write_text("model: vit\n")
    result = recorded_architecture(file)
    assert result is not None
    assert (str(result), result.source) == ("timm:vit", "args.yaml")
