"""Is ``--dry-run`` right? Processor seconds that it prints against those that the run takes, in ten settings.

    python scripts/checks/estimates.py [--only "NAME;..."] [--work DIR] --photos DIR

The folder has ``train`` and ``val`` with a folder per class. Every setting is a command, run first with ``--dry-run``
and then without, on a cache that the settings before it may have filled. Processor seconds are of the process and all
its children, so that other work on the machine counts little. Status 1 if a factor is above 1.3.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmark.report import markdown_table

MOST = 1.3
"""Largest factor between estimate and run."""

ROOT = Path(__file__).resolve().parents[2]


class Setting(NamedTuple):
    """One command, in processor seconds of a few seconds to a minute."""

    name: str
    options: str
    """``{photos}``, ``{tiny}``, ``{scenes}`` and ``{work}`` are folders."""
    threads: int = 1


SETTINGS = (
    Setting("network, nothing there", "--data folder:{photos} --limit 150 -t */jpeg -t */sharpening"),
    Setting("the same, all there", "--data folder:{photos} --limit 150 -t */jpeg -t */sharpening"),
    Setting("bank there, other queries", "--data folder:{photos} --limit 150 -t */jpeg --queries 25"),
    Setting("two of four parameters there", "--data folder:{photos} --limit 150 -t probe/*"),
    Setting(
        "two threads and workers", "--data folder:{photos} --limit 120 -t */resizing --workers 2 --cache {work}/two", 2
    ),
    Setting(
        "two encoders, one pass",
        "-m control:random-projection -m bundled:efficientnet-lite0 --data folder:{photos} --limit 100 -t */jpeg "
        "--cache {work}/pair",
    ),
    Setting("no network, 4,000 small photos, kNN", "-m control:random-projection --data folder:{tiny} -t knn/jpeg"),
    Setting("its bank there, all probes", "-m control:random-projection --data folder:{tiny} -t probe/jpeg"),
    Setting(
        "the study's protocol",
        "-m control:random-projection --data folder:{tiny} --limit 1500 -t probe/sharpening --protocol iccv2025",
    ),
    Setting(
        "scenes and cameras",
        "-m control:random-projection --data fodb:{scenes} -t retrieval/pairs -t variance/components",
    ),
)


class Row(NamedTuple):
    """One setting."""

    setting: Setting
    estimate_s: float
    run_s: float

    @property
    def factor(self) -> float:
        """At least 1, whichever is larger."""
        return max(self.estimate_s / self.run_s, self.run_s / self.estimate_s)


def main() -> int:
    args = parser().parse_args()
    chosen = [s for s in SETTINGS if not args.only or s.name in args.only.split(";")]
    with tempfile.TemporaryDirectory(prefix="camtrace-") as scratch:
        work = args.work or Path(scratch)
        folders = {"photos": args.photos, "tiny": _tiny(work), "scenes": work / "scenes", "work": work}
        if any("{scenes}" in setting.options for setting in chosen) and not (work / "scenes").exists():
            _processor_s(["build", "simcams", "--layout", "fodb", *SCENES, "--output", str(work / "scenes")])
        rows = [measured(setting, {name: str(path) for name, path in folders.items()}, work) for setting in chosen]
    cells = [
        [
            r.setting.name,
            f"{r.estimate_s:.1f}",
            f"{r.run_s:.1f}",
            f"{r.estimate_s / r.run_s:.2f}",
            str(r.setting.threads),
        ]
        for r in rows
    ]
    print(markdown_table(["setting", "estimate, processor s", "run, processor s", "estimate / run", "threads"], cells))
    return int(any(row.factor > MOST for row in rows))


SCENES = ("--scenes", "30", "--size", "128")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--photos", type=Path, required=True, metavar="DIR", help="photos with train/CLASS and val/CLASS")
    p.add_argument("--only", metavar="NAMES", help="some of the settings")
    p.add_argument("--work", type=Path, metavar="DIR", help="folder of caches and results; continue there")
    return p


def measured(setting: Setting, folders: dict[str, str], work: Path) -> Row:
    """Estimate first, then the run."""
    options = setting.options.format(**folders).split()
    command = ["score", *([] if "--cache" in options else ["--cache", str(work / "cache")]), "--device", "cpu"]
    command += ["-o", str(work / "out" / re.sub(r"\W+", "-", setting.name)), *options]
    print(setting.name, file=sys.stderr, flush=True)
    text = _processor_s([*command, "--dry-run"], setting.threads)[1]
    estimate_s = processor_seconds(text)
    run_s = _processor_s(command, setting.threads)[0]
    print(text, f"{setting.name}: {estimate_s:.1f} against {run_s:.1f}", sep="\n", file=sys.stderr, flush=True)
    return Row(setting, estimate_s, run_s)


def processor_seconds(text: str) -> float:
    """The processor seconds in the last row of the table of stages.

    >>> processor_seconds("| all | 3 min | 2.0 h |")
    7200.0
    """
    [value, unit] = re.findall(r"^\| all +\|.*\| +([\d.]+) (s|min|h) \|$", text, re.MULTILINE)[0]
    return float(value) * {"s": 1, "min": 60, "h": 3600}[unit]


def _processor_s(arguments: Sequence[str], threads: int = 1) -> tuple[float, str]:
    """Processor seconds of a command with its children, and what it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", *arguments], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return used, done.stdout


def _tiny(work: Path, photos: int = 4_000) -> Path:
    """A folder of small photos of noise in four classes."""
    import numpy as np
    from PIL import Image

    folder, draw = work / "tiny", np.random.default_rng(0)
    for i in range(0 if folder.exists() else photos):
        path = folder / ("val" if i % 5 == 0 else "train") / f"class-{i % 4}" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize((64, 64), Image.Resampling.BICUBIC).save(path, quality=92)
    return folder


if __name__ == "__main__":
    sys.exit(main())
