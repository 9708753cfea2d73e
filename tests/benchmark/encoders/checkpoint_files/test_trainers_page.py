"""Every line of "How to score your checkpoint": it runs, and preprocesses as that trainer's own evaluation does."""

import functools
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
import transformers
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from benchmark.encoders import load_encoder
from tests.benchmark.encoders.checkpoint_files import official

PAGE = Path(__file__).parents[4] / "docs/how-to/score-your-checkpoint.md"
ROWS = re.findall(r"^\|(.+?)\|.*?`camtrace score --model (\S+|'\S+')`", PAGE.read_text(), re.MULTILINE)
LINES = {trainer: shlex.split(spec)[0] for trainer, spec in ROWS}

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5,) * 3, (0.5,) * 3)
BICUBIC, BILINEAR = InterpolationMode.BICUBIC, InterpolationMode.BILINEAR


def cropped(resize, crop, interpolation, mean, std):
    steps = [transforms.Resize(resize, interpolation), transforms.CenterCrop(crop), transforms.ToTensor()]
    return transforms.Compose([*steps, transforms.Normalize(mean, std)])


SMALL = "&arch.embed_dim=64&arch.depth=2&arch.num_heads=2"


@functools.cache
def state_of_open_clip():
    """Made once: both of its lines ask for this network, and nothing smaller."""
    return open_clip.create_model("ViT-B-32").state_dict()


@dataclass(frozen=True)
class Trainer:
    """What a trainer writes at the path of its line, and how it evaluates."""

    write: object
    """Path -> None."""
    evaluation: object = None
    """Photo -> pixels; None for a trainer without its own, of which the preprocessing is guessed."""
    smaller: str = ""
    """Options that give the network of the line few layers."""


def saved(make):
    def write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(make(), path)

    return write


def timm_train(folder):
    folder.mkdir(parents=True)
    record = {"model": "test_resnet", "initial_checkpoint": "", "mean": [0.4] * 3, "std": [0.3] * 3, "crop_pct": 0.8}
    (folder / "args.yaml").write_text(json.dumps(record))
    torch.save({"state_dict": timm.create_model("test_resnet").state_dict()}, folder / "model_best.pth.tar")


def of_timm_train():
    network = timm.create_model("test_resnet")
    data = timm.data.resolve_data_config({"mean": [0.4] * 3, "std": [0.3] * 3, "crop_pct": 0.8}, model=network)
    return timm.data.create_transform(**data, is_training=False)


VIT = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}


def processor():
    size = {"height": 64, "width": 64}
    return transformers.ViTImageProcessorPil(size=size, image_mean=[0.4] * 3, image_std=[0.3] * 3)


def of_transformers(folder):
    torch.manual_seed(0)
    config = transformers.ViTConfig(**VIT, image_size=64, patch_size=16, num_labels=3)
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    processor().save_pretrained(folder)


def state_of_transformers(path):
    of_transformers(path.parent / "google/vit-base-patch16-224")
    network = transformers.ViTForImageClassification.from_pretrained(path.parent / "google/vit-base-patch16-224")
    torch.save(network.state_dict(), path)


def by_processor(photo):
    return torch.from_numpy(np.asarray(processor()(photo)["pixel_values"][0]))


def adapter(folder):
    peft = pytest.importorskip("peft")
    of_transformers(folder.parent / "base")
    base = transformers.ViTForImageClassification.from_pretrained(folder.parent / "base")
    settings = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], modules_to_save=["classifier"])
    peft.get_peft_model(base, settings).save_pretrained(folder)


def of_open_clip(path):
    logs = path.parents[1] if path.suffix else path
    (logs / "checkpoints").mkdir(parents=True)
    (logs / "params.txt").write_text("model: ViT-B-32\nimage_mean: [0.4, 0.4, 0.4]\nforce_quick_gelu: False\n")
    state = state_of_open_clip()
    torch.save({"epoch": 10, "state_dict": state}, logs / "checkpoints" / "epoch_10.pt")


def by_open_clip(photo):
    settings = open_clip.transform.PreprocessCfg(size=224, mean=(0.4,) * 3)
    return open_clip.transform.image_transform_v2(settings, is_train=False)(photo)


def imagenet_example():
    return {
        "arch": "resnet18",
        "best_acc1": torch.tensor(1.0),
        "state_dict": torchvision.models.resnet18().state_dict(),
    }


def resnet50():
    return timm.create_model("resnet50").state_dict()


def lightning(folder):
    (folder / "checkpoints").mkdir(parents=True)
    state = {"state_dict": official.under("model.", resnet50())}
    torch.save(state, folder / "checkpoints" / "epoch=1-step=4.ckpt")


