"""Forward passes on a CPU: OpenVINO and ONNX Runtime against eager torch, each encoder by all of them in turn.

All runtimes embed the same views in each round. Weights are random, but for EfficientNet-Lite0, whose weights a package
brings. Torch is measured twice: as the commands run it (freed memory kept, chunks that the caches hold, side by side,
batch norms of EfficientNet-Lite0 folded), and as a plain *script* has it: channels last, all views as one batch, in a
process with nothing set.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.compute import prepare_process

if __name__ != "__main__":  # not the process that stands for a plain script
    prepare_process()  # as every command that embeds does, before torch is imported: it makes torch a third faster

import torch

from benchmark.encoders import Encoder, load_encoder
from benchmark.encoders.loaders.bundled import load_lite0_classifier
from benchmark.encoders.network import Network, Normalisation, network_encoder
from benchmark.encoders.placement import placement
from benchmark.encoders.preprocess.pixels import IMAGENET_MEAN, IMAGENET_PIXELS, IMAGENET_STD, describe
from benchmark.encoders.runtime.choose import RuntimeEmbedder, largest_relative_error, on_runtime
from scripts.speed.measure import Row, Seconds, child_environment, interleaved, thread_count

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


def rows(quick: bool = False, *, networks: Sequence[str] = tuple(NETWORKS), rounds: int = 3) -> Iterator[Row]:
    """Networks on one thread and on two; ``quick`` takes the last of them, on one."""
    for name in tuple(NETWORKS)[-1:] if quick else networks:
        for threads in (1,) if quick else (1, 2):
            with thread_count(threads):
                yield from _rows(name, NETWORKS[name], threads, 1 if quick else rounds)


def _rows(name: str, architecture: str, threads: int, rounds: int) -> Iterator[Row]:
    encoders = {runtime: _encoder(architecture, runtime) for runtime in RUNTIMES}
    encoders["one by one"] = _one_by_one(encoders["openvino"])
    generator = torch.Generator().manual_seed(0)
    views = torch.randint(0, 256, (VIEWS, 224, 224, 3), dtype=torch.uint8, generator=generator)
    expected = encoders["torch"].embed(views).numpy()
    error = {r: largest_relative_error(e.embed(views).numpy(), expected) for r, e in encoders.items()}
    with plain_script(architecture, threads) as by_script:
        work: dict[str, Callable[[], object]] = {r: partial(e.embed, views) for r, e in encoders.items()}
        times = interleaved({**work, "script": by_script}, rounds, warm_up=False)
    times.of["script"][:] = times.results["script"]  # as its own process measured it
    of = partial(Row, n=rounds, threads=threads)
    what = f"{name}, {threads} thread{'s' if threads > 1 else ''}"
    yield of(f"{what}: torch", VIEWS / times.median("torch"), "views/s")
    for runtime in RUNTIMES[1:]:
        wall, processor = times.ratio("torch", runtime), times.ratio("torch", runtime, "processor")
        note = f"largest relative error {error[runtime]:.1e}"
        yield of(f"{what}: {runtime}", wall, "times as fast as torch", processor=processor, note=note)
    for other, label in (("script", "torch in a plain script"), ("one by one", "openvino, a view at a time")):
        ratio = times.ratio(other, "openvino", "processor")
        yield of(f"{what}: {label}, against openvino", ratio, "times the processor time")


def _one_by_one(encoder: Encoder) -> Encoder:
    """The same network, given one view at a time where it takes a fixed number."""
    embed = encoder.embed
    assert isinstance(embed, RuntimeEmbedder)
    computes = copy.copy(embed.computes)
    computes.at_once = computes.at_once[-1:]
    return replace(encoder, embed=replace(embed, computes=computes))


@contextlib.contextmanager
def plain_script(architecture: str, threads: int) -> Iterator[Callable[[], Seconds]]:
    """A process that embeds ``VIEWS`` views at each call, and measures itself."""
    command = [sys.executable, "-m", __name__, architecture, str(threads)]
    environment = {name: value for name, value in child_environment({}).items() if name != "OMP_WAIT_POLICY"}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:

        def embed() -> Seconds:
            print(file=process.stdin, flush=True)
            wall, processor = map(float, process.stdout.readline().split())
            return Seconds(wall, processor)

        embed()
        yield embed
        process.stdin.close()


def serve(architecture: str, threads: int) -> None:
    """The process behind ``plain_script``: torch as it is, a plain network, one batch for each line of its input."""
    torch.set_num_threads(threads)
    module = _network(architecture).eval() if architecture else load_lite0_classifier()
    module = module.to(memory_format=torch.channels_last)
    pixels = torch.rand(VIEWS, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    for _ in sys.stdin:
        wall, processor = time.perf_counter(), time.process_time()
        with torch.inference_mode():
            module(pixels)
        print(time.perf_counter() - wall, time.process_time() - processor, flush=True)


@functools.cache
def _network(architecture: str) -> Any:
    import timm

    torch.manual_seed(0)
    return timm.create_model(architecture, pretrained=False, num_classes=0)


def _encoder(architecture: str, runtime: str) -> Encoder:
    nowhere = Path("nowhere")  # no weights are identified, so nothing is stored
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


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
