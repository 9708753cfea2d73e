"""How cost grows with photos, part by part: processor seconds, peak memory, the exponent between two sizes.

    python scripts/speed_scale.py --photos 10000 100000
    python scripts/speed_scale.py --parts hashing pass again --photos 100000 300000 --folder /data/tiny --most 720
    PYTHONPATH=OLD_CHECKOUT python scripts/speed_scale.py ...            # the same of another version

Each part runs in a process of its own on one thread unless ``OMP_NUM_THREADS`` says otherwise. Photos are tiny (24 x 24
pixels) and embeddings made up, so that what is measured is the work around encoders, not theirs. An exponent of 1 is
linear; only ``knn`` may have 2, whose time stands beside that of its matrix products alone. ``--most`` bounds what all
of it may cost, making the photos included: what is left goes to one part after the other.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

DIM = 768
CLASSES = 3
TASKS = ("probe/sharpening",)


def main() -> int:
    """Run every part at every size and print the table."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--photos", type=int, nargs="+", default=[10_000, 100_000])
    p.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    p.add_argument("--folder", type=Path, help="where tiny photos and caches lie (a temporary folder)")
    p.add_argument("--most", type=int, default=0, help="processor seconds of all parts together (no limit)")
    p.add_argument("--json", type=Path, help="also write the numbers there")
    p.add_argument("--one", help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.one:
        print(json.dumps(measured(args.one, args.photos[0], args.folder)))
        return 0
    with tempfile.TemporaryDirectory(prefix="camtrace-scale-") as scratch:
        folder = args.folder or Path(scratch)
        rows = [run_apart(part, n, folder, args.most) for part in args.parts for n in sorted(args.photos)]
    print(table(rows))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


def run_apart(part: str, n: int, folder: Path, most: int = 0) -> dict[str, object]:
    """One part at one size in a process of its own, within what is left of ``most`` processor seconds."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    left = most - math.ceil(spent.ru_utime + spent.ru_stime)
    if most and left <= 0:
        return {"part": part, "photos": n, "error": f"not run: {most} s of processor time are spent"}
    words = [sys.executable, __file__, "--one", part, "--photos", str(n), "--folder", str(folder)]
    if most:
        words = ["bash", "-c", f'ulimit -t {left} && exec "$@"', "bash", *words]
    done = subprocess.run(words, capture_output=True, text=True, env={"OMP_NUM_THREADS": "1", **os.environ})
    last = done.stdout.strip().splitlines()[-1:] or [""]
    try:
        found = json.loads(last[0])
    except ValueError:
        stopped = f"stopped after {left} s of processor time" if most and done.returncode < 0 else "failed"
        found = {"part": part, "photos": n, "error": (done.stderr.strip().splitlines() or [stopped])[-1]}
    print(f"{part} {n:,}: {found}", file=sys.stderr, flush=True)
    return found


def measured(part: str, n: int, folder: Path) -> dict[str, object]:
    """Seconds, what else the part says, and the highest memory of this process."""
    found = PARTS[part](n, folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"part": part, "photos": n, **found, "peak_mb": round(peak / 1e6)}


def table(rows: list[dict[str, object]]) -> str:
    """For people; the exponent is that between a size and the one before it."""
    lines = ["| part | photos | processor seconds | exponent | peak MB | |", "| :-- | --: | --: | --: | --: | :-- |"]
    before: dict[str, dict[str, object]] = {}
    for row in rows:
        part, n = str(row["part"]), int(str(row["photos"]))
        if "error" in row:
            lines.append(f"| {part} | {n:,} | | | | {row['error']} |")
            continue
        exponent = ""
        if part in before:
            a = before[part]
            grown = math.log(float(str(row["s"])) / float(str(a["s"]))) / math.log(n / int(str(a["photos"])))
            exponent = f"{grown:.2f}"
        more = ", ".join(f"{k} {v}" for k, v in row.items() if k not in ("part", "photos", "s", "peak_mb"))
        lines.append(f"| {part} | {n:,} | {row['s']} | {exponent} | {row['peak_mb']} | {more} |")
        before[part] = row
    return "\n".join(lines)


def timed(work: Callable[[], object]) -> float:
    """Processor seconds of a call: on a machine that others use too, waiting says nothing."""
    started = time.process_time()
    work()
    return round(time.process_time() - started, 3)


def tiny_photos(n: int, folder: Path) -> Path:
    """A folder of n JPEG files of 24 x 24 pixels in 100 classes, a tenth of them in val; made once, then old."""
    from PIL import Image

    root = folder / f"photos-{n}"
    if (root / "done").is_file():
        return root
    rng = np.random.default_rng(0)
    for i in range(n):
        place = root / ("val" if i // 100 % 10 == 0 else "train") / f"c{i % 100:02d}"
        if i < 1100:
            place.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        pixels = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((24, 24)).save(buffer, "JPEG", quality=90)
        path = place / f"{i:07d}.jpg"
        path.write_bytes(buffer.getvalue())
        os.utime(path, (1_700_000_000, 1_700_000_000))
    (root / "done").touch()
    return root


def projection():  # type: ignore[no-untyped-def]
    """An encoder that costs nothing: 8 x 8 pixels times a fixed matrix."""
    import torch

    from benchmark.encoders import Encoder, EncoderInfo
    from benchmark.encoders.pixels import CenterCrop, Pixels, ResizeShort

    matrix = torch.from_numpy(np.random.default_rng(1).normal(size=(192, DIM)).astype(np.float32))
    info = EncoderInfo("speed:projection", "control", None, "0" * 64, DIM, {"size": 8}, "none", 0)
    pixels = Pixels((ResizeShort(8, 3), CenterCrop(8, 8, "round")))
    return Encoder(info, pixels, lambda batch: batch.flatten(1).float() @ matrix, "cpu", "float32")


def scored(n: int, folder: Path, tasks: tuple[str, ...]) -> dict[str, object]:
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


def first_pass(n: int, folder: Path) -> dict[str, object]:
    """Nothing is known: views made and embedded, one probe."""
    import shutil

    shutil.rmtree(folder / f"cache-{n}", ignore_errors=True)
    return scored(n, folder, TASKS)


def again(n: int, folder: Path) -> dict[str, object]:
    """The same run once more (after ``pass``)."""
    return scored(n, folder, TASKS)


def hashing(n: int, folder: Path) -> dict[str, object]:
    """The hash of all photos' bytes: read, and remembered where this version remembers."""
    from builders.sources import labelled_folder

    photos = labelled_folder(str(tiny_photos(n, folder)))
    try:
        from benchmark.bank import PhotoHashes
    except ImportError:
        from benchmark.bank import photos_bytes_hash

        return {"s": timed(lambda: photos_bytes_hash(photos))}
    with tempfile.TemporaryDirectory() as cache:
        first = timed(lambda: PhotoHashes(photos, Path(cache)).bytes_hash())
        return {"s": timed(lambda: PhotoHashes(photos, Path(cache)).bytes_hash()), "when unknown": first}


def assignments(n: int, folder: Path) -> dict[str, object]:
    """Ten class assignments of every photo under one parameter."""
    from builders.pixels import PARAMETERS

    ids = tuple(f"train/n{i % 1000:08d}/n{i % 1000:08d}_{i}.JPEG" for i in range(n))
    try:
        from builders.pixels import assigned_classes

        return {"s": timed(lambda: [assigned_classes(ids, PARAMETERS["jpeg"], seed) for seed in range(10)])}
    except ImportError:
        from builders.pixels import assigned_class

        return {"s": timed(lambda: [[assigned_class(i, PARAMETERS["jpeg"], s) for i in ids] for s in range(10)])}


def banks(n: int, folder: Path, *, failed: bool = False):  # type: ignore[no-untyped-def]
    """CLASSES views of n photos on disk, as banks have them, and the train and test rows of each."""
    from benchmark.bank import BankView

    rows = np.delete(np.arange(n), 17) if failed else np.arange(n)
    views = []
    for c in range(CLASSES):
        path = folder / f"bank-{n}-{c}.npy"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            stored = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, DIM))
            for start in range(0, n, 10_000):
                stop = min(start + 10_000, n)
                own = np.random.default_rng([start]).normal(size=(stop - start, DIM)).astype(np.float32)
                shift = np.random.default_rng([99, c]).normal(size=DIM).astype(np.float32)
                stored[start:stop] = own + 0.3 * shift
        views.append(np.load(path, mmap_mode="r"))
    cut = len(rows) * 9 // 10
    return [BankView(v, rows[:cut]) for v in views], [BankView(v, rows[cut:]) for v in views], cut, len(rows) - cut