# main_lincls.py of MoCo v3; VISSL's linear evaluation of ImageNet for I-JEPA
CROP_OF_256 = cropped(256, 224, BILINEAR, *IMAGENET)

# eval_knn.py of DINO and iBOT; make_classification_eval_transform of DINOv2 and DINOv3; main_linprobe.py of MAE;
# build_transform of ConvNeXt (crop_pct 224 / 256) and Swin (TEST.CROP)
BICUBIC_OF_256 = cropped(256, 224, BICUBIC, *IMAGENET)

TRAINERS = {
    "timm's `train.py`": Trainer(timm_train, of_timm_train()),
    "Hugging Face `Trainer`": Trainer(lambda folder: of_transformers(folder / "checkpoint-500"), by_processor),
    "open_clip's training": Trainer(of_open_clip, by_open_clip),
    "the same, one epoch": Trainer(of_open_clip, by_open_clip),
    "PEFT (LoRA, DoRA, ...)": Trainer(adapter, by_processor),
    "torchvision's references, PyTorch's ImageNet example": Trainer(
        saved(imagenet_example), torchvision.transforms._presets.ImageClassification(crop_size=224, antialias=True)
    ),
    "Lightning": Trainer(lightning),
    'your own loop, `torch.save(model.state_dict(), "model.pth")`': Trainer(saved(resnet50)),
    "your own loop, a model of transformers": Trainer(state_of_transformers, by_processor),
    "DINO": Trainer(
        saved(lambda: {
            "student": official.under("module.backbone.", official.vit()),
            "teacher": official.under("backbone.", official.vit()),
        }), BICUBIC_OF_256, SMALL,
    ),
    "iBOT": Trainer(saved(official.ibot), BICUBIC_OF_256, SMALL),
    "DINOv2": Trainer(saved(official.dinov2_chunks), BICUBIC_OF_256, SMALL),
    "MAE": Trainer(saved(lambda: official.mae(decoder=True)), BICUBIC_OF_256, SMALL),
    "MoCo v3": Trainer(saved(official.moco), CROP_OF_256, SMALL),
    "I-JEPA": Trainer(saved(official.ijepa), CROP_OF_256, SMALL),
    "DINOv2, with registers": Trainer(
        saved(lambda: official.dinov2(register_tokens=official.numbers(1, 4, 64))), BICUBIC_OF_256, SMALL
    ),
    "DINOv3": Trainer(saved(official.dinov3), BICUBIC_OF_256, SMALL),
    "ConvNeXt": Trainer(
        saved(official.convnext), BICUBIC_OF_256, "&arch.depths=[1,1,1,1]&arch.dims=[16,32,48,64]",
    ),
    "Swin": Trainer(
        saved(official.swin), BICUBIC_OF_256, "&arch.embed_dim=16&arch.depths=[2,2]&arch.num_heads=[2,2]",
    ),
    # build_transform of BEiT's run_class_finetuning.py, without --imagenet_default_mean_and_std
    "BEiT": Trainer(saved(official.beit), cropped(256, 224, BICUBIC, *HALF), SMALL),
}  # fmt: skip


def test_page__every_line_is_tried():
    assert set(LINES) - {"another framework"} == set(TRAINERS)


@pytest.mark.slow
@pytest.mark.by_hand
@pytest.mark.parametrize("name", TRAINERS)
@pytest.mark.filterwarnings("ignore")
def test_line__preprocesses_as_its_trainer(name, tmp_path, monkeypatch, photos):
    monkeypatch.chdir(tmp_path)
    trainer, spec = TRAINERS[name], LINES[name]
    torch.manual_seed(0)
    path = re.sub(r"^(weights:|open_clip:[^/]+//)", "", spec).partition("?")[0]
    trainer.write(Path(path))
    encoder = load_encoder(spec + trainer.smaller, device="cpu", runtime="torch", cache=tmp_path / "cache")
    notices = " ".join(encoder.notices)
    if trainer.evaluation is None:
        assert "guessed" in notices
        for word in ("size", "mean", "std", "Crop"):
            assert word in notices
        return
    mean, std = (np.float32(encoder.info.preprocessing.get(key, 0)) for key in ("mean", "std"))
    for photo in photos:
        found = encoder.preprocess(photo)
        if found.dtype == np.uint8:
            found = ((found / np.float32(255) - mean) / std).transpose(2, 0, 1)
        np.testing.assert_allclose(found, trainer.evaluation(photo.convert("RGB")), atol=1e-5)
