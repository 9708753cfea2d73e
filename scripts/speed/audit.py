"""How fast are headers read, and how much memory does an audit need?

    python scripts/speed_audit.py headers --photos DIR [--repeats 5]   # one core; beside Pillow's open and exiftool
    python scripts/speed_audit.py memory [--rows 10000,100000,1000000] # synthetic headers, one process for each size

Ratios are within one run, on the same files, read once before so that all find them in memory.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.audit.features import FEATURES, HEAD_BYTES, file_facts, values_of
from benchmark.audit.run import audit_of
from benchmark.audit.scan import KNOWN, Block, Plan, _type, scanned
from benchmark.audit.subjects import BLOCK, StreamedSubject, photo_subject
from benchmark.audit.tally import tally
from builders.errors import PhotoError
from builders.photos import Labels, PhotoSet
from builders.sources import FolderSource

CLASSES = 20


def measure_headers(folder: Path, repeats: int) -> None:
    """Files a second of each reader, the best of several passes."""
    paths = tuple(sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()))
    source = FolderSource(str(folder), paths)
    for i in range(len(paths)):
        source.read(i)

    def ours() -> None:
        for i in range(len(paths)):
            try:
                values_of(file_facts(source.head(i, HEAD_BYTES), lambda limit, i=i: source.head(i, limit)))
            except PhotoError:
                continue

    def pillow() -> None:
        from PIL import Image

        for path in paths:
            try:
                with Image.open(folder / path) as image:
                    image.info.get("progression")
            except OSError:
                continue

    def whole_scan() -> None:
        zeros = np.zeros(len(paths), dtype=np.int32)
        labels = Labels(("x",), zeros)
        photos = PhotoSet("speed", paths, zeros.astype(np.int8), labels, source, np.arange(len(paths)))
        subject = photo_subject(photos)
        with tempfile.TemporaryDirectory() as cache, scanned(subject, Plan(), Path(cache), progress=False):
            pass

    def exiftool() -> None:
        fields = ["-Make", "-Model", "-Software", "-DateTimeOriginal", "-ImageSize", "-YCbCrSubSampling", "-FileType"]
        command = ["exiftool", "-fast2", "-q", "-q", "-r", *fields, str(folder)]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)

    print(f"{len(paths)} files, {sum((folder / p).stat().st_size for p in paths) / 1e6:.0f} MB, one core")
    rate = _rate("headers and every feature", ours, len(paths), repeats)
    _rate("... and written, block by block", whole_scan, len(paths), repeats, rate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _rate("Pillow Image.open", pillow, len(paths), repeats, rate)
    if shutil.which("exiftool"):
        _rate("exiftool -fast2", exiftool, len(paths), max(1, repeats // 3), rate)


def _rate(name: str, run: Callable[[], None], files: int, repeats: int, ours: float | None = None) -> float:
    seconds = []
    for _ in range(repeats):
        start = _cpu()
        run()
        seconds.append(_cpu() - start)
    rate = files / min(seconds)
    ratio = "" if ours is None else f"   the first is {ours / rate:.2f} times as fast"
    print(f"{name:28s} {rate:9,.0f} files per CPU second{ratio}", flush=True)
    return rate


def _cpu() -> float:
    """CPU seconds of this process and its children: what one core does, however busy the machine is."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@dataclass(frozen=True)
class Synthetic:
    """A scan of headers that never were files, made block by block."""

    rows: int

    def blocks(self) -> Iterator[Block]:
        rng = np.random.default_rng(0)
        for start in range(0, self.rows, BLOCK):
            n = min(BLOCK, self.rows - start)
            columns: dict[str, list] = {
                "id": [f"n{start + i:08d}/photo.jpg" for i in range(n)],
                "label": [f"class {k}" for k in rng.integers(0, CLASSES, n)],
                "split": ["train"] * n,
                "source": [""] * n,
                "owner": [""] * n,
                "content": rng.integers(1, 2**63, n).tolist(),
                "near": [0] * n,
                "failure": [""] * n,
            }
            for name, feature in FEATURES.items():
                # file sizes and dimensions of photos have very many values, programs few
                many = 100_000 if name == "dimensions" else 12
                numbers = rng.normal(15, 2, n).tolist()
                columns[name] = numbers if feature.kind == "number" else [f"v{k}" for k in rng.integers(0, many, n)]
            facts = pa.table({name: pa.array(columns[name], _type(name)) for name in (*KNOWN, *FEATURES)})
            yield Block(facts, {name: np.zeros(0) for name in ("rows", "numbers", "whole", "border")})


def measure_memory(rows: int) -> None:
    """Audit synthetic headers; print the peak of this process before and after."""
    before = _peak()
    start = time.perf_counter()
    found = audit_of(tally(Synthetic(rows)), StreamedSubject("synthetic", iter(()), None), "label", {})  # type: ignore[arg-type]
    seconds = time.perf_counter() - start
    print(
        f"{rows:9,} rows: {_peak() - before:5.0f} MB over the {before:.0f} MB of an empty process, {seconds:.0f} s, "
        f"{len(found.questions)} questions, flagged: {found.flagged}",
        flush=True,
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("headers", "memory"))
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", default="10000,100000,1000000")
    arguments = parser.parse_args()
    if arguments.what == "headers":
        if arguments.photos is None:
            parser.error("headers needs --photos DIR")
        measure_headers(arguments.photos, arguments.repeats)
        return 0
    sizes = [int(text) for text in arguments.rows.split(",")]
    if len(sizes) == 1:
        measure_memory(sizes[0])
    for rows in sizes if len(sizes) > 1 else []:
        subprocess.run([sys.executable, __file__, "memory", "--rows", str(rows)], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
