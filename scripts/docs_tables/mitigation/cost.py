"""Time and memory of a fit on a bank of random numbers, against one bare pass over it."""

from __future__ import annotations

import json
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from scripts.speed.measure import apart, peak_mb

PHOTOS = (5_000, 20_000, 80_000)
VIEWS, DIMENSION = 14, 768


def cost(args: Namespace) -> str:
    """Of LEACE on photos x 768 x 14 views, each in its own process, on one thread; processor seconds, not wall."""
    from benchmark.report import markdown_table

    rows = []
    for photos in args.cost_photos:
        stored = args.work / "cost" / f"{photos}.json"
        if not stored.is_file():
            if args.kept:
                continue
            one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            figures = apart(f"{__name__}:one_fit", photos, str(args.work), **one_thread)
            stored.parent.mkdir(parents=True, exist_ok=True)
            stored.write_text(json.dumps(figures), "utf-8")
        figures = json.loads(stored.read_text("utf-8"))
        took = figures["pass_s"], figures["fit_s"], figures["fit_s"] / figures["pass_s"], figures["solve_s"]
        rows.append([f"{photos:,}", *(f"{value:.1f}" for value in took), f"{figures['peak_mb']:.0f}"])
    if not rows:
        return ""
    header = [
        f"photos x {DIMENSION} x {VIEWS}",
        "bare pass, s",
        "fit, s",
        "fit / pass",
        "of which solving, s",
        "peak MB",
    ]
    return markdown_table(header, rows)


class InFile:
    """One view in a file, read a slice at a time: nothing of it stays in memory."""

    def __init__(self, path: Path, view: int, photos: int) -> None:
        self.shape = (photos, DIMENSION)
        self._path, self._first = path, 4 * DIMENSION * photos * view

    def __getitem__(self, rows: slice) -> Any:
        import numpy as np

        start, stop, _ = rows.indices(self.shape[0])
        offset = self._first + 4 * DIMENSION * start
        return np.fromfile(self._path, np.float32, DIMENSION * (stop - start), offset=offset).reshape(-1, DIMENSION)


def one_fit(photos: int, work: str) -> dict[str, float]:
    """Processor seconds and memory of a fit on random rows in a file, in the same batches as a bare pass over them."""
    import numpy as np

    from benchmark.erasing import Source, fit_method, moments_of

    Path(work).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        path = Path(folder) / "bank"
        rng = np.random.default_rng(0)
        with path.open("wb") as stream:
            for _ in range(VIEWS * photos // 1000):
                stream.write(rng.standard_normal((1000, DIMENSION), np.float32).tobytes())
        views = [InFile(path, view, photos) for view in range(VIEWS)]
        source = Source(views, np.repeat(np.arange(VIEWS)[:, None], photos, 1), VIEWS, unit_rows=True)
        before = peak_mb()
        began = time.process_time()
        for _ in source.batches():
            pass
        passed = time.process_time()
        moments = moments_of(source)
        summed = time.process_time()
        fit_method("leace", source, moments)
        ended = time.process_time()
        return {
            "pass_s": passed - began,
            "fit_s": ended - passed,
            "solve_s": ended - summed,
            "peak_mb": peak_mb() - before,
        }
