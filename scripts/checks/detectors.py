"""Null sets of real and generated photos: how often a detector is said to see something where nothing is there.

    python -m scripts.checks.detectors [--sets 100] [--first 0] [--seed 0]

Each set has 360 photos whose embeddings are noise, with random classes, three generators, two sources of real photos,
and more noise under each of the study's 14 processings. All four tasks are scored by the real command. A claim is any
*yes* about a margin over the floor, a loss for an unseen generator, or the bias of a processing. A claim at 5 % may be
made in 10 of 100 sets: the 97.5 % quantile of the binomial distribution.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import binom

from benchmark.judgement import biases, moves
from benchmark.results import read_result
from benchmark.tasks import all_tasks
from builders.pixels import PARAMETERS, STUDY_PROCESSINGS
from scripts.checks.planted import printed, run_options, write_table

PHOTOS = 360
DIMENSION = 8


def write_views(path: Path, views: Mapping[str, np.ndarray]) -> None:
    """Embeddings of ``p0``, ``p1``, ... by processing (``""`` is none) as Parquet."""
    tables = []
    for view, rows in views.items():
        parameter = next((p for p in PARAMETERS.values() if view in p.processings), None)
        of_view = {} if parameter is None else {parameter.name: parameter.classes[parameter.processings.index(view)]}
        columns = {name: pa.array([of_view.get(name)] * len(rows), pa.string()) for name in PARAMETERS}
        ids = [f"p{i}" for i in range(len(rows))]
        tables.append(pa.table({"photo_id": ids, "embedding": rows.astype(np.float32).tolist(), **columns}))
    pq.write_table(pa.concat_tables(tables), path)


def claims_of(rng: np.random.Generator, folder: Path) -> list[str]:
    """The claims about one null set."""
    rows = rng.normal(size=(PHOTOS, DIMENSION))
    processed = {name: rows + 0.5 * rng.normal(size=rows.shape) for name in STUDY_PROCESSINGS}
    write_views(folder / "E.parquet", {"": rows, **processed})
    made, group, split, source = (rng.permutation(np.arange(PHOTOS) % k) for k in (2, 3, 3, 2))
    columns = {
        "photo": [f"p{i}" for i in range(PHOTOS)],
        "kind": np.where(made, "fake", "real"),
        "made_by": np.where(made, [f"generator {g}" for g in group], "camera"),
        "source": np.where(made, "", [f"camera {c}" for c in source]),
        "split": np.where(split == 0, "val", "train"),
    }
    write_table(folder / "T.csv", columns)
    data = f"table:{folder}/T.csv?id=photo&label=kind&group=generator=made_by&source=source&split=split"
    printed("score", "--model", f"embeddings:{folder}/E.parquet", "--data", data, *run_options(folder))
    result = read_result(next((folder / "out").rglob("result.json")))
    missing = {"floor", "detect", "leave-one-out", "crossing"} - {s.task.partition("/")[2] for s in result.scores}
    if missing:
        raise RuntimeError(f"not scored: {', '.join(sorted(missing))}")
    claims = [f"{task} {metric}" for (task, metric), d in moves(result, all_tasks()).items() if d.answer == "yes"]
    return claims + [n for score in result.scores for n, b in biases(score).items() if b.decision.answer == "yes"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="number of the first set, to count in several parts")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    claimed = 0
    for at in range(options.first, options.first + options.sets):
        with tempfile.TemporaryDirectory() as place:
            claims = claims_of(np.random.default_rng([options.seed, at]), Path(place))
        claimed += bool(claims)
        done = at + 1 - options.first
        print(f"set {at}: {', '.join(claims) or 'nothing'}; {claimed} of {done} sets so far", flush=True)
    most = int(binom.ppf(0.975, options.sets, 0.05))
    print(f"a claim in {claimed} of {options.sets} sets, {most} allowed")
    return 0 if claimed <= most else 1


if __name__ == "__main__":
    sys.exit(main())
