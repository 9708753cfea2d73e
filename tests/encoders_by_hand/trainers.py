"""Checkpoints as trainers write them, with small networks, and the embeddings of the model in memory.

timm, transformers, PEFT and Lightning write theirs themselves where they are installed; torchvision's references, the
ImageNet example of PyTorch, open_clip's training and DINO are scripts, whose ``torch.save`` is repeated here.
"""

from __future__ import annotations

import argparse
import copy
import json
import zipfile
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
import torchvision
import transformers as tf
from safetensors.torch import save_file
from timm.utils import CheckpointSaver, ModelEmaV3
from torch import nn

from tests.encoders_by_hand.case import randomise, vit_processor
from tests.encoders_by_hand.reference import (
    ARGUMENTS,
    VIT_OPTIONS,
    Embed,
    Trained,
    Write,
    by_module,
    by_timm,
    by_vit,
    clip_network,
    hf_network,
    timm_network,
    torchvision_transform,
    with_statistics,
)


def timm_train(folder: Path, *, ema: bool = False, model: str = "test_resnet", **settings: Any) -> nn.Module:
    """The output folder of timm's train.py after two epochs."""
    network = timm_network(model, **settings.get("model_kwargs", {}))
    arguments = {"model": model, "gp": None, "num_classes": 7, "initial_checkpoint": "", "img_size": None} | settings
    averaged = ModelEmaV3(network, decay=0.5) if ema else None
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    saver = CheckpointSaver(
        network, optimizer, args=argparse.Namespace(**arguments), model_ema=averaged, checkpoint_dir=str(folder)
    )
    for epoch, metric in ((0, 50.0), (1, 60.0)):
        saver.save_checkpoint(epoch, metric)
    (folder / "args.yaml").write_text(json.dumps(arguments))  # JSON is YAML
    return network


def _timm_folder(folder: Path) -> Trained:
    return Trained(str(folder), by_timm(timm_train(folder)), "model_best.pth.tar (timm's best); timm:test_resnet")


def _timm_file(folder: Path) -> Trained:
    network = timm_train(folder)
    (folder / "args.yaml").unlink()
    return Trained(str(folder / "last.pth.tar"), by_timm(network), "timm:test_resnet (the file)")


def _timm_settings(folder: Path) -> Trained:
    settings = {"mean": [0.4, 0.4, 0.4], "std": [0.3, 0.2, 0.1], "interpolation": "bilinear", "img_size": 96}
    network = timm_train(folder, crop_pct=0.8, **settings)
    return Trained(str(folder), by_timm(network, crop_pct=0.8, **settings), "preprocessing of args.yaml")


def _timm_vit_pooling(folder: Path) -> Trained:
    network = timm_train(folder, model="test_vit", model_kwargs={"img_size": 32, "global_pool": "avg"})
    return Trained(str(folder), by_timm(network), "timm:test_vit")


def _timm_ema(folder: Path) -> Trained:
    network = timm_network()
    averaged = ModelEmaV3(network, decay=0.5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1)
    saver = CheckpointSaver(
        network, torch.optim.SGD(network.parameters(), 0.1), model_ema=averaged, checkpoint_dir=str(folder)
    )
    saver.save_checkpoint(0, 1.0)
    spec = f"weights:{folder}/last.pth.tar?arch=timm:test_resnet&ema=true"
    return Trained(spec, by_timm(averaged.module), "names without 'state_dict_ema.'")


def _state_dict(folder: Path) -> Trained:
    network = timm_network("vit_tiny_patch16_224", **VIT_OPTIONS)
    torch.save(network.state_dict(), folder / "vit.pt")
    spec = f"weights:{folder}/vit.pt?arch=timm:vit_tiny_patch16_224&{ARGUMENTS}&size=32"
    return Trained(spec, by_timm(network, img_size=32), "head.bias, head.weight: the classifier")


def _safetensors_compiled_parallel(folder: Path) -> Trained:
    network = timm_network()
    wrapped = {f"module._orig_mod.{name}": tensor for name, tensor in network.state_dict().items()}
    save_file(wrapped, folder / "model.safetensors")
    return Trained(f"{folder}?arch=timm:test_resnet", by_timm(network), "names without _orig_mod")


