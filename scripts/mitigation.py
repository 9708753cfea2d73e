"""The tables of docs/mitigation.md: every method on some encoders, imagenette and simcams; time and memory of a fit.

    python scripts/mitigation.py --photos /data/imagenette --work work --write docs/mitigation.md
    python scripts/mitigation.py --cost

The first fits every method to one processing trace of the photos, and to one camera trace of simulated photos, by
``camtrace erase``, and writes what its folders say between the marks of the document. What is done is kept in
``--work``.
The second times a fit on a bank of random numbers beside one bare pass over it, and on four times as many photos.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ENCODERS = ("bundled:efficientnet-lite0", "bundled:imgsim", "control:jpeg-statistics")
MARKS = "<!-- measured: scripts/mitigation.py -->", "<!-- end -->"
READERS = ("linear", "knn", "mlp")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--photos", type=Path, help="class folders in train/ and val/")
    p.add_argument("--limit", type=int, default=400, help="photos of each set")
    p.add_argument("--encoder", action="append", choices=ENCODERS, help="of the table; repeatable (default: all)")
    p.add_argument("--only", choices=("imagenette", "simcams"), help="one of the two sets")
    p.add_argument("--work", type=Path, default=Path("mitigation"), help="where erasers and the cache are kept")
    p.add_argument("--write", type=Path, help="the document")
    p.add_argument("--kept", action="store_true", help="only what --work holds already; nothing is computed")
    p.add_argument("--cost", action="store_true", help="time and memory of a fit")
    p.add_argument("--one-fit", type=int, metavar="PHOTOS", help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.one_fit:
        print(json.dumps(one_fit(args.one_fit)))
    elif args.cost:
        print(cost())
    else:
        text = tables(args)
        print(text)
        if args.write:
            page = args.write.read_text("utf-8")
            begin, end = (re.escape(mark) for mark in MARKS)
            made = f"{MARKS[0]}\n\n{text}\n\n{MARKS[1]}"
            args.write.write_text(re.sub(f"{begin}.*?{end}", lambda _: made, page, flags=re.DOTALL), "utf-8")


def tables(args: argparse.Namespace) -> str:
    """Two tables a set and trace: encoders and methods down; readers, then costs, across."""
    from benchmark.encoders import load_encoder
    from benchmark.erasers import METHODS
    from builders.kinds import open_photos

    asked = [("imagenette", f"folder:{args.photos}?name=folder:imagenette", "jpeg"), ("simcams", "simcams", "make")]
    parts = []
    for name, spec, trace in asked:
        if args.only not in (None, name):
            continue
        rows, costs = [], []
        photos = None if args.kept else open_photos(spec, seed=0).limited(args.limit)
        for encoder in args.encoder or ENCODERS:
            loaded = None if args.kept else load_encoder(encoder, device="cpu")
            folder = args.work / name / encoder.replace(":", "-")
            done = {method: found for method in METHODS if (found := erased(folder / method, loaded, photos, trace))}
            for method, found in done.items():
                measured = {(r["task"], r["metric"]): r for r in found["measured"]}
                reads = {r["reader"]: r for r in found["measured"] if r["kind"] == "trace"}
                counts = [str(found["n_photos"]), str(reads["linear"]["n"])]
                if method == next(iter(done)):
                    rows.append([encoder, "before", "-", counts[1], *(_value(reads[r], "before") for r in READERS)])
                flag = method + (" (labels at test time)" if found["labels_at_test_time"] else "")
                rows.append([encoder, flag, *counts, *(_value(reads[r], "after") for r in READERS)])
                costs.append([encoder, flag, *(_difference(measured, m) for m in COSTS)])
                chance = f"{100 * reads['linear']['chance']:.1f}"
        if not rows:
            continue
        table = _table(["encoder", "method", "fit", "unseen", *READERS], rows)
        parts.append(f"### {trace} on {name}\n\nAccuracy of each reader, %; chance {chance} %.\n\n{table}")
        named = ["encoder", "method", *COSTS.values()]
        kept = [i for i, column in enumerate(zip(*costs, strict=True)) if i < 2 or any(c != "-" for c in column)]
        costs = [[row[i] for i in kept] for row in costs]
        parts.append(f"Paired differences in points, after minus before.\n\n{_table([named[i] for i in kept], costs)}")
    return "\n\n".join(parts)


COSTS = {
    ("knn/original", "accuracy"): "class, kNN",
    ("linear/original", "accuracy"): "class, linear probe",
    ("knn/jpeg", "spd"): "SPD",
}


def erased(folder: Path, encoder: Any, photos: Any, trace: str) -> dict | None:
    """What ``eraser.json`` says, made where it is not there; None where the method cannot be fitted, or is not made."""
    from benchmark.erasing import Asking, erase_trace, save_erased
    from benchmark.options import RunOptions
    from builders.errors import CamtraceError

    if not (folder / "eraser.json").is_file():
        if encoder is None:
            return None
        cache = folder.parents[2] / "cache"
        options = RunOptions(readers=",".join(READERS), mask_ratio=0.0, workers=1, device="cpu", cache=cache)
        try:
            made = erase_trace(encoder, photos, Asking(trace, folder.name, options, drop_leaks=True))
        except CamtraceError as error:
            print(f"{encoder.info.id} {folder.name} {trace}: {error}", file=sys.stderr)
            return None
        save_erased(made, folder)
        print(f"done: {folder}", file=sys.stderr, flush=True)
    return json.loads((folder / "eraser.json").read_text("utf-8"))


def _value(row: dict, when: str) -> str:
    prefix = f"{when}_"
    return f"{100 * row[when]:.1f} ({100 * row[prefix + 'low']:.1f} to {100 * row[prefix + 'high']:.1f})"


def _difference(measured: dict, which: tuple[str, str]) -> str:
    row = measured.get(which)
    return f"{100 * row['difference']:+.1f} ({100 * row['low']:+.1f} to {100 * row['high']:+.1f})" if row else "-"


def _table(header: list[str], rows: list[list[str]]) -> str:
    from benchmark.results import markdown_table

    return markdown_table(header, rows)


def cost() -> str:
    """Of LEACE on photos x 768 x 14 views, each in a process of its own, on one thread; processor seconds, not wall."""
    rows = []
    for photos in (5_000, 20_000):
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, "--one-fit", str(photos)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        found = json.loads(done.stdout)
        took = found["pass_s"], found["fit_s"], found["fit_s"] / found["pass_s"], found["solve_s"]
        rows.append([f"{photos:,}", *(f"{value:.1f}" for value in took), f"{found['peak_mb']:.0f}"])
    return _table(["photos x 768 x 14", "bare pass, s", "fit, s", "fit / pass", "of which solving, s", "peak MB"], rows)


class InFile:
    """One view in a file, read a slice at a time: nothing of it stays in memory."""

    def __init__(self, path: Path, view: int, photos: int) -> None:
        self.shape = (photos, 768)
        self._path, self._first = path, 4 * 768 * photos * view

    def __getitem__(self, rows: slice) -> Any:
        import numpy as np

        start, stop, _ = rows.indices(self.shape[0])
        read = np.fromfile(self._path, np.float32, 768 * (stop - start), offset=self._first + 4 * 768 * start)
        return read.reshape(-1, 768)


def one_fit(photos: int) -> dict[str, float]:
    """Processor seconds and memory of a fit on random rows in a file, in the same batches as a bare pass over them."""
    import numpy as np

    from benchmark.erasers import Source, fit_method, moments_of

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bank"
        rng = np.random.default_rng(0)
        with path.open("wb") as stream:
            for _ in range(14 * photos // 1000):
                stream.write(rng.standard_normal((1000, 768), np.float32).tobytes())
        views = [InFile(path, view, photos) for view in range(14)]
        source = Source(views, np.repeat(np.arange(14)[:, None], photos, 1), 14, unit_rows=True)
        before = _peak_mb()
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
            "peak_mb": _peak_mb() - before,
        }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
