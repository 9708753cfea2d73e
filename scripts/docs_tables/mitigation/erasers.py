"""Erasers that a part of the script asks for: made once by the parts of ``camtrace erase``, then read from folders."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ENCODERS = ("bundled:efficientnet-lite0", "bundled:imgsim", "control:jpeg-statistics")
READERS = ("linear", "knn", "mlp")


def erased(
    folder: Path,
    work: Path,
    encoder: Any,
    photos: Any,
    trace: str,
    *,
    method: str,
    also: Sequence[Any] = (),
    seed: int = 0,
    **more: Any,
) -> dict | None:
    """What ``eraser.json`` says, made where it is not there.

    Args:
        folder: of the eraser.
        work: its cache of embeddings is below.
        encoder, photos: None where nothing is to be made.
        trace, method, also, seed, more: as ``EraseRequest`` and ``erase_trace`` have them.

    Returns:
        None where the method cannot be fitted, which is printed, or where nothing was to be made.
    """
    from benchmark.options import RunOptions
    from benchmark.scoring import EraseRequest, erase_trace, save_erased
    from builders.errors import CamtraceError

    if not (folder / "eraser.json").is_file():
        if encoder is None or photos is None:
            return None
        cache = work / "cache"
        options = RunOptions(seed=seed, readers=",".join(READERS), mask_ratio=0.0, workers=0, device="cpu", cache=cache)
        wall, processor = time.perf_counter(), time.process_time()
        try:
            asking = EraseRequest(trace, method, options, drop_leaks=True, **more)
            made = erase_trace(encoder, photos, asking, also=also)
        except CamtraceError as error:
            print(f"{encoder.info.id} {method} {trace}: {error}", file=sys.stderr)
            return None
        save_erased(made, folder)
        took = f"{time.process_time() - processor:.0f} s of processor, {time.perf_counter() - wall:.0f} s in all"
        print(f"done: {folder} ({took})", file=sys.stderr, flush=True)
    return json.loads((folder / "eraser.json").read_text("utf-8"))


def loaded(name: str, only_stored: bool) -> Any:
    """The encoder; None where nothing is to be made."""
    from benchmark.encoders import load_encoder

    return None if only_stored else load_encoder(name, device="cpu")


def simulated(work: Path, spec: str, limit: int | None, seed: int = 0) -> Any:
    """Photos of simulated cameras, rendered once and kept in ``work``: every eraser reads them several times."""
    import numpy as np

    from builders.data_specs import open_photos
    from builders.photos import MemorySource

    photos = open_photos(spec, seed=seed)
    photos = photos.limited(limit) if limit else photos
    stored = work / "rendered" / f"{photos.question_hash()}.npz"
    if not stored.is_file():
        stored.parent.mkdir(parents=True, exist_ok=True)
        files = [np.frombuffer(photos.read(i), np.uint8) for i in range(len(photos))]
        with stored.open("wb") as stream:
            np.savez(stream, bytes=np.concatenate(files), sizes=[len(file) for file in files])
    with np.load(stored) as arrays:
        ends = np.cumsum(arrays["sizes"])
        files = tuple(part.tobytes() for part in np.split(arrays["bytes"], ends[:-1]))
    return dataclasses.replace(photos, source=MemorySource(files), rows=np.arange(len(files), dtype=np.int64))


def read_by(eraser: Mapping[str, Any], data: str | None = None) -> dict[str, dict]:
    """What each reader read of the trace: rows of ``measured`` by reader; ``data``: another data set than the fit's."""
    rows = [row for row in eraser["measured"] if row["kind"] == "trace"]
    data_set = eraser["measured"][0]["data"]
    return {row["reader"]: row for row in rows if row["data"] == (data or data_set)}


def value(row: Mapping[str, Any], when: str) -> str:
    """``before`` or ``after`` of a row in percent, with its interval."""
    return f"{100 * row[when]:.1f} ({100 * row[when + '_low']:.1f}–{100 * row[when + '_high']:.1f})"


def difference(row: Mapping[str, Any] | None) -> str:
    """A row's difference in points with its paired interval; that there is none where answers cannot be paired."""
    if row is None:
        return "-"
    if row["low"] is None:
        return f"{100 * row['difference']:+.1f} (unpaired, no interval)"
    return f"{100 * row['difference']:+.1f} ({100 * row['low']:+.1f} to {100 * row['high']:+.1f})"


def named(method: str, eraser: Mapping[str, Any]) -> str:
    """The method, and whether it needs labels at test time."""
    return method + (" (labels at test time)" if eraser["labels_at_test_time"] else "")