def _torchvision_example(folder: Path) -> Trained:
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=7)
    randomise(network)
    with_statistics(network)
    state = {"epoch": 3, "arch": "resnet18", "best_acc1": torch.tensor(71.0)}
    state["state_dict"] = nn.DataParallel(network).state_dict()
    torch.save(state, folder / "model_best.pth.tar")
    network.fc = nn.Identity()
    transform = torchvision.transforms._presets.ImageClassification(crop_size=224)
    return Trained(str(folder / "model_best.pth.tar"), by_module(network, transform), "torchvision:resnet18 (the file)")


def _torchvision_references(folder: Path) -> Trained:
    torch.manual_seed(0)
    network = torchvision.models.shufflenet_v2_x0_5(num_classes=7)
    randomise(network)
    with_statistics(network)
    arguments = argparse.Namespace(
        model="shufflenet_v2_x0_5", val_resize_size=100, val_crop_size=96, interpolation="bicubic", data_path="/x"
    )
    averaged = torch.optim.swa_utils.AveragedModel(network)
    state = {"model": network.state_dict(), "epoch": 2, "args": arguments, "model_ema": averaged.state_dict()}
    torch.save(state, folder / "model_2.pth")
    network.fc = nn.Identity()
    bicubic = torchvision.transforms.InterpolationMode.BICUBIC
    preset = torchvision.transforms._presets.ImageClassification
    transform = preset(crop_size=96, resize_size=100, interpolation=bicubic)
    return Trained(str(folder / "model_2.pth"), by_module(network, transform), "preprocessing of the file")


def _open_clip(folder: Path, record: str = "") -> tuple[nn.Module, Path]:
    """The log folder of open_clip's training after two epochs."""
    network = clip_network(folder)
    logs = folder / "2026_11_28-model_ViT-tiny-test"
    (logs / "checkpoints").mkdir(parents=True)
    (logs / "params.txt").write_text(f"batch_size: 64\nmodel: ViT-tiny-test\nforce_quick_gelu: False\n{record}")
    for epoch in (1, 2):
        state = {f"module.{name}": tensor + 2 - epoch for name, tensor in network.state_dict().items()}
        saved = {"epoch": epoch, "name": logs.name, "state_dict": state, "optimizer": {}}
        torch.save(saved, logs / "checkpoints" / f"epoch_{epoch}.pt")
    return network, logs


def by_clip(network: nn.Module, **data: Any) -> Embed:
    visual = copy.deepcopy(network.visual)
    preprocess = {**open_clip.get_model_preprocess_cfg(network), **data}
    return by_module(
        visual, open_clip.transform.image_transform_v2(open_clip.transform.PreprocessCfg(**preprocess), is_train=False)
    )


def _open_clip_folder(folder: Path) -> Trained:
    record = "image_mean: [0.5, 0.4, 0.3]\nimage_std: None\nforce_image_size: None\n"
    network, logs = _open_clip(folder, record)
    return Trained(str(logs), by_clip(network, mean=[0.5, 0.4, 0.3]), "epoch_2.pt (the newest of 2)")


def _open_clip_own_convention(folder: Path) -> Trained:
    network, logs = _open_clip(folder)
    return Trained(f"open_clip:ViT-tiny-test/{logs}/checkpoints/epoch_2.pt", by_clip(network), "module.visual.")


def hf_trainer(folder: Path, *, best: bool) -> nn.Module:
    """The output folder of transformers' Trainer after two epochs."""
    network = hf_network()
    rows = [{"pixel_values": torch.rand(3, 32, 32), "labels": i % 7} for i in range(8)]
    more = {"load_best_model_at_end": True, "eval_strategy": "epoch", "metric_for_best_model": "loss"} if best else {}
    arguments = tf.TrainingArguments(
        output_dir=str(folder), num_train_epochs=2, per_device_train_batch_size=4, save_strategy="epoch",
        report_to=[], use_cpu=True, disable_tqdm=True, learning_rate=1e-2, **more,
    )  # fmt: skip
    trainer = tf.Trainer(network, arguments, train_dataset=rows, eval_dataset=rows, processing_class=vit_processor())
    trainer.train()
    return network


def _hf_trainer_best(folder: Path) -> Trained:
    pytest.importorskip("accelerate")
    network = hf_trainer(folder, best=True)  # the best one is loaded at the end
    return Trained(str(folder), by_vit(network), "of 2 by trainer_state.json")


def _hf_trainer_newest(folder: Path) -> Trained:
    pytest.importorskip("accelerate")
    return Trained(str(folder), by_vit(hf_trainer(folder, best=False)), "(the newest of 2)")


