"""Table and figure of a page about ways to an embedding over several networks, from files of ``camtrace diff --json``.

    python scripts/docs_tables/network_diffs.py docs/networks/jpeg --figure docs/networks/jpeg.png
    python scripts/docs_tables/network_diffs.py docs/networks/jpeg --write docs/explanation/jpeg-for-networks.md

A folder has a file for each network, on the same photos. Differences of accuracy of all files of a folder are one
family (Holm); they are paired by photo, from the counts in the files.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmark.judgement import Decision, decide_differences
from benchmark.report import interval, markdown_table, percent, write_figure
from benchmark.stats import needed_units, paired_difference

BEGIN, END = "<!-- table begin -->", "<!-- table end -->"
COLOURS = ("#0072B2", "#D55E00", "#009E73")


def ways_of(folder: Path) -> list[tuple[dict, dict, Decision | None, float]]:
    """(file, way, decision about accuracy, standard deviation of its difference) of each network and way."""
    files = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    ways = [(file, row) for file in files for row in file["rows"] if row["kind"] == "path"]
    if any(row["only_first"] is None for _, row in ways):
        return [(file, row, None, 0.0) for file, row in ways]
    if any(file["units"] != file["n"] for file in files):
        raise SystemExit(f"{folder}: photos err together, so that counts are not enough for a test")
    differences = [paired_difference(*answers(row)) for _, row in ways]
    decisions = decide_differences(differences, [0] * len(ways))
    spreads = [d.standard_error * d.units**0.5 for d in differences]
    return [(file, row, *more) for (file, row), *more in zip(ways, decisions, spreads, strict=True)]


def answers(row: dict) -> tuple[np.ndarray, np.ndarray]:
    """Whether each photo is right in the other way and in the first, with the counts of a file; their order is free."""
    both = round(row["n"] * row["accuracy_first"]) - row["only_first"]
    neither = row["n"] - both - row["only_first"] - row["only_second"]
    counts = [both, row["only_first"], row["only_second"], neither]
    return np.repeat([1, 0, 1, 0], counts), np.repeat([1, 1, 0, 0], counts)


def needed(decision: Decision, value: float, spread: float) -> str:
    """Photos that would show the difference, or that it is below its bound; the fewer."""
    if decision.answer != "undecided" or not spread:
        return "-"
    level = 1 - 0.05 / decision.family
    plans = [needed_units(size / spread, level=level) for size in (abs(value), decision.bound) if size]
    return f"{max(min(plan for plan in plans if plan), decision.units):,.0f}"


def cell(measured: dict | None, scale: float) -> str:
    return (
        "-"
        if measured is None
        else f"{scale * measured['value']:.1f} ({scale * measured['low']:.1f} to {scale * measured['high']:.1f})"
    )


def table(folder: Path) -> str:
    """Markdown: a row for each network and way."""
    body = []
    for file, row, decision, spread in ways_of(folder):
        cosine = row["cosine"]
        traces = (
            "-"
            if cosine["traces"] is None
            else f"{cosine['traces']:.2g} ({cosine['traces_low']:.2g} to {cosine['traces_high']:.2g})"
        )
        line = [short(file), row["name"], traces, cell(row["neighbours"], 100)]
        if decision is not None:
            value = row["accuracy_second"] - row["accuracy_first"]
            line += [percent(row["accuracy_first"]), f"{row['only_first']} / {row['only_second']}"]
            line += [f"{percent(value, True)}, {interval(decision.low, decision.high, True)}", decision.answer]
            line.append(needed(decision, value, spread))
        body.append(line)
    header = ["network", "way", "cosine distance in weakest traces", "10 neighbours changed, %"]
    accuracy = ["right before, %", "lost / won", "accuracy, points", "differs", "photos that would decide"]
    return markdown_table(header + accuracy * (len(body[0]) > 4), body)


def short(file: dict) -> str:
    return file["encoder"].removeprefix("bundled:")


def draw(folders: list[Path], path: Path) -> None:
    """A line of panels for each folder: neighbours that change, and accuracy."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"font.size": 7, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(8, 2.6 * len(folders)), layout="constrained")
        grid = figure.subplots(len(folders), 2, squeeze=False)
        for (left, right), folder in zip(grid, folders, strict=True):
            ways = ways_of(folder)
            networks = list(dict.fromkeys(short(file) for file, *_ in ways))
            names = list(dict.fromkeys(row["name"] for _, row, *_ in ways))
            right.set_visible(ways[0][2] is not None)
            for file, row, decision, _ in ways:
                which = names.index(row["name"])
                y = networks.index(short(file)) + 0.25 * (which - (len(names) - 1) / 2)
                near = row["neighbours"]
                look = {"color": COLOURS[which], "lw": 1}
                left.plot([100 * near["low"], 100 * near["high"]], [y, y], **look)
                left.plot(100 * near["value"], y, "o", ms=3.5, color=COLOURS[which], label=row["name"])
                if decision is not None:
                    value = row["accuracy_second"] - row["accuracy_first"]
                    face = COLOURS[which] if decision.answer == "yes" else "white"
                    right.plot([100 * decision.low, 100 * decision.high], [y, y], **look)
                    right.plot(100 * value, y, "o", ms=3.5, color=COLOURS[which], mfc=face)
            right.axvline(0, color="black", lw=0.8, ls=":")
            for axes in (left, right):
                axes.set_yticks(range(len(networks)), networks if axes is left else [])
                axes.set_ylim(len(networks) - 0.5, -0.5)
            left.set_title(
                f"{ways[0][0]['data'].removeprefix('folder:')}, {ways[0][0]['n']:,} photos", loc="left", fontsize=8
            )
            left.set_xlabel("of the 10 nearest neighbours change, % (95 % interval)")
            right.set_xlabel("kNN accuracy, points (interval that decides; hollow: not shown)")
        handles, labels = grid[0][0].get_legend_handles_labels()
        kept = dict(zip(labels, handles, strict=True))
        figure.legend(kept.values(), kept, loc="outside lower center", ncols=3, frameon=False)
        write_figure(figure, path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--write", type=Path, help="page, between whose marks the tables are put")
    args = parser.parse_args()
    text = "\n\n".join(table(folder) for folder in args.folders)
    if args.figure:
        draw(args.folders, args.figure)
    if args.write:
        page = args.write.read_text()
        args.write.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{text}\n{END}", page, flags=re.DOTALL))
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
