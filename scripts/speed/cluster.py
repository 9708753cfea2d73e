"""What ranks cost on one machine: the engine against the plain command, two ranks against one.

    python scripts/cluster_check.py --photos DIR [--limit 400] [--model bundled:efficientnet-lite0]

Every run has a cache of its own and one thread a process, so that forward passes are single-threaded. Times are by the
clock and by the processor (user and system, of all processes of a run): on a busy machine only the second counts.
Exit status 1 where banks differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Took:
    """One command."""

    wall_s: float
    processor_s: float


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photos")
    parser.add_argument("--limit", type=int, default=400)
    parser.add_argument("--model", default="bundled:efficientnet-lite0")
    parser.add_argument("--tasks", default="probe/jpeg")
    args = parser.parse_args(argv)
    asked = ["--data", f"folder:{args.photos.absolute()}", "--model", args.model, "--tasks", args.tasks]
    asked += ["--limit", str(args.limit), "--workers", "0", "--runtime", "torch"]
    with tempfile.TemporaryDirectory(prefix="camtrace-cluster-") as folder:
        root = Path(folder)
        plain = command("sweep", *asked, "--cache", root / "plain-cache", "--output", root / "plain")
        took, ends = {}, {}
        for workers in (1, 2):
            out = root / f"out{workers}"
            words = ("--cache", root / f"cache{workers}", "--output", out)
            planned = command("plan", "sweep", *asked, *words, "--ranks", 2)
            took[workers] = command("work", f"{out}.plan", "--workers", workers)
            ends[workers] = command("finish", f"{out}.plan")
            print(f"plan {planned.processor_s:.1f} s, finish {ends[workers].processor_s:.1f} s of processor time")
            ranks = [json.loads(p.read_text())["seconds"] for p in Path(f"{out}.plan/ranks").glob("*.done.json")]
            print(f"{workers} at a time: ranks of {', '.join(f'{s:.0f}' for s in ranks)} s by the clock")
        equal = {hash_of(root / name / "banks") for name in ("plain-cache", "cache1", "cache2")}
        whole = took[1].processor_s + ends[1].processor_s
        print(f"plain: {plain.wall_s:.0f} s by the clock, {plain.processor_s:.0f} s of processor time")
        print(f"one rank at a time: {took[1].wall_s:.0f} s, {took[1].processor_s:.0f} s; two: {took[2].wall_s:.0f} s, "
              f"{took[2].processor_s:.0f} s")  # fmt: skip
        print(f"overhead of work and finish in processor time: {100 * (whole / plain.processor_s - 1):+.1f} %")
        print(f"two ranks against one: {took[1].wall_s / took[2].wall_s:.2f} times by the clock; "
              f"{2 * took[1].processor_s / took[2].processor_s:.2f} times by processor time on two idle cores; "
              f"load average {os.getloadavg()[0]:.1f}")  # fmt: skip
        print("banks are equal" if len(equal) == 1 else "BANKS DIFFER")
    return 0 if len(equal) == 1 else 1


def command(*words: object) -> Took:
    """Run one command, with one thread a process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "camtrace", *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{words[0]}: {done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(time.perf_counter() - started, spent)


def hash_of(folder: Path) -> str:
    """Of every file of a folder, by name and content."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