def _hf_without_processor(folder: Path) -> Trained:
    network = hf_network()
    network.save_pretrained(folder)
    parts = torchvision.transforms
    steps = [parts.Resize(32, parts.InterpolationMode.BICUBIC), parts.CenterCrop(32), parts.ToTensor()]
    transform = parts.Compose([*steps, parts.Normalize([0.5] * 3, [0.5] * 3)])
    network.classifier = nn.Identity()
    embed = by_module(LogitsOf(network), transform)
    return Trained(f"{folder}?size=32&mean=0.5&std=0.5&interpolation=bicubic", embed)


class LogitsOf(nn.Module):
    """Logits of a model of transformers."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(pixels).logits
        return logits


def _hf_without_processor_refused(folder: Path) -> Trained:
    hf_network().save_pretrained(folder)
    return Trained(str(folder), None, "state it: ?size=224&mean=0.5&std=0.5&interpolation=bicubic")


def _lightning(folder: Path, network: nn.Module, logs: bool = True) -> Any:
    """A training by Lightning whose module holds the network as ``model``."""
    lightning = pytest.importorskip("pytorch_lightning")

    class Module(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self, lr: float = 1e-3, settings: Any = None) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.model = network

        def training_step(self, batch: Any, index: int) -> Any:
            output = self.model(batch)
            return (getattr(output, "logits", output) ** 2).mean()

        def train_dataloader(self) -> Any:
            return torch.utils.data.DataLoader(torch.rand(4, 3, 32, 32), batch_size=2)

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)

    trainer = lightning.Trainer(
        max_epochs=2, default_root_dir=folder, accelerator="cpu", enable_progress_bar=False,
        enable_model_summary=False, logger=lightning.loggers.CSVLogger(folder) if logs else False,
    )  # fmt: skip
    trainer.fit(Module(settings=argparse.Namespace(width=3)))
    return trainer


def _lightning_folder(folder: Path) -> Trained:
    network = timm_network()
    _lightning(folder, network)
    spec = f"{folder}?arch=timm:test_resnet"
    return Trained(spec, by_timm(network), "names without 'state_dict.model.'")


def _lightning_transformers(folder: Path) -> Trained:
    network = hf_network()
    trainer = _lightning(folder, network, logs=False)
    trainer.save_checkpoint(folder / "mine.ckpt")
    hf_network(3).save_pretrained(folder / "base")
    vit_processor().save_pretrained(folder / "base")
    spec = f"weights:{folder}/mine.ckpt?arch=transformers:{folder}/base"
    return Trained(spec, by_vit(network), "names without 'state_dict.model.'")


def _peft(folder: Path, **settings: Any) -> nn.Module:
    """An adapter that PEFT saved, of a base in a folder; the adapted network."""
    peft = pytest.importorskip("peft")
    hf_network(2).to(settings.pop("dtype", torch.float32)).save_pretrained(folder / "base")
    vit_processor().save_pretrained(folder / "base")
    base = tf.ViTForImageClassification.from_pretrained(
        folder / "base", num_labels=7, ignore_mismatched_sizes=True, dtype=torch.float32
    )
    options = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"], "modules_to_save": ["classifier"]}
    adapted = peft.get_peft_model(base, peft.LoraConfig(**{**options, **settings}))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn_like(parameter) * 0.3)
    adapted.save_pretrained(folder / "adapter")
    return adapted


def _lora(folder: Path) -> Trained:
    adapted = _peft(folder)
    return Trained(str(folder / "adapter"), by_vit(adapted.get_base_model()), "LORA adapter, merged into base")


def _lora_of_bfloat16(folder: Path) -> Trained:
    adapted = _peft(folder, dtype=torch.bfloat16)
    return Trained(str(folder / "adapter"), by_vit(adapted.get_base_model()), "LORA adapter, merged into base")


def _dora(folder: Path) -> Trained:
    adapted = _peft(folder, use_dora=True, use_rslora=True)
    return Trained(str(folder / "adapter"), by_vit(adapted.get_base_model()), "LORA adapter, merged into base")


def _lora_without_base(folder: Path) -> Trained:
    _peft(folder)
    (folder / "base" / "config.json").unlink()
    (folder / "base").rename(folder / "elsewhere")
    return Trained(str(folder / "adapter"), None, "merge_and_unload")


def _dino(folder: Path) -> Trained:
    network = timm_network("vit_tiny_patch16_224", **VIT_OPTIONS)
    student = {f"module.backbone.{name}": tensor + 1 for name, tensor in network.state_dict().items()}
    teacher = {f"backbone.{name}": tensor for name, tensor in network.state_dict().items()}
    head = {"head.mlp.0.weight": torch.ones(4, 32), "head.last_layer.weight_v": torch.ones(4, 4)}
    state = {"student": student, "teacher": teacher | head, "args": argparse.Namespace(arch="vit_tiny"), "epoch": 9}
    torch.save(state, folder / "checkpoint.pth")
    spec = f"weights:{folder}/checkpoint.pth?arch=timm:vit_tiny_patch16_224&{ARGUMENTS}&size=32&prefix=teacher.backbone"
    return Trained(spec, by_timm(network, img_size=32), "names without 'teacher.backbone.'")


def _sharded(folder: Path) -> Trained:
    network = timm_network()
    tensors = network.state_dict()
    names = sorted(tensors)
    parts = {1: names[: len(names) // 2], 2: names[len(names) // 2 :]}
    for i, part in parts.items():
        save_file({name: tensors[name] for name in part}, folder / f"model-{i:05d}-of-00002.safetensors")
    index = {name: f"model-{i:05d}-of-00002.safetensors" for i, part in parts.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return Trained(f"{folder}?arch=timm:test_resnet", by_timm(network), "timm:test_resnet")


def _onnx(folder: Path) -> Trained:
    network = timm_network()
    network.reset_classifier(0)
    file = folder / "network.onnx"
    axes = {"x": {0: "n"}}
    picture = torch.zeros(1, 3, 160, 160)
    torch.onnx.export(network, (picture,), str(file), dynamo=False, dynamic_axes=axes, input_names=["x"])

    transform = torchvision_transform(160, [0.5] * 3, [0.5] * 3)
    return Trained(f"{file}?mean=0.5&std=0.5", by_module(network, transform))


def _torchscript(folder: Path) -> Trained:
    torch.jit.trace(timm_network(), torch.zeros(1, 3, 64, 64)).save(str(folder / "model.pt"))
    return Trained(str(folder / "model.pt"), None, "torch.jit.load('model.pt').state_dict()")


def _whole_module(folder: Path) -> Trained:
    torch.save(timm_network(), folder / "model.pth")
    return Trained(f"{folder}/model.pth?arch=timm:test_resnet", None, "torch.save(model.state_dict(), 'weights.pth')")


def _keras(folder: Path) -> Trained:
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", b"\x89HDF")
    return Trained(str(folder / "model.keras"), None, "model.export('model.onnx', format='onnx')")


def _distributed(folder: Path) -> Trained:
    (folder / "__0_0.distcp").write_bytes(b"x")
    (folder / ".metadata").write_bytes(b"x")
    return Trained(str(folder), None, "dcp_to_torch . weights.pth")


TRAINERS: dict[str, Write] = {
    "timm train.py: folder": _timm_folder,
    "timm train.py: file alone": _timm_file,
    "timm train.py: its own preprocessing": _timm_settings,
    "timm train.py: pooling of a ViT": _timm_vit_pooling,
    "timm CheckpointSaver: averaged weights": _timm_ema,
    "torch.save(state_dict): timm ViT": _state_dict,
    "safetensors of a compiled, parallel network": _safetensors_compiled_parallel,
    "PyTorch's ImageNet example": _torchvision_example,
    "torchvision references": _torchvision_references,
    "open_clip: folder": _open_clip_folder,
    "open_clip:ARCH//path": _open_clip_own_convention,
    "Trainer: best": _hf_trainer_best,
    "Trainer: newest": _hf_trainer_newest,
    "save_pretrained without processor, stated": _hf_without_processor,
    "save_pretrained without processor": _hf_without_processor_refused,
    "Lightning: folder": _lightning_folder,
    "Lightning of a transformers model": _lightning_transformers,
    "PEFT: LoRA": _lora,
    "PEFT: LoRA on bfloat16": _lora_of_bfloat16,
    "PEFT: DoRA": _dora,
    "PEFT: base absent": _lora_without_base,
    "DINO": _dino,
    "shards": _sharded,
    "ONNX": _onnx,
    "TorchScript": _torchscript,
    "torch.save(model)": _whole_module,
    "Keras": _keras,
    "FSDP": _distributed,
}
"""By name. Those of Trainer, Lightning and PEFT are skipped where their packages are not installed."""