def probe(n: int, folder: Path, protocol: str, *, failed: bool = False, **options: object) -> dict[str, object]:
    """One whole probe of three classes."""
    from benchmark.probe import processing_probe

    train, test, n_train, _ = banks(n, folder, failed=failed)
    drawn = np.random.default_rng(3).integers(0, CLASSES, (10, n_train))
    return {"s": timed(lambda: processing_probe(train, test, drawn, protocol=protocol, **options))}


def converged(n: int, folder: Path) -> dict[str, object]:
    """The default probe."""
    return probe(n, folder, "converged")


def iccv2025(n: int, folder: Path) -> dict[str, object]:
    """Five epochs of the study's descent where no training set fits the memory and one photo failed."""
    return probe(n, folder, "iccv2025", failed=True, epochs=5, rounds=(1,), memory_bytes=1 << 20)


def knn(n: int, folder: Path) -> dict[str, object]:
    """The six set-ups, 1,000 queries at most; beside it the matrix products of the same shape alone."""
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
        return timed(lambda: knn_setups(train, test, *labels, k=10, **drawn))

    def products() -> float:
        asked = np.concatenate([v[0:queries] for v in test])
        block = 1 << 15
        out = np.empty((len(asked), block), np.float32)

        def all_blocks() -> None:
            for view in train:
                for start in range(0, n_train, block):
                    keys = np.ascontiguousarray(view[start : start + block].T)
                    multiply(asked, keys, np.ascontiguousarray(out[:, : keys.shape[1]]))

        return timed(all_blocks)

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    search()
    pairs = [(search(), products()) for _ in range(2)]
    seconds, alone = (min(x) for x in zip(*pairs, strict=True))
    return {"s": seconds, "queries": queries, "products alone": alone, "ratio": round(seconds / alone, 2)}


def duplicates(n: int, folder: Path) -> dict[str, object]:
    """Groups of near-duplicates among n photos, a tenth of which show nearly the same."""
    from builders.splits import near_duplicate_groups

    rng = np.random.default_rng(5)
    alike = np.uint64(0x5555555555555555) ^ np.bitwise_or.reduce(
        np.uint64(1) << rng.integers(0, 62, (n // 10, 3)).astype(np.uint64), axis=1
    )
    hashes = np.concatenate([rng.integers(1, 2**63, n - len(alike)).astype(np.uint64), alike])
    return {"s": timed(lambda: near_duplicate_groups(hashes))}


PARTS: dict[str, Callable[[int, Path], dict[str, object]]] = {
    "hashing": hashing,
    "assignments": assignments,
    "pass": first_pass,
    "again": again,
    "converged": converged,
    "iccv2025": iccv2025,
    "knn": knn,
    "duplicates": duplicates,
}

if __name__ == "__main__":
    sys.exit(main())
