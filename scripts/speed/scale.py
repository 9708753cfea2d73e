"""How cost grows with photos, case by case: processor seconds, peak memory, the exponent between two sizes.

Each case runs in a process of its own on one thread unless ``OMP_NUM_THREADS`` says otherwise. Photos are tiny (24 x 24
pixels) and embeddings made up, so that what is measured is the work around encoders, not theirs. An exponent of 1 is
linear; only ``knn`` may have 2, whose time is reported with that of its matrix products alone. Sizes, cases, a folder
that keeps photos and caches, and the processor seconds of all together (``most``) are options:

    python scripts/speed --only scale --minutes 60 --set sizes=100000,300000 --set cases=hashing,pass,again
                         --set folder=/data/tiny --set most=720
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from scripts.speed.measure import ApartError, Row, apart, peak_mb, processor_s, timed
from scripts.speed.synthetic import PROJECTED, projection, tiny_photos

CLASSES = 3
TASKS = ("probe/sharpening",)
LEAST_S = 0.001
"""What a measured time is rounded to."""


def rows(
    quick: bool = False,
    *,
    sizes: Sequence[int] = (10_000, 100_000),
    cases: Sequence[str] = (),
    folder: str | None = None,
    most: int = 0,
) -> Iterator[Row]:
    """Two rows for each case and size: seconds with their exponent, and memory.

    Args:
        quick: 300 and 600 photos.
        sizes: photos.
        cases: some of ``CASES``; empty: all.
        folder: where tiny photos and caches are; None: a temporary folder.
        most: processor seconds of all cases together, photos included; 0: no limit.
    """
    with tempfile.TemporaryDirectory(prefix="camtrace-scale-") as scratch:
        for case in cases or CASES:
            before: tuple[int, float] | None = None
            for n in (300, 600) if quick else sorted(sizes):
                left = math.ceil(most - processor_s()) if most else 0
                what = f"{case}, {n:,} photos"
                if most and left <= 0:
                    yield Row(what, math.nan, "processor s", note=f"not run: {most} s of processor time are spent")
                    continue
                threads = os.environ.get("OMP_NUM_THREADS", "1")
                arguments = (case, n, folder or scratch)
                try:
                    figures = apart(f"{__name__}:measured", *arguments, processor_limit_s=left, OMP_NUM_THREADS=threads)
                except ApartError as error:
                    yield Row(what, math.nan, "processor s", note=str(error), wrong="failed" in str(error))
                    continue
                seconds, peak = figures.pop("s"), figures.pop("peak_mb")
                note = ", ".join(f"{name} {value}" for name, value in figures.items())
                if before:
                    exponent = math.log(max(seconds, LEAST_S) / max(before[1], LEAST_S)) / math.log(n / before[0])
                    growth = f"{case}, exponent from {before[0]:,} to {n:,} photos"
                    yield Row(growth, exponent, "", threads=int(threads))
                yield Row(what, seconds, "processor s", threads=int(threads), note=note)
                yield Row(f"  {what}: peak memory", peak, "MB", threads=int(threads))
                before = n, seconds


def measured(case: str, n: int, folder: str) -> dict[str, float]:
    """In a process of its own: processor seconds, what else the case reports, the highest memory of this process."""
    figures = CASES[case](n, Path(folder))
    return {**figures, "peak_mb": round(peak_mb())}


def _processor_s(work: Callable[[], object]) -> float:
    return round(timed(work)[0].processor, 3)


def scored(n: int, folder: Path, tasks: tuple[str, ...]) -> dict[str, float]:
    """A whole run on tiny photos: opening, hashing, the pass, tasks; and how much of it was which."""
    from benchmark.options import RunOptions
    from benchmark.scoring import score_encoders
    from benchmark.tasks import all_tasks
    from builders.sources import labelled_folder

    root = tiny_photos(n, folder)
    started, begun = time.process_time(), time.perf_counter()
    photos = labelled_folder(str(root))
    opened = time.process_time() - started
    options = RunOptions(cache=folder / f"cache-{n}", workers=0, resamples=1000)
    [one] = score_encoders([projection()], photos, [all_tasks()[name] for name in tasks], options)
    seconds, wall = time.process_time() - started, time.perf_counter() - begun
    assert not [f for f in one.result.failures if f.kind != "photo"], one.result.failures[:3]
    cost = one.result.cost
    spent = {stage: round(s, 2) for stage, s in cost["seconds"].items() if s >= 0.005}
    return {
        "s": round(seconds, 2),
        "wall": round(wall, 1),
        "views": cost["views"],
        "opening": round(opened, 2),
        **spent,
    }


def first_pass(n: int, folder: Path) -> dict[str, float]:
    """Nothing is known: views made and embedded, one probe."""
    shutil.rmtree(folder / f"cache-{n}", ignore_errors=True)
    return scored(n, folder, TASKS)


def again(n: int, folder: Path) -> dict[str, float]:
    """The same run once more (after ``pass``)."""
    return scored(n, folder, TASKS)


def hashing(n: int, folder: Path) -> dict[str, float]:
    """The hash of all photos' bytes: read, and then from memory."""
    from benchmark.bank import PhotoHashes
    from builders.sources import labelled_folder

    photos = labelled_folder(str(tiny_photos(n, folder)))
    with tempfile.TemporaryDirectory() as cache:
        first = _processor_s(lambda: PhotoHashes(photos, Path(cache)).bytes_hash())
        return {"s": _processor_s(lambda: PhotoHashes(photos, Path(cache)).bytes_hash()), "when unknown": first}


