"""Is a group that goes with the label claimed only where the embedding holds it?

    python scripts/checks/associated_groups.py [--sets 20] [--planted 5] [--clusters 40] [--seed 0]

Each set is a table of embeddings: slides (clusters) of 12 photos, each of one of two labels and of one of two sites.
The embedding has the label, the slide and noise; where it is planted, the site too. The association is the difference
of the shares of slides whose site goes with the label and of those whose does not. Printed are the sets in which a
probe, and a kNN search, are said to show the site; sets without influence must give at most 1 claim of 20, and a site
that goes wholly with the label none at all.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import camtrace
from benchmark.judgement import statements
from benchmark.tasks import all_tasks
from builders.errors import CamtraceError

PHOTOS, DIMENSION = 12, 16
LABEL, SLIDE, NOISE = 1.5, 0.7, 0.5
"""Length of a label's direction, and standard deviations of a slide and of a photo."""
SITE = 2.5
"""Length of a planted site's direction."""

TASKS = ("probe/site", "knn/site")


def write_set(folder: Path, association: float, site: float, clusters: int, rng: np.random.Generator) -> str:
    """Write a table and its embeddings; the specification of the table."""
    label = np.arange(clusters) % 2
    sites = 1 - label
    for value in (0, 1):
        slides = rng.permutation(np.flatnonzero(label == value))
        sites[slides[: round(len(slides) * (1 + association) / 2)]] = value
    directions = rng.normal(size=(4, DIMENSION))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    mean = LABEL * directions[label] + site * directions[2 + sites] + SLIDE * rng.normal(size=(clusters, DIMENSION))
    slide = np.repeat(np.arange(clusters), PHOTOS)
    embeddings = mean[slide] + NOISE * rng.normal(size=(len(slide), DIMENSION))
    ids = [f"photo-{i:05d}" for i in range(len(slide))]
    with (folder / "photos.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "label", "site", "slide"])
        rows.writerows((name, f"label {label[s]}", f"site {sites[s]}", s) for name, s in zip(ids, slide, strict=True))
    pq.write_table(
        pa.table({"photo_id": ids, "embedding": embeddings.astype(np.float32).tolist()}), folder / "embeddings.parquet"
    )
    return f"table:{folder}/photos.csv?id=id&label=label&group=site&cluster=slide"


def claims(association: float, site: float, clusters: int, rng: np.random.Generator) -> set[str]:
    """Tasks of one set that are said to show the site; none where both are refused."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["CAMTRACE_CACHE"] = str(folder / "cache")
        data = write_set(folder, association, site, clusters, rng)
        try:
            result = camtrace.score(
                f"embeddings:{folder}/embeddings.parquet", data=data, tasks=list(TASKS), output=str(folder / "out")
            )
        except CamtraceError as error:
            print(f"  refused: {error}")
            return set()
        found = statements(result.results[0], all_tasks())
    return {one.task for one in found if one.answer == "yes"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--planted", type=int, default=5)
    parser.add_argument("--clusters", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = [(association, 0.0, options.sets) for association in (0.0, 0.7, 0.9)]
    rows += [(1.0, 0.0, 1), *((association, SITE, options.planted) for association in (0.0, 0.7))]
    for number, (association, site, sets) in enumerate(rows):
        found = [
            claims(association, site, options.clusters, np.random.default_rng([options.seed, number, i]))
            for i in range(sets)
        ]
        by_task = ", ".join(f"{task} {sum(task in one for one in found)}" for task in TASKS)
        print(f"association {association:g}, {'planted' if site else 'no influence'}: of {sets} sets claimed {by_task}")


if __name__ == "__main__":
    main()
