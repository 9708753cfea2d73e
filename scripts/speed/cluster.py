"""What ranks cost on one machine: the engine against the plain command, two ranks against one; needs ``--photos DIR``.

Every run has a cache of its own and one thread a process, so that forward passes are single-threaded. On a busy machine
only processor time (user and system, of all processes of a run) counts.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scripts.speed.measure import Row, Seconds, run_command


def rows(
    quick: bool = False,
    *,
    photos: str | None = None,
    count: int = 400,
    model: str = "bundled:efficientnet-lite0",
    tasks: str = "probe/jpeg",
) -> Iterator[Row]:
    """Seconds of each run, overhead, and what a second rank gives; ``count``: photos of the folder that are used."""
    if not photos:
        raise SystemExit("cluster needs --photos DIR, a folder of photos")
    options = ["--data", f"folder:{photos}", "--model", model, "--tasks", tasks, "--limit", str(24 if quick else count)]
    options += ["--workers", "0", "--runtime", "torch"]
    with tempfile.TemporaryDirectory(prefix="camtrace-cluster-") as folder:
        root = Path(folder)
        plain = _command("sweep", *options, "--cache", root / "plain-cache", "--output", root / "plain")
        yield Row("plain command", plain.processor, "processor s", seconds=plain.wall)
        work, finish = {}, {}
        for workers in (1, 2):
            out = root / f"out{workers}"
            where = ("--cache", root / f"cache{workers}", "--output", out)
            planned = _command("plan", "sweep", *options, *where, "--ranks", 2)
            work[workers] = _command("work", f"{out}.plan", "--workers", workers)
            finish[workers] = _command("finish", f"{out}.plan")
            ranks = [json.loads(p.read_text())["seconds"] for p in Path(f"{out}.plan/ranks").glob("*.done.json")]
            note = f"ranks of {', '.join(f'{s:.0f}' for s in ranks)} s by the clock; plan {planned.processor:.1f} s, "
            note += f"finish {finish[workers].processor:.1f} s of processor time"
            took = work[workers]
            yield Row(f"work, {workers} at a time", took.processor, "processor s", seconds=took.wall, note=note)
        overhead = (work[1].processor + finish[1].processor) / plain.processor - 1
        yield Row("overhead of work and finish in processor time", 100 * overhead, "%")
        gain = 2 * work[1].processor / work[2].processor
        yield Row("two ranks against one, by the clock", work[1].wall / work[2].wall, "times as fast")
        yield Row("two ranks against one, by processor time on two idle cores", gain, "times as fast")
        banks = {_hash_of(root / name / "banks") for name in ("plain-cache", "cache1", "cache2")}
        yield Row("different banks", len(banks) - 1, "", note=f"load {os.getloadavg()[0]:.1f}", wrong=len(banks) > 1)


def _command(*words: object) -> Seconds:
    """A command with one thread a process."""
    return run_command([sys.executable, "-m", "camtrace", *map(str, words)], OMP_NUM_THREADS="1").seconds


def _hash_of(folder: Path) -> str:
    """Of every file of a folder, by name and content."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
