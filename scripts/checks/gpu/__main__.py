"""What a CUDA machine does: are its answers those of a CPU and those that were stored, and how fast is each stage?

    python scripts/checks/gpu [--photos DIR] [--only PART,...] [--table FILE] [--json FILE]

Under 15 minutes, each part bounded, without a network, from a bare checkout: it needs torch, numpy, pillow and tqdm;
timm for networks (their weights are random), numba for the exact engine, scipy for the probe. The table, which names
the card, the driver, versions and what could not run, is written to ``gpu-check.md``: please send it.
Status 1 if anything differs by more than rounding, or a part fails.
``--device cpu --quick`` uses tiny sizes, to see that it runs; its figures mean nothing. ``--self-test`` plants faults
on a card that a test pretends to have, and says which rows find each.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import torch

from benchmark.compute import library_version
from benchmark.report.tables import markdown_table
from builders.untrusted import describe_error
from scripts.speed.measure import Row


def main() -> int:
    args = parser().parse_args()
    device = torch.device(args.device)
    if args.self_test:
        from scripts.checks.gpu.self_test import self_test

        return self_test()
    if args.write_expected:
        from scripts.checks.gpu.answers import write_expected

        write_expected(args.quick)
        return 0
    if not torch.cuda.is_available() and not (device.type == "cpu" and args.quick):
        print("no CUDA device is here; --device cpu --quick only tries whether this script runs", file=sys.stderr)
        return 2
    parts = _parts(args)
    started = time.perf_counter()
    print(f"# {_machine(device)}\n", file=sys.stderr)
    rows: list[tuple[str, Row]] = []
    skipped: list[str] = []
    for name, part in parts.items():
        run_part(name, part, rows, skipped)
        if device.type == "cuda":
            torch.cuda.empty_cache()
    table = _table(device, rows, skipped, time.perf_counter() - started)
    print(table)
    if args.table:
        args.table.write_text(table + "\n", encoding="utf-8")
        print(f"written to {args.table}: please send it", file=sys.stderr)
    if args.json:
        figures = [{"part": name, "unit": "", "wrong": False, **row.to_json()} for name, row in rows]
        limits = {name: part.limit_s for name, part in parts.items()}
        record = {"machine": _machine(device), "rows": figures, "skipped": skipped, "limits_s": limits}
        args.json.write_text(json.dumps(record, indent=2) + "\n")
    return int(any(row.wrong for _, row in rows))


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--device", default="cuda", help="cuda, cuda:1, ... (default: %(default)s)")
    p.add_argument("--quick", action="store_true", help="tiny sizes")
    p.add_argument("--photos", type=Path, metavar="DIR", help="check the pixels of these photos too")
    p.add_argument("--only", metavar="PARTS", help=f"some of {', '.join(LIMITS_S)}")
    p.add_argument("--self-test", action="store_true", help="does it find planted faults? It needs no card, but pytest")
    p.add_argument("--write-expected", action="store_true", help="store the answers of this CPU as what is expected")
    p.add_argument("--table", type=Path, default=TABLE, metavar="FILE", help="(default: %(default)s)")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return p


def run_part(name: str, part: Part, rows: list[tuple[str, Row]], skipped: list[str]) -> None:
    """Add the figures of one part, until its time is up, and what was left out."""
    begun = time.perf_counter()
    try:
        for row in part.run():
            rows.append((name, row))
            print(f"  {name}: {row.what}: {_number(row.value)} {row.unit}", file=sys.stderr, flush=True)
            if time.perf_counter() - begun > part.limit_s:
                skipped.append(
                    f"{name} stopped after its {part.limit_s:.0f} s; --only {name} gives it ten times as long"
                )
                break
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        skipped.append(f"{name} skipped from here on: it needs {package} (pip install {package})")
    except Exception as error:  # the other parts are worth having
        rows.append((name, Row(f"failed: {describe_error(error)}", math.nan, "", wrong=True)))
    print(f"  ({name}: {time.perf_counter() - begun:.0f} s)", file=sys.stderr, flush=True)


TABLE: Path | None = Path("gpu-check.md")
"""Where the table goes by default."""


class Part(NamedTuple):
    """Some of the figures."""

    run: Callable[[], Iterator[Row]]
    limit_s: float
    """After which no further figure of it is begun; over all parts less than 15 minutes."""


LIMITS_S = {
    "embeddings": 30, "copies": 20, "views": 20, "neighbours": 30, "probes": 20, "retrieval": 10, "score": 70,
    "pixels": 90, "batches": 15, "precision": 35, "attention": 10, "layouts": 15, "repeats": 25, "stages": 50,
    "makers": 80, "waits": 30, "pipeline": 90, "memory": 25, "compiled": 60, "blocks": 10, "rows": 20, "knn": 35,
    "probe": 40, "several": 60,
}  # fmt: skip
"""Of each part, in their order; `several` runs only where there are several cards."""


def _parts(args: argparse.Namespace) -> dict[str, Part]:
    from scripts.checks.gpu import answers, exactness, limits, networks, pixels, solvers, view_makers

    device, quick = torch.device(args.device), args.quick
    run: dict[str, Callable[[torch.device, bool], Iterator[Row]]] = {
        **{name: partial(answers.answers, name) for name in answers.CHECKS},
        "pixels": partial(pixels.pixels, folder=args.photos),
        "batches": exactness.batches,
        "precision": networks.precision,
        "attention": exactness.attention,
        "layouts": exactness.layouts,
        "repeats": exactness.repeats,
        "stages": networks.stages,
        "makers": view_makers.makers,
        "waits": view_makers.waits,
        "pipeline": networks.pipeline,
        "memory": limits.memory,
        "compiled": limits.compiled,
        "blocks": limits.blocks,
        "rows": limits.rows_of_banks,
        "knn": solvers.knn,
        "probe": solvers.probe,
        "several": limits.several,
    }
    chosen = args.only.split(",") if args.only else list(LIMITS_S)
    unknown = [name for name in chosen if name not in run]
    if unknown:
        parser().error(f"unknown part {unknown[0]!r}: known are {', '.join(run)}")
    longer = 10 if args.only else 1
    return {name: Part(partial(run[name], device, quick), LIMITS_S[name] * longer) for name in chosen}


def _machine(device: torch.device) -> str:
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU alone"
    cudnn = torch.backends.cudnn.version() if device.type == "cuda" else None
    cuda = f", CUDA {torch.version.cuda}, cuDNN {cudnn}, driver {driver()}" if device.type == "cuda" else ""
    names = {name: library_version(name) for name in ("numpy", "pillow", "timm", "numba", "scipy")}
    versions = ", ".join([f"torch {torch.__version__}{cuda}", *(f"{name} {v}" for name, v in names.items() if v)])
    python = f"Python {platform.python_version()}, {platform.system()} {platform.release()}"
    return f"{card}, {os.cpu_count()} {platform.machine()} cores, {versions}, {python}, commit {_commit()}"


def driver() -> str:
    """Version of the NVIDIA driver; "unknown" if the kernel module does not say it."""
    try:
        line = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8").splitlines()[0]
        return next(word for word in line.split() if word[:1].isdigit() and "." in word)
    except (OSError, IndexError, StopIteration):
        return "unknown"


def _commit() -> str:
    """Of the checkout; "unknown" without git."""
    try:
        run = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
        return subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _table(device: torch.device, rows: list[tuple[str, Row]], skipped: list[str], seconds: float) -> str:
    cells = [[f"{name}: {row.what}", _number(row.value), row.unit, row.note] for name, row in rows]
    lines = [_machine(device), "", markdown_table(["what", "value", "unit", "note"], cells), *([""] if skipped else [])]
    return "\n".join([*lines, *skipped, "", f"{seconds:.0f} s in all"])


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
