"""Checks of the measures of given groups: equality with a plain loop, chance, coverage, claims, and time.

python scripts/checks/robustness.py equality        # PathoROB's shape: 2 x 2 x 17 slides x 300 photos
python scripts/checks/robustness.py slow-equality   # performance drop and clustering score, within their spread
python scripts/checks/robustness.py chance coverage --tables 200
python scripts/checks/robustness.py claims --tables 100
python scripts/checks/robustness.py time --photos 20000 --dimension 1536
python scripts/checks/robustness.py time --photos 200000 --dimension 768 --queries 20000 --measure neighbours
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np
from scipy.stats import binomtest

from benchmark.knn import Box, Setup
from benchmark.options import RunOptions
from benchmark.robustness import (
    Cells,
    balanced_chance,
    balanced_index,
    clustering_score,
    deciding_share,
    group_pull,
    index_curve,
    neighbours_of,
    performance_drop,
    robustness_index,
    setup_chances,
    simulated_chance,
    spd,
    spd_beyond_chance,
)
from benchmark.stats import jackknife
from benchmark.tasks import TaskInput
from benchmark.tasks.groups.probe import run_group_probe
from builders.photos import CLUSTER, Labels, NoPictures, PhotoSet
from tests.support.plain_groups import plain_clustering, plain_drop
from tests.support.planted_groups import exact_rows, plain_counts, planted_table

K = 11
EFFECTS = ((0.0, 0.0, 0.0), (1.0, 1.0, 0.7), (3.0, 1.0, 0.7), (1.0, 3.0, 1.2), (9.0, 9.0, 1.2))
"""Of label, group and slide; photos have standard deviation 1 in each of 32 dimensions."""

COVERED = (
    *((2, 2, 17, effects) for effects in ((1.0, 1.0, 0.0), (1.0, 1.0, 0.7), (1.0, 1.0, 1.2), (3.0, 3.0, 0.7))),
    (2, 2, 6, (3.0, 3.0, 0.7)),
    (4, 4, 3, (1.0, 1.0, 0.7)),
    (6, 3, 3, (3.0, 3.0, 0.7)),
    (4, 4, 2, (1.0, 1.0, 0.7)),
)
"""Labels, groups, slides of each cell, and effects."""


def equality(args: argparse.Namespace) -> None:
    """The index for k = 1 .. 61 against a loop over slides, on rows whose products are exact."""
    print("| effects of label, group, slide | photos | largest difference over k | index at k = 1, 11, 61 |")
    print("|--" * 4 + "|")
    for effects in EFFECTS:
        rng = np.random.default_rng(0)
        rows, *columns = planted_table(rng, photos=args.slide_photos, effects=effects)
        exact = exact_rows(rows, rng)
        counts = plain_counts(exact, *columns, 61)
        curve = index_curve(neighbours_of(exact, Cells.of(*columns), k=K, setups=False))
        so, os = counts[Box.SO].sum(axis=0), counts[Box.OS].sum(axis=0)
        expected = so / np.maximum(so + os, 1)
        worst = np.abs(curve.index - expected)[so + os > 0].max(initial=0)
        shown = ", ".join(f"{curve.index[k - 1]:.3f}" for k in (1, 11, 61))
        print(f"| {effects} | {len(rows):,} | {worst:.1e} | {shown} |", flush=True)


def slow_equality(args: argparse.Namespace) -> None:
    """The performance drop and the clustering score against plain loops with scikit-learn, over seeds of both."""
    print(
        "| effects of label, group, slide | measure | mean over seeds | of the plain loop | spread over seeds | of it |"
    )
    print("|--" * 6 + "|")
    for effects in EFFECTS[1:4]:
        rows, *columns = planted_table(np.random.default_rng(0), photos=args.slide_photos, effects=effects)
        cells = Cells.of(*columns)
        results: dict[str, list[tuple[float, float]]] = {"performance drop": [], "clustering score": []}
        for seed in range(args.seeds):
            drop = performance_drop(lambda at, rows=rows: rows[at], cells, seed=seed)  # type: ignore[misc]
            score = clustering_score(lambda at, rows=rows: rows[at], cells, seed=seed, seeds=5)  # type: ignore[misc]
            assert drop is not None
            assert score is not None
            results["performance drop"].append((drop.value, plain_drop(rows, *columns, seed)))
            results["clustering score"].append((score.value, plain_clustering(rows, *columns[:2], seed)))
        for name, pairs in results.items():
            (value, plain), (spread, plain_spread) = np.mean(pairs, axis=0), np.std(pairs, axis=0, ddof=1)
            print(
                f"| {effects} | {name} | {value:+.4f} | {plain:+.4f} | {spread:.4f} | {plain_spread:.4f} |", flush=True
            )


def chance(args: argparse.Namespace) -> None:
    """Formula, simulation, and the mean over structureless tables, of which so many have it in their interval."""
    print("| labels x groups | (C-1)/(B+C-2) | of these cells | simulated | tables | mean | chance in interval |")
    print("|--" * 7 + "|")
    for labels, groups in ((2, 2), (4, 4), (6, 3), (10, 14)):
        clusters, values, inside = max(3, 24 // (labels * groups)), [], 0
        for seed in range(args.seed, args.seed + args.tables):
            rng = np.random.default_rng(seed)
            rows, *columns = planted_table(
                rng, labels=labels, groups=groups, clusters=clusters, photos=4, dimension=16, effects=(0, 0, 0)
            )
            cells = Cells.of(*columns)
            index = robustness_index(neighbours_of(rows, cells, k=K, setups=False))
            values.append(index.value)
            ends = jackknife(index.value, index.left_out, cells.blocks.strata, index.two_left_out).interval(1, (0, 1))
            inside += ends.low <= index.chance <= ends.high
        simulated = simulated_chance(cells, K, draws=50)[0]
        print(
            f"| {labels} x {groups} | {balanced_chance(labels, groups):.3f} | {index.chance:.3f} | {simulated:.3f} | "
            f"{args.tables} | {np.mean(values):.3f} | {_share(inside, args.tables)} |",
            flush=True,
        )


def coverage(args: argparse.Namespace) -> None:
    """How often the interval contains the mean over tables, and how much too small other errors are."""
    print(
        "| labels x groups x slides | effects of label, group, slide | measure | mean | spread over tables | error | "
        "of slides as queries alone | of photos | coverage |\n" + "|--" * 9 + "|"
    )
    for labels, groups, clusters, effects in COVERED:
        results: dict[str, list[tuple[float, float, float, float, int]]] = {}
        for seed in range(args.seed, args.seed + args.tables):
            rows, *columns = planted_table(
                np.random.default_rng(seed),
                labels=labels,
                groups=groups,
                clusters=clusters,
                photos=args.slide_photos,
                effects=effects,
            )
            cells = Cells.of(*columns)
            neighbours = neighbours_of(rows, cells, k=K)
            by_photo, by_slide = _plain_errors(neighbours.counts, cells)
            measures = {
                "index": robustness_index(neighbours),
                "balanced": balanced_index(neighbours),
                "decides": deciding_share(neighbours),
                "spd": spd(neighbours, 0.0),
            }
            for name, measure in measures.items():
                result = jackknife(measure.value, measure.left_out, cells.blocks.strata, measure.two_left_out)
                numbers = (result.value, result.error, by_slide, by_photo, result.freedom)
                results.setdefault(name, []).append(numbers)
        for name, rows_of in results.items():
            value, error, by_slide_all, by_photo_all, freedom = np.array(rows_of).T
            truth, spread = value.mean(), value.std(ddof=1)
            half = np.array([jackknife_quantile(int(f)) for f in freedom]) * error
            inside = int((np.abs(value - truth) <= half).sum())
            others = (
                f"{np.sqrt(np.square(by_slide_all).mean()):.4f} | {np.sqrt(np.square(by_photo_all).mean()):.4f}"
                if name == "index"
                else "- | -"
            )
            print(
                f"| {labels} x {groups} x {clusters} | {effects} | {name} | {truth:.3f} | {spread:.4f} | "
                f"{np.sqrt(np.square(error).mean()):.4f} | {others} | {_share(inside, args.tables)} |",
                flush=True,
            )


def claims(args: argparse.Namespace) -> None:
    """Groups shuffled among the slides of a label: how often a claim of the reports is made; and of SPD by itself."""
    yes = {"SPD": 0, "SPD beyond chance (claimed)": 0, "pull of the group (claimed)": 0}
    for seed in range(args.seed, args.seed + args.tables):
        rng = np.random.default_rng(seed)
        rows, label, group, cluster = planted_table(rng, photos=args.slide_photos, effects=(2.0, 2.0, 0.7))
        of_cluster = np.zeros(cluster.max() + 1, np.int64)
        of_cluster[cluster] = group
        for name in range(2):
            members = np.unique(cluster[label == name])
            of_cluster[members] = of_cluster[rng.permutation(members)]
        cells = Cells.of(label, of_cluster[cluster], cluster)
        neighbours = neighbours_of(rows, cells, k=K)
        chances = setup_chances(neighbours)
        expected = chances[Setup.POS_SAME] - chances[Setup.NEG_SAME]
        distraction = spd(neighbours, expected)
        for name, measure in zip(
            yes, (distraction, spd_beyond_chance(distraction), group_pull(neighbours)), strict=True
        ):
            result = jackknife(measure.value, measure.left_out, cells.blocks.strata, measure.two_left_out)
            yes[name] += result.value > measure.chance and result.p_value(measure.chance) < 0.05
    for measured, count in yes.items():
        print(f"groups shuffled within labels: {measured} above chance in {count} of {args.tables} tables")


def measure_time(args: argparse.Namespace) -> None:
    """Processor time and memory of every measure of one group, each in a process of its own that maps the rows."""
    columns = planted_table(np.random.default_rng(0), photos=max(1, args.photos // 68), dimension=1)[1:]
    print(f"{len(columns[0]):,} photos x {args.dimension}, {args.queries or len(columns[0]):,} queries")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "rows.npy"
        write_rows(file, *columns, dimension=args.dimension)
        print(f"rows: {file.stat().st_size >> 20:,} MiB in a file, which count as memory where they are read")
        for measure in args.measure or MEASURES:
            process = multiprocessing.get_context("spawn").Process(target=timed, args=(measure, file, columns, args))
            process.start()
            process.join()
            if process.exitcode:
                sys.exit(f"{measure} failed")


def write_rows(
    file: Path, label: np.ndarray, group: np.ndarray, cluster: np.ndarray, *, dimension: int, block: int = 8192
) -> None:
    """Rows of a planted table in a file, some at a time: each is its cell, its cluster and noise."""
    rng = np.random.default_rng(1)
    cells, slides = rng.normal(size=(4, dimension)), 0.1 * rng.normal(size=(cluster.max() + 1, dimension))
    rows = np.lib.format.open_memmap(file, "w+", np.float32, (len(label), dimension))
    for start in range(0, len(label), block):
        part = slice(start, start + block)
        planted = 0.1 * cells[2 * label[part] + group[part]] + slides[cluster[part]]
        rows[part] = planted + rng.normal(size=planted.shape)
    rows.flush()


def timed(name: str, file: Path, columns: tuple[np.ndarray, ...], args: argparse.Namespace) -> None:
    """Print the time and the peak memory of one measure."""
    rows, (label, group, cluster) = np.load(file, mmap_mode="r"), columns
    few = slice(0, len(label), max(1, len(label) // 400))
    neighbours_of(rows[few], Cells.of(*(c[few] for c in columns)), k=K)  # loads what is compiled
    photos = PhotoSet(
        "planted",
        tuple(map(str, range(len(label)))),
        np.zeros(len(label), np.int8),
        Labels(("a", "b"), label.astype(np.int32)),
        NoPictures(),
        np.arange(len(label)),
        columns={CLUSTER: cluster.astype(str)},
        groups={"site": Labels(("n", "s"), group.astype(np.int32))},
    )
    inputs = TaskInput(photos, np.ones(len(label), bool), MappedRows(rows), RunOptions(), "cpu")  # type: ignore[arg-type]
    queries = None if not args.queries else np.linspace(0, len(label) - 1, args.queries).astype(np.int64)
    before, wall, processor = _peak(), time.perf_counter(), time.process_time()
    MEASURES[name](inputs, Cells.of(*columns), queries)
    print(
        f"{name}: {time.process_time() - processor:.0f} s of processors, {time.perf_counter() - wall:.0f} s in all, "
        f"peak {_peak():,} MiB ({before:,} before)",
        flush=True,
    )


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


class MappedRows:
    """Rows of a file as a bank of photos as they are."""

    reads_rows = True

    def __init__(self, rows: np.ndarray, at: np.ndarray | None = None) -> None:
        self._rows, self._at = rows, np.arange(len(rows)) if at is None else at
        self.shape = (len(self._at), rows.shape[1])

    def view(self, name: str, indices: np.ndarray) -> MappedRows:
        return MappedRows(self._rows, indices)

    def __getitem__(self, selection: slice | np.ndarray) -> np.ndarray:
        return np.asarray(self._rows[self._at[selection]])


def measure_neighbours(inputs: TaskInput, cells: Cells, queries: np.ndarray | None) -> None:
    """Everything of ``knn/GROUP`` and ``robustness/GROUP`` but the performance drop and the clustering score."""
    rows = inputs.view("original", np.arange(len(cells)))
    neighbours = neighbours_of(rows, cells, k=K, queries=queries)
    setup_chances(neighbours)
    index_curve(neighbours)
    simulated_chance(cells, K, draws=20)
    for measure in (robustness_index, balanced_index, deciding_share, group_pull):
        statistic = measure(neighbours)
        jackknife(statistic.value, statistic.left_out, cells.blocks.strata, statistic.two_left_out)


MEASURES: dict[str, Callable[[TaskInput, Cells, np.ndarray | None], object]] = {
    "neighbours": measure_neighbours,
    "probe": lambda inputs, cells, queries: run_group_probe("site", inputs),
    "drop": lambda inputs, cells, queries: performance_drop(lambda at: inputs.view("original", at)[:], cells),
    "clustering": lambda inputs, cells, queries: clustering_score(lambda at: inputs.view("original", at)[:], cells),
}
"""What one group is measured by; the probe has its controls."""


def jackknife_quantile(freedom: int) -> float:
    """Student's quantile of a 95 % interval."""
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))


