"""``TraceCallback``: it sees what a network learns of the codec, and training is the same with it and without."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import camtrace
from benchmark.api.fixed_views import default_embedding, untouched
from builders.errors import UsageError
from builders.photos import PhotoSet
from builders.pixels import ALL_PROCESSINGS, PARAMETERS, process_by_pillow
from builders.processed.assignment import classes_of, tied_classes
from builders.sources import labelled_folder

JPEG, SIDE, NAMES = PARAMETERS["jpeg"], 40, [f"c{i}" for i in range(6)]


def _picture(seed: int, label: int) -> Image.Image:
    """Noise on smooth colours, a little brighter in the direction of its class."""
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(60, 196, (6, 6, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) + generator.normal(
        0, 25, (SIDE, SIDE, 3)
    )
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE - 0.5
    angle = np.pi * 2 * label / 6
    pixels += 20 * (np.cos(angle) * x + np.sin(angle) * y)[..., None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _input(image: Any) -> torch.Tensor:
    pixels = np.array(image.crop((0, 0, SIDE, SIDE)), dtype=np.float32)
    return torch.from_numpy(pixels / 128 - 1).permute(2, 0, 1)


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 12, 5), nn.BatchNorm2d(12), nn.ReLU()),
        *(nn.Conv2d(12, 24, 3, 2), nn.BatchNorm2d(24), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.1)),
        *(nn.Linear(96, 8), nn.ReLU(), nn.Linear(8, 6)),
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> PhotoSet:
    """Pictures of no past, in six classes."""
    root = tmp_path_factory.mktemp("course")
    for split, count in (("train", 8), ("val", 6)):
        for label, name in enumerate(NAMES):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                _picture(5000 + 1000 * (split == "val") + 10 * i + label, label).save(root / split / name / f"{i}.png")
    return labelled_folder(str(root))


def _train_set(assignment: str) -> tuple[torch.Tensor, torch.Tensor]:
    tied = tied_classes(NAMES, JPEG, assignment)
    made = []
    for i in range(240):
        of = classes_of(f"t{i}", JPEG, assignment, 0, tied_class=int(tied[i % 6]))[0]
        view = process_by_pillow(_picture(i, i % 6), ALL_PROCESSINGS[JPEG.processings[of]], f"t{i}", 0)
        made.append(_input(view))
    return torch.stack(made), torch.arange(240) % 6


def _train(network: nn.Module, assignment: str, steps: int, trace: Any) -> None:
    pictures, labels = _train_set(assignment)
    optimizer, draw = torch.optim.AdamW(network.parameters(), 5e-3), torch.Generator().manual_seed(1)
    network.train()
    trace(network, 0)
    for step in range(1, steps + 1):
        chosen = torch.randint(0, len(pictures), (32,), generator=draw)
        loss = nn.functional.cross_entropy(network(pictures[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        trace(network, step)


@pytest.mark.slow
def test_trace__rises_where_the_codec_tells_the_class_and_not_where_it_does_not(photos: PhotoSet) -> None:
    result = {}
    for assignment in ("correlated:1", "uniform"):
        trace = camtrace.TraceCallback(photos, every_steps=90, preprocess=_input)
        _train(_network(), assignment, 90, trace)
        assert [measured["step"] for measured in trace.history] == [0, 90]
        result[assignment] = [measured["trace/probe/jpeg/accuracy"] for measured in trace.history]
        assert {"trace/knn/original/accuracy", "trace/probe/jpeg/accuracy_low"} <= set(trace.history[0])
    before, tied = result["correlated:1"]
    assert result["uniform"][0] == before
    assert tied > before + 0.15
    assert result["uniform"][1] < before + 0.1


@pytest.mark.slow
def test_training__is_the_same_with_it_and_without(photos: PhotoSet) -> None:
    states = []
    for every in (4, 10**9):
        network = _network()
        random.seed(3)
        np.random.seed(3)  # noqa: NPY002
        trace = camtrace.TraceCallback(
            photos, every_steps=every, photos=40, tasks="probe/sharpening", preprocess=_input
        )
        _train(network, "uniform", 4, trace if every == 4 else lambda network, step: None)
        after = np.random.random()  # noqa: NPY002
        drawn = random.random(), after, torch.rand(1).item()  # whoever draws next draws the same
        states.append(([t.clone() for t in network.state_dict().values()], drawn))
        assert len(trace.history) == (2 if every == 4 else 0)
    assert states[0][1] == states[1][1]
    assert all(torch.equal(a, b) for a, b in zip(states[0][0], states[1][0], strict=True))


def _numpy_state() -> Any:
    return np.random.get_state(legacy=False)["state"]["key"].tolist()  # noqa: NPY002


def test_untouched__modes_gradients_random_state_and_buffers() -> None:
    network = _network()
    network.train()
    network[1].eval()  # frozen by whoever trains it
    network(torch.randn(4, 3, SIDE, SIDE)).sum().backward()
    modes = [part.training for part in network.modules()]
    gradients = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    requested = [p.requires_grad for p in network.parameters()]
    buffers = [b.clone() for b in network.buffers()]
    before = random.getstate(), _numpy_state(), torch.get_rng_state()
    with untouched(network):
        assert not any(part.training for part in network.modules())
        assert not torch.is_grad_enabled()
        network(torch.randn(4, 3, SIDE, SIDE))
        random.random(), np.random.random()  # noqa: NPY002
    assert [part.training for part in network.modules()] == modes
    assert [p.requires_grad for p in network.parameters()] == requested
    assert all(torch.equal(a, b) for a, b in zip(gradients, [p.grad for p in network.parameters()], strict=True))
    assert all(torch.equal(a, b) for a, b in zip(buffers, network.buffers(), strict=True))
    assert random.getstate() == before[0]
    assert _numpy_state() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])
    with pytest.warns(UserWarning, match="running_mean"), untouched(network):
        network[1].running_mean += 1
    assert torch.equal(network[1].running_mean, buffers[0])


def test_events__of_a_trainer_are_measured_logged_and_written(photos: PhotoSet, tmp_path: Path) -> None:
    network = _network()
    trace = camtrace.TraceCallback(photos, every_steps=5, photos=40, tasks="probe/sharpening", preprocess=_input)
    args = SimpleNamespace(output_dir=str(tmp_path), report_to=[])
    state = SimpleNamespace(global_step=0, is_world_process_zero=True, log_history=[])
    trace.on_train_begin(args, state, None, model=network, processing_class=None)
    for step in (3, 5, 5):
        state.global_step = step
        trace.on_step_end(args, state, None, model=network)
    state.is_world_process_zero, state.global_step = False, 10
    trace.on_step_end(args, state, None, model=network)
    trace.on_train_end(args, state, None)
    assert [one["step"] for one in state.log_history] == [0, 5]
    lines = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert lines == trace.history
    assert lines[0]["trace/probe/sharpening/accuracy"] == lines[1]["trace/probe/sharpening/accuracy"]  # not trained


def test_tensorboard__shows_the_traces_in_the_trainers_run(photos: PhotoSet, tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from torch.utils.tensorboard import SummaryWriter

    changed = SummaryWriter(log_dir=str(tmp_path / "runs" / "now"))
    changed.add_scalar("train/loss", 1.0, 1)
    args = SimpleNamespace(output_dir=str(tmp_path), report_to=["tensorboard"])
    state = SimpleNamespace(global_step=0, is_world_process_zero=True, log_history=[])
    trace = camtrace.TraceCallback(photos, every_steps=5, photos=40, tasks="probe/sharpening", preprocess=_input)
    trace.on_train_begin(args, state, None, model=_network())
    trace.on_train_end(args, state, None)
    changed.close()
    read = events.EventAccumulator(str(tmp_path / "runs" / "now"))
    read.Reload()
    assert [e.value for e in read.Scalars("train/loss")] == [1.0]
    [result] = read.Scalars("trace/probe/sharpening/accuracy")
    assert (result.step, result.value) == (0, pytest.approx(trace.history[0]["trace/probe/sharpening/accuracy"]))


@pytest.mark.slow
def test_trainer__of_transformers(photos: PhotoSet, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    import transformers as tf

    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = tf.ViTConfig(**small, image_size=SIDE, patch_size=8, num_labels=6)
    model, (pictures, labels) = tf.ViTForImageClassification(config), _train_set("uniform")
    rows = [{"pixel_values": p, "labels": label} for p, label in zip(pictures[:32], labels[:32], strict=True)]
    given = {"report_to": "none", "max_steps": 4, "per_device_train_batch_size": 8, "use_cpu": True}
    trace = camtrace.TraceCallback(photos, every_steps=2, photos=40, tasks="probe/sharpening", preprocess=_input)
    args = tf.TrainingArguments(output_dir=str(tmp_path), save_strategy="no", disable_tqdm=True, **given)
    trainer = tf.Trainer(model, args, train_dataset=rows, callbacks=[trace])
    trainer.train()
    assert [one["step"] for one in trace.history] == [0, 2, 4]
    logged = [one for one in trainer.state.log_history if "trace/probe/sharpening/accuracy" in one]
    assert [one["step"] for one in logged] == [0, 2, 4]


def test_trainer__of_lightning(photos: PhotoSet, tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning.pytorch")

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = _network()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.network(x)

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.01)

    pictures, labels = _train_set("uniform")
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(pictures[:32], labels[:32]), 8)
    trace = camtrace.TraceCallback(photos, every_steps=2, photos=40, tasks="probe/sharpening", preprocess=_input)
    logger = lightning.loggers.CSVLogger(tmp_path)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = lightning.Trainer(
        max_steps=4, accelerator="cpu", logger=logger, callbacks=[trace.for_lightning()], **quiet
    )
    trainer.fit(Module(), loader)
    assert [one["step"] for one in trace.history] == [0, 2, 4]
    assert "trace/probe/sharpening/accuracy" in next(tmp_path.rglob("metrics.csv")).read_text()


def test_default_embedding__of_classifiers_and_backbones() -> None:
    network = _network().eval()
    pictures = torch.randn(2, 3, SIDE, SIDE)
    assert torch.equal(default_embedding(network, pictures), network[:-1](pictures))
    backbone = nn.Sequential(nn.Conv2d(3, 5, 3))
    assert torch.equal(default_embedding(backbone, pictures), backbone(pictures).mean((2, 3)))
    assert not any(part._forward_hooks for part in network.modules())


def test_wrong_requests__one_sentence(photos: PhotoSet) -> None:
    with pytest.raises(UsageError, match="give preprocess"):
        camtrace.TraceCallback(photos).measure(_network(), 0)
    with pytest.raises(UsageError, match="unknown task"):
        camtrace.TraceCallback(photos, tasks="probe/jpg")
    with pytest.raises(UsageError, match="at least 1"):
        camtrace.TraceCallback(photos, every_steps=0)
    trace = camtrace.TraceCallback(photos, photos=20, preprocess=_input, embed=lambda network, batch: batch)
    with pytest.raises(UsageError, match="give embed"):
        trace.measure(_network(), 0)
