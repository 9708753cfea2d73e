"""Forward passes on a CPU: OpenVINO and ONNX Runtime against eager torch, each encoder by all of them in turn.

Every round runs all runtimes one after the other on the same views; a figure is the median over rounds of their ratio
within a round. Weights are random, but for EfficientNet-Lite0, whose weights a package brings. Torch is measured twice:
as the commands run it (freed memory kept, chunks that the caches hold, side by side, batch norms of EfficientNet-Lite0
folded), and as a *script* of one's own has it: channels last, all views as one batch, in a process with nothing set.

    python scripts/speed_runtimes.py [--quick]
"""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.compute import prepare_process

if __name__ != "__main__" or len(sys.argv) != 3:  # not the process that stands for a script of one's own
    prepare_process()  # as every command that embeds does, before torch is imported: it makes torch a third faster

import torch

from benchmark.encoders import Encoder, load_encoder
from benchmark.encoders.bundled import load_lite0_classifier
from benchmark.encoders.embedding import Network, Normalisation, network_encoder
from benchmark.encoders.pixels import IMAGENET_MEAN, IMAGENET_PIXELS, IMAGENET_STD, describe
from benchmark.encoders.placement import placement
from benchmark.encoders.runtime import RuntimeEmbedder, largest_relative_error, on_runtime

NETWORKS = {
    "ResNet-50": "resnet50",
    "ViT-B/16": "vit_base_patch16_224",
    "ConvNeXt-T": "convnext_tiny",
    "MobileNetV3-L": "mobilenetv3_large_100",
    "EfficientNet-B0": "efficientnet_b0",
    "EfficientNet-Lite0": "",
}
"""Name -> timm's name of the architecture; the last is ``bundled:efficientnet-lite0``."""

RUNTIMES = ("torch", "openvino", "onnxruntime")
VIEWS = 16


@dataclass(frozen=True)
class Row:
    """One network at one number of threads."""

    what: str
    torch_views_per_second: float
    openvino: float
    """Times as fast as torch, by the clock."""
    openvino_cpu: float
    """The same in processor time."""
    openvino_script: float
    """Processor time of torch in a script over OpenVINO's."""
    openvino_one_by_one: float
    """OpenVINO's processor time of one view at a time over that of as many as the network takes."""
    openvino_error: float
    """Largest relative error of an embedding against torch's."""
    onnxruntime: float
    onnxruntime_cpu: float
    onnxruntime_error: float


def rows(quick: bool = False, *, networks: Sequence[str] = tuple(NETWORKS)) -> list[Row]:
    """Networks on one thread and on two; ``quick`` takes the last of them, on one."""
    before, found = torch.get_num_threads(), []
    try:
        for name in tuple(NETWORKS)[-1:] if quick else networks:
            for threads in (1,) if quick else (1, 2):
                torch.set_num_threads(threads)
                found.append(_measure(name, NETWORKS[name], threads, 1 if quick else 3))
    finally:
        torch.set_num_threads(before)
    return found


def _measure(name: str, architecture: str, threads: int, rounds: int) -> Row:
    encoders = {runtime: _encoder(architecture, runtime) for runtime in RUNTIMES}
    encoders["one by one"] = _one_by_one(encoders["openvino"])
    generator = torch.Generator().manual_seed(0)
    views = torch.randint(0, 256, (VIEWS, 224, 224, 3), dtype=torch.uint8, generator=generator)
    expected = encoders["torch"].embed(views).numpy()
    error = {r: largest_relative_error(e.embed(views).numpy(), expected) for r, e in encoders.items()}
    with script(architecture, threads) as by_script:
        taken = [
            {runtime: _seconds(encoder, views) for runtime, encoder in encoders.items()} | {"script": by_script()}
            for _ in range(rounds)
        ]

    def ratio(runtime: str, clock: int, to: str = "torch") -> float:
        return statistics.median(one[to][clock] / one[runtime][clock] for one in taken)

    return Row(
        f"{name}, {threads} thread{'s' if threads > 1 else ''}",
        VIEWS / statistics.median(one["torch"][0] for one in taken),
        ratio("openvino", 0),
        ratio("openvino", 1),
        ratio("openvino", 1, "script"),
        ratio("openvino", 1, "one by one"),
        error["openvino"],
        ratio("onnxruntime", 0),
        ratio("onnxruntime", 1),
        error["onnxruntime"],
    )


def _one_by_one(encoder: Encoder) -> Encoder:
    """The same network, given one view at a time where it takes a fixed number."""
    embed = encoder.embed
    assert isinstance(embed, RuntimeEmbedder)
    computes = copy.copy(embed.computes)
    computes.at_once = computes.at_once[-1:]
    return replace(encoder, embed=replace(embed, computes=computes))


def _seconds(encoder: Encoder, views: torch.Tensor) -> tuple[float, float]:
    """(by the clock, of processors)."""
    clock, processors = time.perf_counter(), time.process_time()
    encoder.embed(views)
    return time.perf_counter() - clock, time.process_time() - processors


@contextlib.contextmanager
def script(architecture: str, threads: int) -> Iterator[Callable[[], tuple[float, float]]]:
    """A process that embeds ``VIEWS`` views when it is asked: (by the clock, of processors)."""
    words = [sys.executable, __file__, architecture, str(threads)]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, env=environment, **pipes) as process:  # type: ignore[call-overload]

        def ask() -> tuple[float, float]:
            print(file=process.stdin, flush=True)
            clock, processors = map(float, process.stdout.readline().split())
            return clock, processors

        ask()
        yield ask
        process.stdin.close()


def answer(architecture: str, threads: int) -> None:
    """What ``script`` talks to: torch as it is, a plain network, one batch."""
    torch.set_num_threads(threads)
    module = _network(architecture).eval() if architecture else load_lite0_classifier()
    module = module.to(memory_format=torch.channels_last)
    pixels = torch.rand(VIEWS, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    for _ in sys.stdin:
        clock, processors = time.perf_counter(), time.process_time()
        with torch.inference_mode():
            module(pixels)
        print(time.perf_counter() - clock, time.process_time() - processors, flush=True)


@functools.cache
def _network(architecture: str) -> Any:
    import timm

    torch.manual_seed(0)
    return timm.create_model(architecture, pretrained=False, num_classes=0)


def _encoder(architecture: str, runtime: str) -> Encoder:
    nowhere = Path("nowhere")  # no weights are identified, so nothing is kept
    if not architecture:
        return load_encoder("bundled:efficientnet-lite0", device="cpu", runtime=runtime)
    network = Network(
        name=architecture,
        library="timm",
        module=_network(architecture),
        preprocess=IMAGENET_PIXELS,
        preprocessing=describe(IMAGENET_PIXELS, IMAGENET_MEAN, IMAGENET_STD, "pil"),
        normalise=Normalisation(IMAGENET_MEAN, IMAGENET_STD),
        forward=lambda module, pixels: module(pixels),
        pooling="timm's",
        stateless=True,
        weights_sha256=None,
    )
    return on_runtime(network_encoder(network, placement("cpu", "float32")), runtime, nowhere)


if __name__ == "__main__" and len(sys.argv) == 3:  # as ``script`` starts it
    answer(sys.argv[1], int(sys.argv[2]))
elif __name__ == "__main__":
    for row in rows(quick="--quick" in sys.argv):
        print(row, flush=True)