def _plain_errors(counts: np.ndarray, cells: Cells) -> tuple[float, float]:
    """Errors of the index from photos as queries, and from slides as queries, with the collection fixed."""
    so, os = counts[Box.SO].astype(float), counts[Box.OS].astype(float)
    index = so.sum() / (so + os).sum()
    apart = (so - index * (so + os)) / (so + os).mean()
    slides = np.bincount(cells.clusters, weights=apart) / len(apart)
    return float(apart.std() / len(apart) ** 0.5), float(np.sqrt(np.square(slides).sum()))


def _share(count: int, total: int) -> str:
    ends = binomtest(count, total).proportion_ci(method="wilson")
    return f"{100 * count / total:.1f} % ({100 * ends.low:.1f} to {100 * ends.high:.1f})"


CHECKS = {
    "equality": equality,
    "slow-equality": slow_equality,
    "chance": chance,
    "coverage": coverage,
    "claims": claims,
    "time": measure_time,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("checks", nargs="+", choices=CHECKS)
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1000, help="of the first table")
    parser.add_argument("--slide-photos", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=5, help="of slow-equality")
    parser.add_argument("--photos", type=int, default=20_000)
    parser.add_argument("--dimension", type=int, default=1536)
    parser.add_argument("--queries", type=int, help="photos whose neighbours are searched (default: all)")
    parser.add_argument("--measure", action="append", choices=MEASURES, help="to time; repeatable (default: all)")
    args = parser.parse_args()
    for name in args.checks:
        CHECKS[name](args)


if __name__ == "__main__":
    main()
