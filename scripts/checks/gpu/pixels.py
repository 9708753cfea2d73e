"""Pixels: the torch engine on its device against the Pillow of the machine."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmark.encoders.preprocess.pixels import CenterCrop, CenterSquare, Pixels, ResizeShort, ResizeTo
from benchmark.views import possible, torch_views
from benchmark.views.device.jpeg import round_trips
from benchmark.views.device.views import BYTES_PER_PIXEL, equals_pillow
from builders.errors import PhotoError
from builders.pixels.decode import decode_rgb
from builders.pixels.parameters import PROCESSINGS
from builders.pixels.reference import encode_jpeg, open_processed, process_by_pillow
from scripts.speed.measure import Row

NAMES = tuple(PROCESSINGS)
BICUBIC, BILINEAR, BOX, LANCZOS = (int(Image.Resampling[n]) for n in ("BICUBIC", "BILINEAR", "BOX", "LANCZOS"))
ENCODERS = (Pixels((ResizeShort(224, BICUBIC), CenterCrop(224, 224, "round"))),)
"""The preprocessing that photos are checked with."""
ODD = (
    Pixels((ResizeShort(24, BICUBIC), CenterCrop(24, 24, "round"))),
    Pixels((ResizeTo(20, 31, BILINEAR),)),
    Pixels((CenterSquare(0.875), ResizeTo(16, 16, BOX))),
    Pixels((ResizeShort(9, LANCZOS), CenterCrop(20, 13))),
    Pixels((CenterCrop(30, 30),)),
)
"""Those that odd pictures are checked with."""
QUALITIES = (5, 30, 75, 85, 95, 100)


def pixels(device: torch.device, quick: bool, folder: Path | None = None) -> Iterator[Row]:
    """Views and plain JPEG round trips that differ from Pillow's in any pixel."""
    yield Row("self-test passed", float(equals_pillow(device)), "", wrong=not equals_pillow(device))
    yield _odd(device, pictures=20 if quick else 1000, limit_s=60)
    sizes = [(96, 64)] if quick else [(500, 375)] * 8 + [(375, 500), (2000, 1333), (1500, 2000), (4000, 3000)]
    generated = ((f"scene {i}", scene(i, *size)) for i, size in enumerate(sizes))
    yield _compared("generated photos", generated, device)
    if folder is not None:
        yield _compared(f"photos of {folder.name}", _read(folder), device)


def scene(seed: int, width: int, height: int) -> Image.Image:
    """A picture with a photo's steep spectrum, edges, and some noise of a sensor."""
    random = np.random.default_rng([seed, width, height])
    total = np.full((height, width, 3), 128.0)
    for octave in range(1, 8):
        cells = random.normal(0, 1, (2**octave, 2**octave, 3)) * 110 / 2**octave + 128
        coarse = Image.fromarray(cells.clip(0, 255).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(coarse, dtype=np.float64) - 128
    for _ in range(6):
        (left, right), (top, bottom) = np.sort(random.integers(0, width, 2)), np.sort(random.integers(0, height, 2))
        total[top:bottom, left:right] += random.normal(0, 40, 3)
    return Image.fromarray((total + random.normal(0, 3, total.shape)).clip(0, 255).astype(np.uint8))


def scene_file(seed: int, width: int, height: int) -> bytes:
    """The same as a JPEG file, as photos come."""
    return encode_jpeg(scene(seed, width, height), 92, "4:2:0")


def _odd(device: torch.device, pictures: int, limit_s: float) -> Row:
    """Small pictures of every size and kind, four at a time; stops at a time limit."""
    random = np.random.default_rng(0)
    wrong = total = 0
    until = time.perf_counter() + limit_s
    wanted = [(quality, subsampling) for quality in QUALITIES for subsampling in ("4:2:0", "4:4:4")]
    for case in range(pictures // 4):
        width, height = (int(n) for n in random.integers(2, 41 if case % 4 else 200, 2))
        photos = _kinds(random, width, height)
        ids = [f"{case}/{i}" for i in range(len(photos))]
        there = torch.from_numpy(photos).to(device)
        made = [views.cpu().numpy() for views in torch_views(there, ids, NAMES, [p.plan for p in ODD])]
        trips = [trip.permute(0, 2, 3, 1).cpu().numpy() for trip in round_trips(there.permute(0, 3, 1, 2), wanted)]
        for i, photo in enumerate(Image.fromarray(p) for p in photos):
            for v, name in enumerate(NAMES):
                image = process_by_pillow(photo, PROCESSINGS[name], ids[i])
                wrong += sum(not np.array_equal(made[p][i, v], encoder(image)) for p, encoder in enumerate(ODD))
            for pair, trip in zip(wanted, trips, strict=True):
                wrong += not np.array_equal(trip[i], np.asarray(open_processed(encode_jpeg(photo, *pair))))
            total += len(NAMES) * len(ODD) + len(wanted)
        if time.perf_counter() > until:
            break
    return Row(
        "odd pictures", wrong, f"of {total:,} wrong", note="sides 2 to 199, noise to checkerboards", wrong=wrong > 0
    )


def _kinds(random: np.random.Generator, width: int, height: int) -> np.ndarray:
    """uint8 [4, height, width, 3]: noise, noise at full swing, a checkerboard, a ramp."""
    y, x = np.mgrid[0:height, 0:width]
    noise = random.integers(0, 256, (height, width, 3))
    swing = random.integers(0, 2, (height, width, 3)) * 255
    board = np.repeat(((x + y) % 2 * 255)[..., None], 3, -1)
    ramp = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1)
    return np.stack([noise, swing, board, ramp]).astype(np.uint8)


def _compared(what: str, photos: Iterable[tuple[str, Image.Image]], device: torch.device) -> Row:
    """One photo at a time on the device, several in Pillow; as many are in memory as there are threads."""
    plans = [encoder.plan for encoder in ENCODERS]
    wrong = count = left = 0
    largest = free_bytes(device) // BYTES_PER_PIXEL

    def expected_of(photo_id: str, photo: Image.Image) -> list[np.ndarray]:
        images = [process_by_pillow(photo, PROCESSINGS[name], photo_id) for name in NAMES]
        return [np.stack([encoder(image) for image in images]) for encoder in ENCODERS]

    stream, threads = iter(photos), torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        while part := list(itertools.islice(stream, threads)):
            fit = [
                (name, photo)
                for name, photo in part
                if photo.width * photo.height <= largest and possible(*photo.size, name, NAMES, plans)
            ]
            count, left = count + len(fit), left + len(part) - len(fit)
            for (name, photo), expected in zip(fit, pool.map(lambda one: expected_of(*one), fit), strict=True):
                there = torch.from_numpy(np.array(photo))[None].to(device)
                for views, reference in zip(torch_views(there, [name], NAMES, plans), expected, strict=True):
                    wrong += int((views[0].cpu().numpy() != reference).reshape(len(NAMES), -1).any(1).sum())
    total = count * len(NAMES) * len(ENCODERS)
    note = f"{count} photos" + (f", {left} left to Pillow" if left else "")
    return Row(what, wrong, f"of {total:,} wrong", note=note, wrong=wrong > 0)


def free_bytes(device: torch.device) -> int:
    """Of a GPU; on a CPU, what a small machine can spare."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 1 << 32


def _read(folder: Path) -> Iterator[tuple[str, Image.Image]]:
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            yield path.name, decode_rgb(path.read_bytes())
        except (PhotoError, OSError):
            continue
