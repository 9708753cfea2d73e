"""Checkpoints of ONNX, TorchScript, Keras and JAX."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.encoders_by_hand.reference import (
    Trained,
    Write,
    by_module,
    timm_network,
    torchvision_transform,
)


def _onnx(folder: Path, *, channels_last: bool, batch: int | None) -> Trained:
    network = timm_network().requires_grad_(False)
    network.reset_classifier(0)

    class Whole(nn.Module):
        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            features = network.forward_features(pixels.permute(0, 3, 1, 2) if channels_last else pixels)
            return features, network.forward_head(features, pre_logits=True)

    sides = (64, 64, 3) if channels_last else (3, 64, 64)
    axes = None if batch else {"x": {0: "n"}, "map": {0: "n"}, "vector": {0: "n"}}
    torch.onnx.export(
        Whole(), (torch.zeros(batch or 1, *sides),), str(folder / "w.onnx"), dynamo=False, dynamic_axes=axes,
        input_names=["x"], output_names=["map", "vector"],
    )  # fmt: skip

    transform = torchvision_transform(64, [0.5] * 3, [0.25] * 3)
    return Trained(f"{folder}/w.onnx?mean=0.5&std=0.25&output=vector", by_module(network, transform))


def _onnx_channels_last(folder: Path) -> Trained:
    return _onnx(folder, channels_last=True, batch=None)


def _onnx_fixed_batch(folder: Path) -> Trained:
    return _onnx(folder, channels_last=False, batch=2)


def _torchscript_of_a_tuple(folder: Path) -> Trained:
    class Two(nn.Module):
        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return pixels.mean((2, 3)), pixels

    torch.jit.script(Two()).save(str(folder / "w.pt"))
    return Trained(f"{folder}/w.pt?arch=timm:test_resnet", None, "is a TorchScript program")


def _keras(folder: Path) -> Trained:
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)])
    model.save(folder / "model.keras")
    return Trained(f"{folder}/model.keras", None, "is a Keras file; run")


def _keras_h5(folder: Path) -> Trained:
    keras = pytest.importorskip("keras")
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)]).save_weights(folder / "w.weights.h5")
    return Trained(f"{folder}/w.weights.h5", None, "model.load_weights('w.weights.h5')")


def _flax(folder: Path) -> Trained:
    msgpack = pytest.importorskip("msgpack")
    (folder / "config.json").write_text(json.dumps({"model_type": "vit"}))
    (folder / "flax_model.msgpack").write_bytes(msgpack.packb({"params": {"kernel": b"x"}}))
    return Trained(str(folder), None, "weights of Flax; run")


def _orbax(folder: Path) -> Trained:
    for name in ("_CHECKPOINT_METADATA", "manifest.ocdbt", "_METADATA"):
        (folder / name).write_text("{}")
    (folder / "d").mkdir()
    return Trained(str(folder), None, "a checkpoint of JAX (Orbax)")


OTHER_FRAMEWORKS: dict[str, Write] = {
    "ONNX: channels last, two outputs": _onnx_channels_last,
    "ONNX: batches of two": _onnx_fixed_batch,
    "TorchScript of a tuple": _torchscript_of_a_tuple,
    "Keras, by Keras": _keras,
    "Keras weights, by Keras": _keras_h5,
    "Flax": _flax,
    "Orbax": _orbax,
}
