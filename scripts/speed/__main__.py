"""Every speed figure in one run, as ratios against something simpler measured beside it: ``python scripts/speed.py``.

    python scripts/speed.py [--only views,pipeline,knn,...] [--minutes 20] [--neighbours 0] [--quick] [--json FILE]

Each part runs in a process of its own and is printed as it is done, with the processor, the libraries of the products
and their threads, the commit and the load before it. ``--neighbours N`` keeps N processes busy beside it; the probes,
and what several threads do in the time of one, are measured without and with one.
A part that fails, or does not end within what is left of ``--minutes`` and is stopped, is named, and the exit status is
1. Where several parts are asked for, each takes smaller sizes or fewer rounds than alone (``SIZES``). ``--quick`` uses
tiny sizes, to see that it runs; its figures mean nothing. Quiet machines give figures worth keeping.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from benchmark.results.tables import markdown_table  # noqa: E402

PARTS = ("views", "simcams", "knn", "probe", "threads", "runtimes", "builders", "fetch", "pipeline")

SIZES: dict[str, dict[str, Any]] = {
    "views": {"rounds": 3},
    "simcams": {"every": 3},
    "knn": {"rounds": 3, "n_test": 250},
    "probe": {"rounds": 1, "sizes": ("default",)},
    "threads": {"rounds": 5},
    "runtimes": {"networks": ("ResNet-50", "EfficientNet-Lite0")},
    "builders": {"rounds": 3, "count": 384},
    "fetch": {"files": 3000},
    "pipeline": {"rounds": 1, "count": 40, "sizes": (2,)},
}
"""What each part is told where several are measured, so that all end within 20 minutes on two busy cores; one alone
(``--only``) takes its script's own sizes and rounds."""

WITH_A_NEIGHBOUR = ("probe", "threads")
"""Parts that are measured beside a busy process too."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas (default: all)")
    parser.add_argument("--minutes", type=float, default=20.0, help="for all parts together (default: 20)")
    parser.add_argument("--neighbours", type=int, help="processes that compute beside the measured ones")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--smaller", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    chosen = args.only.split(",")
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}: known are {', '.join(PARTS)}")
    if args.inside:
        args.inside.write_text(json.dumps(_measured(chosen[0], args.quick, args.smaller)))
        return 0
    runs = [(part, n) for part in chosen for n in _neighbours(part, args.neighbours)]
    end = time.monotonic() + 60 * args.minutes
    figures, missing = [], []
    for part, neighbours in runs:
        name = f"{part}, beside {neighbours} busy process" if neighbours else part
        with busy(neighbours):
            got = _in_a_process(part, args.quick, len(chosen) > 1, end - time.monotonic())
        if isinstance(got, str):
            missing.append(name)
            print(f"{name}: {got}\n", flush=True)
            continue
        where = {key: got[key] for key in ("machine", "commit", "load")}
        figures += [{"part": part, "neighbours": neighbours, **where, **row} for row in got["rows"]]
        print(f"{name}: {got['seconds']:.0f} s; commit {got['commit']}; {got['machine']}\n")
        print(_table(part, got["rows"]), end="\n\n", flush=True)
        if args.json:
            args.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if missing else 0


def _neighbours(part: str, asked: int | None) -> tuple[int, ...]:
    return (asked,) if asked is not None else (0, 1) if part in WITH_A_NEIGHBOUR else (0,)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """``count`` processes that compute as long as the block lasts."""
    context = multiprocessing.get_context("spawn")
    spinning = [context.Process(target=_spin, daemon=True) for _ in range(count)]
    for process in spinning:
        process.start()
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.join()


def _spin() -> None:
    parent = os.getppid()
    while os.getppid() == parent:  # not longer than the one that started it
        sum(range(100_000))


def _in_a_process(part: str, quick: bool, smaller: bool, seconds: float) -> dict[str, Any] | str:
    """What ``_measured`` gives in a fresh process, or why there is nothing. What it prints is printed."""
    with tempfile.TemporaryDirectory(prefix="camtrace-speed-") as folder:
        file = Path(folder, "figures.json")
        options = [*(["--quick"] if quick else []), *(["--smaller"] if smaller else [])]
        command = [sys.executable, __file__, "--only", part, "--inside", str(file), *options]
        try:
            subprocess.run(command, check=True, timeout=max(seconds, 0.01))
        except subprocess.TimeoutExpired:
            return "was stopped: the minutes are over"
        except subprocess.CalledProcessError as error:
            return f"failed with status {error.returncode}, as told above"
        found: dict[str, Any] = json.loads(file.read_text())
        return found


def _measured(part: str, quick: bool, smaller: bool) -> dict[str, Any]:
    """The rows of a part, each with its number of threads, and where and when they were measured."""
    machine = importlib.import_module("speed_probe").machine
    torch = importlib.import_module("torch")
    load, started, threads = os.getloadavg()[0], time.monotonic(), torch.get_num_threads()
    given = {"quick": True} if quick else SIZES[part] if smaller else {}
    rows = [_plain(row) for row in importlib.import_module(f"speed_{part}").rows(**given)]
    return {
        "rows": [{"threads": threads, **row} for row in rows],
        "machine": machine(),
        "commit": _commit(),
        "load": round(load, 2),
        "seconds": time.monotonic() - started,
    }


def _commit() -> str:
    """Of the checkout, with ``+`` if files differ from it; ``unknown`` outside one."""
    asked = ["git", "describe", "--always", "--abbrev=9", "--dirty=+", "--exclude=*"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def _plain(row: Any) -> dict[str, Any]:
    return dataclasses.asdict(row) if dataclasses.is_dataclass(row) else dict(row)  # type: ignore[arg-type]


def _table(part: str, rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in ("part", "what")))
    cells = [[str(row["what"]), *(_cell(row.get(column)) for column in columns)] for row in rows]
    return markdown_table([part, *columns], cells)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
