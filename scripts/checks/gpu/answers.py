"""Are a card's answers those of the CPU, and both those that were stored? From pixels to the scores of a whole run."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image

from benchmark.bank.fill.device_copy import DeviceCopy
from benchmark.views import ORIGINAL, torch_views
from builders.untrusted import describe_error
from scripts.checks.gpu.exactness import STEADY
from scripts.checks.gpu.pixels import ENCODERS, NAMES, ODD
from scripts.checks.gpu.reference_networks import NETWORKS, reference_encoder, reference_views, side_of
from scripts.speed.measure import Row
from scripts.speed.synthetic import steep_banks, steep_embeddings

STORED = Path(__file__).with_name("expected.json")
"""Answers of a CPU, by size of the check; ``--write-expected`` makes them again."""

SHARE = 0.002
"""Share of answers that may differ: two neighbours may be as near as rounding, a photo on the edge of a class."""

CPU = torch.device("cpu")
SEEDS, CLASSES = 3, 3

Values = Mapping[str, np.ndarray]


def answers(what: str, device: torch.device, quick: bool) -> Iterator[Row]:
    """Rows of one of ``CHECKS``. An error costs the row that it is in, and the others are still compared."""
    for name, check in CHECKS[what](quick).items():
        made: dict[str, Values] = {}
        for where, place in (("the CPU", CPU), ("the device", device)):
            try:
                made[where] = check(place)
            except ModuleNotFoundError:
                raise
            except Exception as error:
                yield Row(f"{name}, on {where}: failed: {describe_error(error)}", math.nan, "", wrong=True)
        with contextlib.suppress(KeyError):
            yield _compared(f"{name}, device against CPU", made["the device"], made["the CPU"])
        stored = expected(quick).get(f"{what}: {name}")
        for where, values in made.items():
            yield _compared(f"{name}, {where} against stored values", _stored_form(values), stored)


def expected(quick: bool) -> Mapping[str, Values]:
    """Stored values by name of a check."""
    by_size = json.loads(STORED.read_text())["quick" if quick else "full"]
    return {name: {key: np.asarray(one) for key, one in values.items()} for name, values in by_size.items()}


def write_expected(quick: bool) -> None:
    """Store what this CPU answers."""
    known = json.loads(STORED.read_text()) if STORED.exists() else {}
    known["quick" if quick else "full"] = {
        f"{what}: {name}": {key: one.tolist() for key, one in _stored_form(check(CPU)).items()}
        for what, checks in CHECKS.items()
        for name, check in checks(quick).items()
    }
    STORED.write_text(json.dumps(known, sort_keys=True, separators=(",", ":")) + "\n")


def _stored_form(values: Values) -> Values:
    """A short form: some numbers of real values, the sums over photos of answers, hashes of pixels."""
    short: dict[str, np.ndarray] = {}
    for key, one in values.items():
        if one.dtype == np.uint8:
            short[key] = np.array([hashlib.sha256(np.ascontiguousarray(one).tobytes()).hexdigest()[:16]])
        elif one.dtype.kind == "f":
            short[key] = np.array([float(f"{x:.9g}") for x in one.reshape(len(one), -1)[:4, :8].ravel()])
        else:
            short[key] = one.reshape(len(one), -1).sum(1) if one.ndim > 1 else one[:64]
    return short


def _compared(what: str, values: Values, other: Values | None) -> Row:
    """The largest difference: of real values relative to their length, of answers as a share."""
    if other is None:
        return Row(f"{what}: there are none", math.nan, "", wrong=True)
    worst: tuple[float, float, str] = (-1.0, 0.0, "")
    for key, one in values.items():
        there = np.asarray(other[key])
        limit = STEADY if one.dtype.kind == "f" else 0.0 if one.dtype.kind in "uU" else SHARE
        differs = _difference(one, there) if one.shape == there.shape else math.inf
        over = 0.0 if not differs else differs / limit if limit else math.inf
        worst = max(worst, (over, differs, key))
    over, differs, key = worst
    return Row(what, differs, "", note=f"most in its {key}", wrong=not over <= 1)


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    """Relative distance of real values; share of pixels and texts that differ; distance of counts over their sum."""
    if one.dtype.kind == "f":
        if not np.array_equal(np.isnan(one), np.isnan(other)):
            return math.inf
        one, other = np.nan_to_num(one), np.nan_to_num(other)
        return float(np.linalg.norm(one - other) / max(float(np.linalg.norm(other)), 1e-12))
    if one.dtype.kind in "uU":
        return float((one != other).mean())
    apart = np.abs(one.astype(np.int64) - other.astype(np.int64)).sum()
    return float(apart / max(int(np.abs(other).sum()), 1))


Check = Callable[[torch.device], Values]


def _embeddings(quick: bool) -> dict[str, Check]:
    views = reference_views(8 if quick else 64, side_of(quick))

    def embedded(name: str, device: torch.device) -> Values:
        return {"embeddings": reference_encoder(name, device, quick).embed(views).numpy()}

    return {name: partial(embedded, name) for name in NETWORKS}


def _copies(quick: bool) -> dict[str, Check]:
    """Copies to a device and back that are late, because the device is busy: what reads them has to wait."""
    rounds, side = (3, 16) if quick else (20, 224)
    batches = [reference_views(16, side, seed) for seed in range(rounds)]

    def uploaded(device: torch.device) -> Values:
        copy, sums = DeviceCopy(str(device)), []
        for batch in batches:
            with _busy(device, copy._stream):
                ready = copy.start(list(batch.split(4)))
            sums.append(ready().long().sum(dim=(1, 2, 3)))
        return {"sums": np.stack([one.cpu().numpy() for one in sums])}

    def read_back(device: torch.device) -> Values:
        encoder, read = reference_encoder("convolutions", device, True), []
        for batch in batches:
            with _busy(device):
                waiting = encoder.embed.start(batch[:, :32, :32])  # type: ignore[attr-defined]
            read.append(waiting().numpy().copy())
        return {"embeddings": np.concatenate(read)}

    return {"batches copied late": uploaded, "embeddings read late": read_back}


@contextlib.contextmanager
def _busy(device: torch.device, stream: Any = None) -> Iterator[None]:
    """The device has some hundredths of a second of other work before what is started within."""
    if device.type != "cuda":
        yield
        return
    with torch.cuda.stream(stream) if stream is not None else contextlib.nullcontext():
        torch.cuda._sleep(50_000_000)
    yield


def _views(quick: bool) -> dict[str, Check]:
    """Views by torch. Without JPEG, whose pixels depend on the codec of the machine, they are the same everywhere."""
    names = [ORIGINAL, *(name for name in NAMES if "jpeg" not in name)]
    size = (48, 40) if quick else (320, 240)
    photos = reference_views(4, 48 if quick else 320)[:, : size[1], : size[0]]

    def made(device: torch.device) -> Values:
        encoders = ODD if quick else (*ENCODERS, *ODD)
        views = torch_views(photos.to(device), list("abcd"), names, [encoder.plan for encoder in encoders])
        return {f"views {i}": one.cpu().numpy() for i, one in enumerate(views)}

    return {f"{len(names)} views of 4 photos": made}


def _neighbours(quick: bool) -> dict[str, Check]:
    from benchmark.knn import knn_setups

    n_train, n_test, dimension = (300, 40, 32) if quick else (20_000, 400, 384)
    train, test = (
        steep_banks(np.random.default_rng(seed), n, dimension, CLASSES) for seed, n in enumerate((n_train, n_test))
    )
    labels = [np.arange(n) % 5 for n in (n_train, n_test)]
    drawn = [np.random.default_rng(2).integers(0, CLASSES, (SEEDS, n)) for n in (n_train, n_test)]

    def setups(device: torch.device) -> Values:
        options = {"train_assignments": drawn[0], "test_assignments": drawn[1], "device": device}
        result = knn_setups(train, test, labels[0], labels[1], **options)
        return {"correct votes": result.correct.astype(np.int64), "tied votes": result.tied.astype(np.int64)}

    return {"six kNN set-ups": setups}


def _probes(quick: bool) -> dict[str, Check]:
    from benchmark.probe import processing_probe

    n, dimension, n_test = (60, 16, 20) if quick else (2_000, 256, 400)
    both = steep_banks(np.random.default_rng(3), n + n_test, dimension, CLASSES)
    train, test = [bank[:n] for bank in both], [bank[n:] for bank in both]
    drawn = np.random.default_rng(4).integers(0, CLASSES, (SEEDS, n))

    def fitted(device: torch.device) -> Values:
        result = processing_probe(train, test, drawn, device=device)
        return {"predictions": result.predicted.astype(np.int64), "losses": result.final_loss}

    return {"converged probe": fitted}


def _retrieval(quick: bool) -> dict[str, Check]:
    from benchmark.retrieval import group_recall

    groups, scenes, dimension = (3, 12, 16) if quick else (6, 500, 384)
    draw = np.random.default_rng(5)
    content = steep_embeddings(draw, scenes, dimension)
    rows = np.concatenate([content + 0.5 * draw.normal(size=content.shape) for _ in range(groups)]).astype(np.float32)
    photos = np.arange(groups * scenes).reshape(groups, scenes)

    def recalls(device: torch.device) -> Values:
        result = group_recall(rows, photos, np.arange(scenes) % 4, device=device)
        return {"recall": np.rint(1000 * np.nan_to_num(result.recall)).astype(np.int64), "cosine": result.cosine}

    return {"recall of every pair of groups": recalls}


def _score(quick: bool) -> dict[str, Check]:
    """``camtrace score`` from files to a result, with views by workers and, on a card, by the card."""
    runs = {"camtrace score": "auto", "camtrace score --views device": "device"}
    return {name: partial(_scored, views, quick) for name, views in runs.items()}


TASKS = ("knn/sharpening", "probe/sharpening")


def _scored(views: str, quick: bool, device: torch.device) -> Values:
    from benchmark.__main__ import main
    from benchmark.encoders.loaders import controls

    photos, dimension = (4, 64) if quick else (40, controls.PROJECTION_DIMENSION)
    with tempfile.TemporaryDirectory(prefix="camtrace-") as folder:
        root = Path(folder)
        for split, label in ((split, label) for split in ("train", "val") for label in range(2)):
            for i in range(photos if split == "train" else max(2, photos // 2)):
                path = root / "photos" / split / f"class-{label}" / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(_png(100 * label + i + 10_000 * (split == "val")))
        words = ["score", "-m", "control:random-projection", "--data", f"folder:{root / 'photos'}", "--fresh", "-q"]
        words += [word for task in TASKS for word in ("-t", task)]
        words += ["--device", str(device), "--views", views if device.type == "cuda" else "cpu", "--workers", "0"]
        words += ["-o", str(root / "out"), "--cache", str(root / "cache")]
        short = mock.patch.object(controls, "PROJECTION_DIMENSION", dimension)
        with short, contextlib.redirect_stdout(io.StringIO()):
            status = main(words)
        if status:
            raise RuntimeError(f"camtrace score ended with status {status}")
        result = json.loads((root / "out" / "result.json").read_text())
        with np.load(root / "out" / "answers.npz") as arrays:
            by_photo = {
                key: arrays[key].astype(np.int64) for key in arrays.files if key.endswith(("correct", "predicted"))
            }
    values = np.array([round(1000 * score["value"]) for score in result["scores"]], np.int64)
    return {"scores": values, **by_photo}


def _png(seed: int) -> bytes:
    """A photo without a lossy codec."""
    file = io.BytesIO()
    pixels = reference_views(1, 48, seed)[0, :40].numpy()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


CHECKS: dict[str, Callable[[bool], dict[str, Check]]] = {
    "embeddings": _embeddings,
    "copies": _copies,
    "views": _views,
    "neighbours": _neighbours,
    "probes": _probes,
    "retrieval": _retrieval,
    "score": _score,
}
"""By part, its checks by name for a size."""
