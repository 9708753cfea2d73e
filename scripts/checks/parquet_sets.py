"""Opening a data set of many Parquet files: processor seconds and memory, in all and for each row.

    python scripts/checks/parquet_sets.py --files 4,64,290 --rows 4418 --folder /data/made

Files have the form of image data sets of the Hub: pictures as bytes, a class label, row groups of 100 rows. Pictures
are a few bytes that no two rows share, since opening decodes none. Each data set is opened in a process of its own: its
rows, and then the table of stamps that a run keeps of them. The status is 1 if a row of the largest set costs more than
that of the set before it, or the largest takes more than ``--most`` MB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from scripts.speed.measure import apart, peak_mb, timed

OPENED = "scripts.checks.parquet_sets:opened"
"""What runs in a process of its own."""

CLASSES = 1000
GROUP_ROWS = 100
MORE = 2
"""Times the cost of a row of the set before it that a row of the largest may cost. What opening costs once is left out,
but is not the same every time: sets of less than 100,000 rows say little."""


def main() -> int:
    """Print a line for each set; 1 if cost is not flat."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--files", default="4,64,290", help="numbers of files, with commas")
    p.add_argument("--rows", type=int, default=4418, help="of each file; 290 x 4418 are ImageNet's 1.28 million")
    p.add_argument("--folder", type=Path, help="where the sets are made and stay (a temporary folder)")
    p.add_argument("--most", type=int, default=1000, help="MB of the largest set")
    args = p.parse_args()
    counts = sorted(int(count) for count in args.files.split(","))
    with tempfile.TemporaryDirectory(prefix="camtrace-parquet-") as scratch:
        return 0 if flat(args.folder or Path(scratch), counts, args.rows, args.most) else 1


def flat(folder: Path, counts: list[int], rows: int, most_mb: int) -> bool:
    """Print a line for each set; whether rows of all sets cost the same and the largest set fits.

    Args:
        folder: where the sets lie.
        counts: files of each set.
        rows: of each file.
        most_mb: memory that the largest may take.
    """
    once = apart(OPENED, str(made(folder, 1, GROUP_ROWS)))
    costs = []
    for count in counts:
        cost = apart(OPENED, str(made(folder, count, rows)))
        n = count * rows
        of_row = {name: (cost[name] - once[name]) / n for name in ("opening", "stamps", "peak_mb")}
        costs.append(of_row)
        print(
            f"{count} files, {n:,} rows: opened in {cost['opening']:.1f} processor s, stamps {cost['stamps']:.1f}, "
            f"{cost['peak_mb']:.0f} MB at most; a row {1e6 * of_row['opening']:.1f} + {1e6 * of_row['stamps']:.1f} us, "
            f"{1e6 * of_row['peak_mb']:.0f} bytes",
            flush=True,
        )
    dearer = [name for name, cost in costs[-2:][0].items() if costs[-1][name] > MORE * cost]
    if dearer:
        print(f"NOT flat: a row of the largest set costs more than {MORE} times as much: {', '.join(dearer)}")
    if cost["peak_mb"] > most_mb:
        print(f"NOT within {most_mb} MB")
    return not dearer and cost["peak_mb"] <= most_mb


def opened(folder: str) -> dict[str, float]:
    """In a process of its own: processor seconds of opening and of the table of stamps, and the highest memory."""
    from benchmark.bank import PhotoHashes
    from builders.data_specs import open_photos

    opening, photos = timed(lambda: open_photos(f"hub:{folder}"))
    with tempfile.TemporaryDirectory() as cache:
        stamps, _ = timed(lambda: PhotoHashes(photos, Path(cache)).stand_in())
    return {"opening": opening.processor, "stamps": stamps.processor, "peak_mb": peak_mb()}


def made(folder: Path, files: int, rows: int) -> Path:
    """A data set of equal Parquet files in a folder; made once."""
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = folder / f"{files}x{rows}"
    if (root / "done").is_file():
        return root
    (root / "data").mkdir(parents=True, exist_ok=True)
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=[f"class {i}" for i in range(CLASSES)])}
    )
    for file in range(files):
        numbers = range(file * rows, (file + 1) * rows)
        images = [{"bytes": b"picture %d" % i, "path": f"{i}.jpg"} for i in numbers]
        table = pa.table({"image": images, "label": [i % CLASSES for i in numbers]}, schema=features.arrow_schema)
        split = "validation" if file >= files - files // 20 and files > 1 else "train"
        pq.write_table(table, root / "data" / f"{split}-{file:05d}-of-{files:05d}.parquet", row_group_size=GROUP_ROWS)
    (root / "done").touch()
    return root


if __name__ == "__main__":
    sys.exit(main())
