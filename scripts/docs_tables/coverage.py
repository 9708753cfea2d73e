"""The table of docs/explanation/statistics.md about clusters: what ``scripts/checks/clusters.py`` measured.

python scripts/docs_tables/coverage.py                     # prints the table of the stored run
python scripts/docs_tables/coverage.py --run [--trials N]  # measures again, about three minutes, and stores the run
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from builders.files import write_text_atomically
from scripts.checks.clusters import ACCURACIES, COUNTS, SHAPES, Row, table

STORED = Path(__file__).with_suffix(".json")

HEADER = (
    "clusters",
    "effective",
    *(f"score {100 * accuracy:g} %" for accuracy in ACCURACIES),
    *(f"p, chance {100 * accuracy:g} %" for accuracy in ACCURACIES),
    "difference",
    "its size",
    "against t",
    "SPD",
    "its size",
    "ranks",
)


def line(alike: Sequence[Row], unlike: Sequence[Row]) -> list[str]:
    """The cells of one kind and number of clusters, in per cent; ranges are over accuracies, and over how alike."""
    every = [*alike, *unlike]

    def at(name: str, accuracy: float) -> list[float]:
        return [getattr(row, name) for row in every if row.accuracy == accuracy]

    return [
        f"{alike[0].clusters} {alike[0].sizes}",
        f"{alike[0].effective:.1f}",
        *("/".join(f"{100 * share:.1f}" for share in at("single", accuracy)) for accuracy in ACCURACIES),
        *("/".join(f"{100 * share:.1f}" for share in at("chance", accuracy)) for accuracy in ACCURACIES),
        _range([value for row in every for value in (row.paired_null, row.paired)]),
        _range([row.size for row in every]),
        f"{100 * min(row.detected - row.t_detected for row in every):+.1f}",
        _range([row.spd for row in every]),
        _range([row.spd_size for row in every]),
        f"{100 * max(row.ranks for row in every):.1f}",
    ]


def _range(shares: Sequence[float]) -> str:
    return f"{100 * min(shares):.1f}-{100 * max(shares):.1f}"


def markdown(alike: Sequence[Row], unlike: Sequence[Row]) -> str:
    """The table."""
    kinds = [(shape, count) for shape in SHAPES for count in COUNTS]
    of_kind = [
        [[row for row in rows if (row.sizes, row.clusters) == kind] for rows in (alike, unlike)] for kind in kinds
    ]
    lines = [HEADER, (":--", *("--:" for _ in HEADER[1:])), *(line(*rows) for rows in of_kind)]
    return "\n".join(f"|{'|'.join(cells)}|" for cells in lines)


def stored(path: Path = STORED) -> tuple[list[Row], list[Row]]:
    """Rows of the stored run: of clusters that are alike, and of those that differ more."""
    raw = json.loads(path.read_text("utf-8"))
    return [Row(**row) for row in raw["alike"]], [Row(**row) for row in raw["unlike"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="measure again and store the run")
    parser.add_argument("--trials", type=int, default=2000, help="simulated data sets per setting")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.run:
        rows = {name: table(options.trials, options.seed, unlike=name == "unlike") for name in ("alike", "unlike")}
        text = json.dumps({name: [asdict(row) for row in of_name] for name, of_name in rows.items()}, indent=1)
        write_text_atomically(STORED, text + "\n")
    print(markdown(*stored()))


if __name__ == "__main__":
    main()
