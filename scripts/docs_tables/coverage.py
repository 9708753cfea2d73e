"""The tables of docs/explanation/statistics.md about clusters: what ``scripts/checks/clusters.py`` measures.

python scripts/docs_tables/coverage.py [--trials 2000] [--seed 0] [--unlike]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from scripts.checks.clusters import ACCURACIES, COUNTS, SHAPES, Row, table

HEADER = (
    "clusters",
    "effective",
    *(f"score {100 * accuracy:g} %" for accuracy in ACCURACIES),
    "p against 50 %",
    "difference",
    "its size",
    "against t",
    "SPD",
    "its size",
    "ranks",
)


def line(rows: list[Row]) -> list[str]:
    """The cells of one kind and number of clusters, in per cent; ranges are over accuracies."""
    by_accuracy = {row.accuracy: row for row in rows}
    return [
        f"{rows[0].clusters} {rows[0].sizes}",
        f"{rows[0].effective:.1f}",
        *(f"{100 * by_accuracy[accuracy].single:.1f}" for accuracy in ACCURACIES),
        f"{100 * by_accuracy[ACCURACIES[0]].chance:.1f}",
        _range([value for row in rows for value in (row.paired_null, row.paired)]),
        _range([row.size for row in rows]),
        f"{100 * min(row.detected - row.t_detected for row in rows):+.1f}",
        _range([row.spd for row in rows]),
        _range([row.spd_size for row in rows]),
        f"{100 * max(row.ranks for row in rows):.1f}",
    ]


def _range(shares: list[float]) -> str:
    return f"{100 * min(shares):.1f}-{100 * max(shares):.1f}"


def markdown(rows: list[Row]) -> str:
    """The table."""
    kinds = [(shape, count) for shape in SHAPES for count in COUNTS]
    lines = [HEADER, (":--", *("--:" for _ in HEADER[1:]))]
    lines += [tuple(line([row for row in rows if (row.sizes, row.clusters) == kind])) for kind in kinds]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000, help="simulated data sets per setting")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unlike", action="store_true", help="clusters that differ more")
    options = parser.parse_args()
    print(markdown(table(options.trials, options.seed, unlike=options.unlike)))


if __name__ == "__main__":
    main()