def assignments(n: int, folder: Path) -> dict[str, float]:
    """Ten class assignments of every photo under one parameter."""
    from builders.pixels import PARAMETERS, assigned_classes

    ids = tuple(f"train/n{i % 1000:08d}/n{i % 1000:08d}_{i}.JPEG" for i in range(n))
    return {"s": _processor_s(lambda: [assigned_classes(ids, PARAMETERS["jpeg"], seed) for seed in range(10)])}


def banks(n: int, folder: Path, *, failed: bool = False):  # type: ignore[no-untyped-def]
    """CLASSES views of n photos on disk, as banks have them, and the train and test rows of each."""
    from benchmark.bank import BankView

    rows = np.delete(np.arange(n), 17) if failed else np.arange(n)
    views = []
    for c in range(CLASSES):
        path = folder / f"bank-{n}-{c}.npy"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            stored = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, PROJECTED))
            for start in range(0, n, 10_000):
                stop = min(start + 10_000, n)
                base = np.random.default_rng([start]).normal(size=(stop - start, PROJECTED)).astype(np.float32)
                shift = np.random.default_rng([99, c]).normal(size=PROJECTED).astype(np.float32)
                stored[start:stop] = base + 0.3 * shift
        views.append(np.load(path, mmap_mode="r"))
    cut = len(rows) * 9 // 10
    return [BankView(v, rows[:cut]) for v in views], [BankView(v, rows[cut:]) for v in views], cut, len(rows) - cut


def probe(n: int, folder: Path, protocol: str, *, failed: bool = False, **options: object) -> dict[str, float]:
    """One whole probe of three classes."""
    from benchmark.probe import processing_probe

    train, test, n_train, _ = banks(n, folder, failed=failed)
    drawn = np.random.default_rng(3).integers(0, CLASSES, (10, n_train))
    return {"s": _processor_s(lambda: processing_probe(train, test, drawn, protocol=protocol, **options))}


def converged(n: int, folder: Path) -> dict[str, float]:
    """The default probe."""
    return probe(n, folder, "converged")


def iccv2025(n: int, folder: Path) -> dict[str, float]:
    """Five epochs of the study's descent where no training set fits the memory and one photo failed."""
    return probe(n, folder, "iccv2025", failed=True, epochs=5, rounds=(1,), memory_bytes=1 << 20)


def knn(n: int, folder: Path) -> dict[str, float]:
    """The six set-ups, 1,000 queries at most; and the matrix products of the same shape alone."""
    import torch

    from benchmark.compute import multiply
    from benchmark.knn import knn_setups

    train, test, n_train, n_test = banks(n, folder)
    queries = min(1000, n_test)
    test = [type(v)(v.stored, v.rows[:queries]) for v in test]
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 100, n_train), rng.integers(0, 100, queries)
    drawn = {f"{s}_assignments": rng.integers(0, CLASSES, (10, m)) for s, m in (("train", n_train), ("test", queries))}

    def search() -> float:
        return _processor_s(lambda: knn_setups(train, test, *labels, k=10, **drawn))

    def products() -> float:
        query_rows = np.concatenate([v[0:queries] for v in test])
        block = 1 << 15
        out = np.empty((len(query_rows), block), np.float32)

        def all_blocks() -> None:
            for view in train:
                for start in range(0, n_train, block):
                    keys = np.ascontiguousarray(view[start : start + block].T)
                    multiply(query_rows, keys, np.ascontiguousarray(out[:, : keys.shape[1]]))

        return _processor_s(all_blocks)

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    search()
    pairs = [(search(), products()) for _ in range(2)]
    seconds, alone = (min(x) for x in zip(*pairs, strict=True))
    return {"s": seconds, "queries": queries, "products alone": alone, "ratio": round(seconds / max(alone, LEAST_S), 2)}


def duplicates(n: int, folder: Path) -> dict[str, float]:
    """Groups of near-duplicates among n photos, a tenth of which show nearly the same."""
    from builders.splits import near_duplicate_groups

    rng = np.random.default_rng(5)
    alike = np.uint64(0x5555555555555555) ^ np.bitwise_or.reduce(
        np.uint64(1) << rng.integers(0, 62, (n // 10, 3)).astype(np.uint64), axis=1
    )
    hashes = np.concatenate([rng.integers(1, 2**63, n - len(alike)).astype(np.uint64), alike])
    return {"s": _processor_s(lambda: near_duplicate_groups(hashes))}


CASES: dict[str, Callable[[int, Path], dict[str, float]]] = {
    "hashing": hashing,
    "assignments": assignments,
    "pass": first_pass,
    "again": again,
    "converged": converged,
    "iccv2025": iccv2025,
    "knn": knn,
    "duplicates": duplicates,
}
