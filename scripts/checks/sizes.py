"""What large results and boards cost: processor seconds and memory of each command, in a process of its own.

    python scripts/checks/sizes.py --encoders 200 --columns 110 --test-photos 50000

A board is made of results of many encoders on as many data sets as give the columns. A result of many test photos is
made by ``camtrace score`` on embeddings made up here, 64 wide: 5,000 train photos, 100 classes, a group of 4. It is
written with its report, verified, and compared with a second one. ``scripts/speed --only scale --set cases=knn``
measures kNN.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmark.results import Result, write_result
from scripts.checks.faults.mutations import honest_result
from scripts.speed.measure import run_command

TRAIN, WIDTH, CLASSES, GROUPS = 5_000, 64, 100, 4


def main() -> int:
    """Print a line for each command."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--encoders", type=int, default=200)
    p.add_argument("--columns", type=int, default=110)
    p.add_argument("--test-photos", type=int, default=50_000)
    p.add_argument("--tasks", default="knn/original")
    args = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="camtrace-sizes-") as scratch:
        board(Path(scratch), args.encoders, args.columns)
        result(Path(scratch), args.test_photos, args.tasks)
    return 0


def measured(what: str, *words: object, cache: Path) -> None:
    """Run a command of camtrace and print what it took."""
    command = [sys.executable, "-m", "camtrace", *map(str, words)]
    cost = run_command(command, CAMTRACE_CACHE=str(cache), HF_HUB_OFFLINE="1")
    print(f"{what}: {cost.seconds.processor:.1f} processor s, {cost.peak_bytes / 1e6:.0f} MB at most", flush=True)


def board(folder: Path, encoders: int, columns: int) -> None:
    """The board of results of as many encoders, with at least as many columns."""
    one = honest_result("timm/encoder-0", 0)
    sets = -(-columns // len(one.scores))
    for number in range(encoders):
        for data in range(sets):
            made = honest_result(f"timm/encoder-{number}", number * sets + data)
            scores = tuple(dataclasses.replace(score, data=f"set-{data}") for score in made.scores)
            facts = {**made.data, "name": f"set-{data}", "question_hash": f"9ue5{data}"}
            path = folder / "results" / f"{number}-{data}" / "result.json"
            path.parent.mkdir(parents=True)
            write_result(dataclasses.replace(made, data=facts, scores=scores), path)
    what = f"board of {encoders} encoders x {sets * len(one.scores)} columns"
    measured(what, "leaderboard", folder / "results", "--output", folder / "site", "-q", cache=folder / "cache")
    size = sum(path.stat().st_size for path in (folder / "site").rglob("*") if path.is_file())
    print(f"  {size / 1e6:.1f} MB of files", flush=True)


def result(folder: Path, test_photos: int, tasks: str) -> None:
    """Two results of as many test photos, and every command that reads them."""
    count, rng = TRAIN + test_photos, np.random.default_rng(0)
    label, site = rng.integers(0, CLASSES, count), rng.integers(0, GROUPS, count)
    means = rng.normal(size=(CLASSES, WIDTH)), 0.5 * rng.normal(size=(GROUPS, WIDTH))
    ids = [f"p{i}" for i in range(count)]
    rows = [f"{ids[i]},class {label[i]},site {site[i]},{'train' if i < TRAIN else 'val'}" for i in range(count)]
    (folder / "table.csv").write_text("\n".join(["id,label,site,split", *rows]) + "\n")
    for name in ("first", "second"):
        embeddings = means[0][label] + means[1][site] + 2 * rng.normal(size=(count, WIDTH))
        np.save(folder / f"{name}.npy", embeddings.astype(np.float32))
        (folder / f"{name}.csv").write_text("\n".join(["photo_id", *ids]) + "\n")
        data = f"table:{folder}/table.csv?id=id&label=label&group=site&split=split"
        words = ("--model", f"embeddings:{folder}/{name}.npy", "--data", data, "--tasks", tasks)
        measured(f"score, {test_photos:,} test photos", "score", *words, "--output", folder / name, "-q",
                 cache=folder / "cache")  # fmt: skip
    made = Result.from_json((folder / "first" / "result.json").read_text())
    print("  " + ", ".join(f"{score.task} {score.metric}: n {score.n:,}" for score in made.scores), flush=True)
    for file in sorted((folder / "first").rglob("*")):
        if file.is_file():
            print(f"  {file.name}: {file.stat().st_size / 1e6:.1f} MB", flush=True)
    cache = folder / "cache"
    measured("verify", "verify", folder / "first", "-q", cache=cache)
    measured("compare", "compare", folder / "first", folder / "second", "-q", cache=cache)


if __name__ == "__main__":
    sys.exit(main())
