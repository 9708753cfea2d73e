"""Speed of reading headers against Pillow's open and exiftool, and memory of an audit.

Headers need ``--photos DIR``. Every reader reads the same files, which were read once before. Memory is measured on
synthetic headers, one process for each size (``--set rows_of=10000,100000``).
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmark.audit.features import FEATURES, values_of
from benchmark.audit.run import audit_of
from benchmark.audit.scan import KNOWN, Block, Plan, _type, scanned
from benchmark.audit.subjects import BLOCK, StreamedSubject, photo_subject
from benchmark.audit.tally import tally
from builders.errors import PhotoError
from builders.exif import HEAD_BYTES, file_facts
from builders.photos import Labels, PhotoSet
from builders.sources import FolderSource
from scripts.speed.measure import Row, apart, interleaved, peak_mb

CLASSES = 20


def rows(
    quick: bool = False,
    *,
    photos: str | None = None,
    rounds: int = 5,
    rows_of: Sequence[int] = (10_000, 100_000, 1_000_000),
) -> Iterator[Row]:
    """Files a processor second of each reader, then megabytes of each size."""
    if photos:
        yield from _header_rows(Path(photos), 1 if quick else rounds)
    for count in (1_000,) if quick else rows_of:
        audited = apart(f"{__name__}:audit_memory", count)
        note = f"over the {audited['empty_mb']:.0f} MB of an empty process; {audited['note']}"
        yield Row(f"audit of {count:,} headers", audited["mb"], "MB", seconds=audited["seconds"], note=note)


def _header_rows(folder: Path, rounds: int) -> Iterator[Row]:
    paths = tuple(sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()))
    source = FolderSource(str(folder), paths)
    size_mb = sum(len(source.read(i)) for i in range(len(paths))) / 1e6

    def features() -> None:
        for i in range(len(paths)):
            with contextlib.suppress(PhotoError):
                values_of(file_facts(source.head(i, HEAD_BYTES), lambda limit, i=i: source.head(i, limit)))

    def pillow() -> None:
        from PIL import Image

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for path in paths:
                with contextlib.suppress(OSError), Image.open(folder / path) as image:
                    image.info.get("progression")

    def whole_scan() -> None:
        zeros = np.zeros(len(paths), dtype=np.int32)
        labels = Labels(("x",), zeros)
        opened = PhotoSet("speed", paths, zeros.astype(np.int8), labels, source, np.arange(len(paths)))
        subject = photo_subject(opened)
        with tempfile.TemporaryDirectory() as cache, scanned(subject, Plan(), Path(cache), progress=False):
            pass

    def exiftool() -> None:
        fields = ["-Make", "-Model", "-Software", "-DateTimeOriginal", "-ImageSize", "-YCbCrSubSampling", "-FileType"]
        command = ["exiftool", "-fast2", "-q", "-q", "-r", *fields, str(folder)]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)

    readers: dict[str, Callable[[], None]] = {
        "headers and every feature": features,
        "... and written, block by block": whole_scan,
        "Pillow Image.open": pillow,
        **({"exiftool -fast2": exiftool} if shutil.which("exiftool") else {}),
    }
    times = interleaved(readers, rounds, clock="processor", warm_up=False)
    note = f"{len(paths)} files, {size_mb:.0f} MB, one core"
    for name in readers:
        yield Row(f"  {name}", len(paths) / max(times.median(name), 1e-6), "files per CPU second", rounds, note=note)
        if name != "headers and every feature":
            ratio = times.ratio(name, "headers and every feature")
            yield Row(f"headers and every feature against {name}", ratio, "times as fast", rounds)


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


def audit_memory(count: int) -> dict[str, float | str]:
    """In a process of its own: audit synthetic headers, and what that took."""
    empty, start = peak_mb(), time.perf_counter()
    subject = StreamedSubject("synthetic", iter(()), None)
    audit = audit_of(tally(Synthetic(count)), subject, "label", {})  # type: ignore[arg-type]
    seconds = time.perf_counter() - start
    note = f"{len(audit.questions)} questions: {audit.verdict.title}"
    return {"mb": peak_mb() - empty, "empty_mb": empty, "seconds": seconds, "note": note}
