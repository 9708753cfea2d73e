"""Networks with random weights: which precisions pass the gate, how fast are the stages and the whole pipeline?"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmark.bank.bank import Bank
from benchmark.bank.fill.fill import PassOutcome, fill_banks
from benchmark.bank.gates import THRESHOLD, neighbouring, trace_to_noise
from benchmark.bank.keys import bank_key
from benchmark.encoders import Encoder
from benchmark.encoders.network import Network, Normalisation, network_encoder, pooled
from benchmark.encoders.placement import placement
from benchmark.encoders.preprocess.pixels import IMAGENET_MEAN, IMAGENET_STD, CenterCrop, Pixels, ResizeShort, describe
from benchmark.views import torch_views
from benchmark.views.recipe import ProcessingViews
from builders.photos import PhotoSet
from builders.pixels.decode import decode_rgb
from scripts.checks.gpu.pixels import BICUBIC, NAMES, scene_file
from scripts.speed.measure import Row, medians_on

VIT, RESNET = "vit_base_patch16_224", "resnet50"
TINY = ("test_vit", "test_resnet")
"""What ``--quick`` takes in their place."""
BATCH = 64
SCENES = 32
"""Different pictures; more photos are the same ones again."""


def precision(device: torch.device, quick: bool) -> Iterator[Row]:
    """The smallest trace of processing over the rounding of each precision."""
    dtypes = ("tf32", "bfloat16", "float16") if device.type == "cuda" else ("bfloat16",)
    for name in TINY if quick else (VIT, RESNET):
        exact = random_network(name, device, "float32")
        views = views_of(exact, device, photos=2 if quick else 32)
        reference = _embedded(exact, views)
        for dtype in dtypes:
            result = trace_to_noise(
                reference, _embedded(random_network(name, device, dtype), views), neighbouring(NAMES)
            )
            pair = " v ".join(NAMES[i] for i in result.pair)
            ratio = float("inf") if result.ratio is None else result.ratio
            verdict = "passes" if ratio >= THRESHOLD else "refused"
            note = f"{verdict}, at least {THRESHOLD:g} is asked; {result.trace:.1e} ({pair}) over {result.noise:.1e}"
            yield Row(f"{name}: trace to noise in {dtype}", ratio, "", note=note)


def stages(device: torch.device, quick: bool) -> Iterator[Row]:
    """Views per second of each stage alone."""
    name, size = (TINY[0], (96, 64)) if quick else (VIT, (500, 375))
    encoder = random_network(name, device, "float32")
    file = scene_file(0, *size)
    per_photo = len(NAMES)
    rounds = 1 if quick else 3
    [decode] = medians_on(device, lambda: decode_rgb(file), rounds=rounds)
    note = f"{size[0]} x {size[1]} pixels, 14 views a photo"
    yield Row("decode, one core", per_photo / decode, "views/s", note=note)
    [pillow] = medians_on(device, lambda: ProcessingViews(NAMES).make(file, "id", [encoder.preprocess]), rounds=rounds)
    yield Row("decode and views by Pillow, one core", per_photo / pillow, "views/s", note=note)
    for count, mixed in [(1, False), (3, True)] if quick else [(1, False), (8, False), (64, False), (64, True)]:
        yield from _on_device(device, encoder, file, count, mixed, rounds)
    dtypes = ("float32", "tf32", "bfloat16") if device.type == "cuda" else ("float32",)
    views = views_of(encoder, device, photos=5 if not quick else 1)[:BATCH]
    for dtype in dtypes:
        forward = random_network(name, device, dtype).embed
        [took] = medians_on(device, lambda forward=forward: forward(views), rounds=rounds)
        yield Row(f"{name}: forward in {dtype}", len(views) / took, "views/s", note=f"{len(views)} views a batch")


def _on_device(
    device: torch.device, encoder: Encoder, file: bytes, count: int, mixed: bool, rounds: int
) -> Iterator[Row]:
    """Views of one batch of photos, in memory already; every time other photos, each with a random scale."""
    photo = torch.from_numpy(np.array(decode_rgb(file)))
    height, width, _ = photo.shape
    sizes = [(width - 3 * i % 50, height - 2 * i % 40) if mixed else (width, height) for i in range(count)]
    photos, fresh = torch.stack([photo] * count), itertools.count()

    def copy() -> torch.Tensor:
        return photos.to(device)

    def make() -> None:
        ids = [str(next(fresh)) for _ in range(count)]
        torch_views(there, ids, NAMES, [encoder.preprocess.plan], sizes=sizes)

    there, memory = copy(), ""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    copied, made = medians_on(device, copy, make, rounds=rounds)
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) - before
        memory = f", {peak / (count * width * height):.0f} bytes a pixel at the peak"
    what = f"{count} photos of {'many sizes' if mixed else 'one size'}"
    yield Row(f"copy to the device, {what}", count * len(NAMES) / copied, "views/s")
    note = f"{width} x {height} at most{memory}"
    yield Row(f"views on the device, {what}", count * len(NAMES) / made, "views/s", note=note)


def pipeline(device: torch.device, quick: bool) -> Iterator[Row]:
    """Photos to bank, over the forward passes of as many views alone, which lie on the device already."""
    names = TINY[:1] if quick else (VIT, RESNET)
    cases = [(name, "float32") for name in names] + ([] if quick else [(VIT, "bfloat16")])
    workers = 0 if quick else min(16, os.cpu_count() or 1)
    for (name, dtype), mixed in itertools.product(cases, (False, True)):
        encoder = random_network(name, device, dtype)
        files = mixed_files(4 if quick else 256, quick) if mixed else files_of_one_size(4 if quick else 256, quick)
        photos = PhotoSet.of_bytes("scenes", {f"scene {i}": file for i, file in enumerate(files)})
        views = views_of(encoder, device, photos=BATCH // len(NAMES))
        batches = len(photos) * len(NAMES) // len(views)

        def forward(encoder: Encoder = encoder, views: torch.Tensor = views, batches: int = batches) -> None:
            for _ in range(batches):
                encoder.embed(views)

        def whole(way: str, photos: PhotoSet = photos, encoder: Encoder = encoder) -> None:
            filled(photos, encoder, way, workers)

        floor, *times = medians_on(
            device, forward, partial(whole, "device"), partial(whole, "cpu"), rounds=1 if quick else 3
        )
        note = f"{len(photos)} photos x 14 views, {batches} batches of {len(views)}"
        for who, took in zip(("views on the device", f"views by {workers} workers"), times, strict=True):
            what = f"{name}, {dtype}, {'many sizes' if mixed else 'one size'}, {who}"
            yield Row(what, took / floor, "of forward passes alone", note=note)


@cache
def random_network(name: str, device: torch.device, dtype: str, compile: bool = False) -> Encoder:
    """A timm architecture with seeded random weights, as an encoder."""
    module = seeded(name)
    side = module.default_cfg["input_size"][-1]
    pixels = Pixels((ResizeShort(side, BICUBIC), CenterCrop(side, side, "round")))
    return network_encoder(
        Network(
            name=f"timm:{name} with random weights",
            library="timm",
            module=module,
            preprocess=pixels,
            preprocessing=describe(pixels, IMAGENET_MEAN, IMAGENET_STD, "pil"),
            normalise=Normalisation(IMAGENET_MEAN, IMAGENET_STD),
            forward=lambda network, batch: pooled(network(batch)),
            pooling="features before the classifier",
        ),
        placement(str(device), dtype, compile),
    )


def seeded(name: str) -> nn.Module:
    """A timm architecture with seeded random weights."""
    import timm

    torch.manual_seed(0)
    return timm.create_model(name, pretrained=False, num_classes=0)


def views_of(encoder: Encoder, device: torch.device, photos: int) -> torch.Tensor:
    """uint8 [photos * 14, height, width, 3] of different scenes, on the device."""
    made = []
    for i in range(photos):
        photo = torch.from_numpy(np.array(decode_rgb(scene_file(i, 320, 240))))[None].to(device)
        made.append(torch_views(photo, [str(i)], NAMES, [encoder.preprocess.plan])[0][0])
    return torch.cat(made)


def _embedded(encoder: Encoder, views: torch.Tensor) -> np.ndarray:
    """float32 [views of a photo, photos, dimension]."""
    embeddings = torch.cat([encoder.embed(batch) for batch in views.split(BATCH)])
    return embeddings.unflatten(0, (-1, len(NAMES))).transpose(0, 1).numpy()


def mixed_files(count: int, quick: bool) -> Sequence[bytes]:
    """JPEG files of different sizes, with the same pixels on average as ``files_of_one_size``."""
    width, height = (96, 64) if quick else (500, 375)
    return _repeated([(width - 3 * i % 90, height + 2 * i % 60) for i in range(min(count, SCENES))], count)


def files_of_one_size(count: int, quick: bool) -> Sequence[bytes]:
    """JPEG files of scenes."""
    return _repeated([(96, 64) if quick else (500, 375)] * min(count, SCENES), count)


def _repeated(sizes: Sequence[tuple[int, int]], count: int) -> Sequence[bytes]:
    files = [scene_file(i, *size) for i, size in enumerate(sizes)]
    return [files[i % len(files)] for i in range(count)]


def filled(photos: PhotoSet, encoder: Encoder, way: str, workers: int, batch_size: int = BATCH) -> PassOutcome:
    """A whole pass into a bank that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="camtrace-") as folder:
        return fill(Path(folder), photos, encoder, way, workers, batch_size)[0]


def fill(
    folder: Path, photos: PhotoSet, encoder: Encoder, way: str, workers: int, batch_size: int = BATCH
) -> tuple[PassOutcome, Bank]:
    """A whole pass into a bank in this folder."""
    recipe = ProcessingViews(NAMES)
    key = bank_key(encoder.info, encoder.dtype, photos, way, "float32", device=encoder.device)
    bank = Bank.open(folder, key, recipe.view_keys())
    result = fill_banks(
        photos, recipe, [encoder], [bank], batch_size=batch_size, workers=workers, views=way, silent=True
    )
    return result, bank
