"""Which file of a folder is scored, at every branch; records of trainings; parts of a file; formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from benchmark.encoders.loaders.checkpoint_files.folders import (
    checkpoint_folder,
    chosen,
    require_no_more_modules,
)
from benchmark.encoders.loaders.checkpoint_files.reading import read_weights
from benchmark.encoders.loaders.checkpoint_files.records import (
    architecture_in,
    recorded_architecture,
)
from builders.errors import UsageError


def write(folder: Path, *names: str, content: str = "{}") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


BEST = "the best of 3 by trainer_state.json"


@pytest.mark.parametrize(
    ("state", "name", "reason"),
    [
        ('{"best_model_checkpoint": "C:\\\\runs\\\\checkpoint-5"}', "checkpoint-5", BEST),
        ('{"best_model_checkpoint": "out/checkpoint-20"}', "checkpoint-20", BEST),
        ('{"best_model_checkpoint": "out/checkpoint-7"}', "checkpoint-100", "the newest of 3"),  # deleted
        ("{}", "checkpoint-100", "the newest of 3"),
        ("[]", "checkpoint-100", "the newest of 3"),
        ("no JSON", "checkpoint-100", "the newest of 3"),
    ],
)  # fmt: skip
def test_chosen__the_trainers_best_is_one_of_those_in_the_folder(
    state: str, name: str, reason: str, tmp_path: Path
) -> None:
    write(tmp_path, *(f"checkpoint-{step}/config.json" for step in (100, 20, 5)))
    write(tmp_path, "checkpoint-5/trainer_state.json", content='{"best_model_checkpoint": "checkpoint-20"}')
    write(tmp_path, "checkpoint-100/trainer_state.json", content=state)
    choice = chosen(tmp_path, "mine")
    assert (choice.path.name, choice.reason) == (name, reason)


def test_sentence_transformers__other_forms_of_its_list_of_modules(tmp_path: Path) -> None:
    write(tmp_path, "0_CLIPModel/config.json", "1_Dense/x", "elsewhere/config.json")
    inside = tmp_path / "0_CLIPModel"
    for modules, folder, refused in (
        ('[{"path": "0_CLIPModel"}, {"type": "a.Dense"}, {"type": "a.Normalize"}, {"type": "LSTM"}]', inside,
         "Dense, LSTM"),
        ('[{"path": "0_CLIPModel"}, 3]', tmp_path, ""),
        ('{"path": "0_CLIPModel"}', tmp_path, ""),
        ('[{"path": null}]', tmp_path, ""),
        ('[{"path": "1_Dense"}]', tmp_path, ""),
        ("[]", tmp_path, ""),
        ("no JSON", tmp_path, ""),
    ):  # fmt: skip
        (tmp_path / "modules.json").write_text(modules)
        assert checkpoint_folder(tmp_path) == folder
        if not refused:
            require_no_more_modules(tmp_path, "mine")
            continue
        with pytest.raises(UsageError) as caught:
            require_no_more_modules(tmp_path, "local-dir:mine@main")
        assert f"{refused}" in str(caught.value)
    write(tmp_path, "config.json")
    (tmp_path / "modules.json").write_text('[{"path": "0_CLIPModel"}]')
    assert checkpoint_folder(tmp_path) == tmp_path


def test_record__of_timm_has_what_decides_pixels(tmp_path: Path) -> None:
    data = {
        "input_size": [3, 64, 64],
        "img_size": 64,
        "crop_pct": 0.9,
        "crop_mode": "border",
        "mean": [0.1],
        "std": [0.2],
    }
    data["interpolation"] = "bilinear"
    record = {"model": "vit", "gp": "", "model_kwargs": [], "lr": 1, "bn_eps": None, "bn_momentum": 0.1, **data}
    (tmp_path / "args.yaml").write_text(json.dumps(record))
    (tmp_path / "params.txt").write_text("model: RN50\n")
    result = recorded_architecture(tmp_path / "a.pth.tar")
    assert result is not None
    assert (result.library, result.name, dict(result.options), result.data, result.source) == (
        "timm", "vit", {}, data, "args.yaml",
    )  # fmt: skip
    empty: dict[str, Any] = {**{name: [] for name in data}, "model": "vit", "gp": None, "img_size": None, "std": ""}
    (tmp_path / "args.yaml").write_text(json.dumps(empty))
    result = recorded_architecture(tmp_path / "a.pth.tar")
    assert result is not None
    assert (result.query(), result.data) == ("arch=timm:vit", {})
    for nonsense in ("[1, 2]", "a: [", "lr: 1"):
        (tmp_path / "args.yaml").write_text(nonsense)
        assert recorded_architecture(tmp_path / "a.pth.tar") is None


def test_record__of_open_clip_next_to_the_file_or_above(tmp_path: Path) -> None:
    text = "model: RN50\nforce_quick_gelu: False\nforce_image_size: (192, 256)\nimage_mean: None\n"
    text += "image_std: [0.1, 0.2, 0.3]\n"
    write(tmp_path, "params.txt", content=f"{text}image_interpolation: bilinear\nimage_resize_mode: squash: me\nx: 1\n")
    for file in ("a.pt", "checkpoints/a.pt"):
        result = recorded_architecture(tmp_path / file)
        assert result is not None
        assert (result.library, result.name, result.source) == ("open_clip", "RN50", "params.txt")
        assert dict(result.options) == {"force_image_size": [192, 256]}
        assert result.data == {
            "image_std": [0.1, 0.2, 0.3], "image_interpolation": "bilinear", "image_resize_mode": "squash: me",
        }  # fmt: skip
    assert recorded_architecture(tmp_path / "a" / "b" / "c.pt") is None
    write(tmp_path, "params.txt", content="name: x\n")
    assert recorded_architecture(tmp_path / "a.pt") is None
    (tmp_path / "params.txt").write_bytes(b"\xff\xfe")
    assert recorded_architecture(tmp_path / "a.pt") is None


@pytest.mark.parametrize(
    ("facts", "name", "data"),
    [
        ({"args": {"model": "a", "val_crop_size": 224, "val_resize_size": [256], "interpolation": "bicubic"}},
         "torchvision:a", {"size": 224, "interpolation": "bicubic"}),
        ({"args": {"model": None, "val_crop_size": 224}, "arch": "b", "best_acc1": 1},
         "torchvision:b", {"resize": 256, "size": 224}),
        ({"args": {"model": 3, "initial_checkpoint": "x"}, "arch": "b", "best_acc1": 1}, "None", None),
        ({"args": {"model": "t", "initial_checkpoint": "x", "val_crop_size": 1, "mean": [1]}}, "timm:t", {"mean": [1]}),
        ({"args": ["model"], "arch": 3, "best_acc1": 1}, "None", None),
        ({"best_acc1": 1}, "None", None),
    ],
)  # fmt: skip
def test_architecture_in__whose_trainer_it_is(facts: Any, name: str, data: Any) -> None:
    result = architecture_in(facts)
    assert str(result) == name
    if result is not None:
        assert (result.data, result.source) == (data, "the file")


def test_read__which_entries_are_weights(tmp_path: Path) -> None:
    one = torch.ones(1)
    deep: Any = one
    for name in "gfedcba":  # seven dictionaries in the outermost one
        deep = {name: deep}
    skipped = (
        "optim_g",
        "lr_sched",
        "scheduler",
        "amp_scaler",
        "callbacks",
        "loops",
        "rng_states",
        "hyper_parameters",
        "saver",
    )
    state = {name: {"w": one} for name in skipped}
    content = {
        "net": {"w": one, 3: one, "optimizer": one},
        "step": torch.tensor(5),
        "name": "x",
        **state,
        "deep": deep["a"],
    }
    torch.save({**content, "too": deep}, tmp_path / "a.pth")
    file = read_weights(tmp_path / "a.pth", "mine")
    assert sorted(file.tensors) == ["deep.b.c.d.e.f.g", "net.optimizer", "net.w", "step"]
    assert set(file.facts) == {"step", "name"}
    save_file({"a": one, "b": one.clone()}, tmp_path / "m-00001-of-00002.safetensors", {"x": "1"})
    save_file({"c": one}, tmp_path / "m-00002-of-00002.safetensors", {"y": "2"})
    file = read_weights(tmp_path / "m-00002-of-00002.safetensors", "mine")
    assert (sorted(file.tensors), file.facts, file.wrappers) == (["a", "b", "c"], {"x": "1", "y": "2"}, ())
