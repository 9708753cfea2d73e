"""Random honest data through score, verify, compare, gate and board: nothing that camtrace writes may be refused by it.

    python scripts/checks/honest_data.py --first 0 --count 200

Each seed makes a table of photos with labels, groups, scenes, clusters and splits (or without), few or many, with cells
that are empty, and two sets of embeddings: noise, planted effects, ties, copies, constants. Both are scored with random
options. Then the results are verified, compared, gated against each other and themselves, and put on a board. A wrong
is a traceback, the name of an exception in a sentence, an interval without its score, a refusal of a result by another
command, an equal encoder that is judged worse. Reasons of tasks that failed are listed by how often they were given.
Exit status 1 if anything was wrong; ``--first SEED --count 1`` repeats a case and keeps its files.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import re
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmark.__main__ import camtrace
from builders.processes import progress_bar

EXCEPTIONS = re.compile(r"\b[A-Z][A-Za-z]*(Error|Exception|Warning)\b|Traceback")
"""Names of exceptions, which no sentence has."""

MODELS = ("first", "second")


@dataclass(frozen=True)
class Tried:
    """What one seed gave."""

    outcome: str
    """``scored``, or the last sentence of the command that refused the data."""
    wrong: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    """Of tasks that failed."""


@dataclass
class Commands:
    """Commands of camtrace in this process, and what was wrong with them."""

    wrong: list[str] = field(default_factory=list)

    def run(self, *words: object) -> tuple[int, str]:
        """Status and printed text. A traceback, or the name of an exception, is wrong."""
        printed = io.StringIO()
        status = -1
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            try:
                status = camtrace([*map(str, words), "--quiet"])
            except SystemExit as end:
                status = int(end.code or 0) if isinstance(end.code, int | None) else 1
            except Exception:
                printed.write(traceback.format_exc())
        text = printed.getvalue()
        self.wrong += [f"{words[0]}: {line}" for line in text.splitlines() if EXCEPTIONS.search(line)]
        return status, text

    def expect(self, *words: object) -> None:
        """Run a command that must end with status 0."""
        status, text = self.run(*words)
        if status:
            self.wrong.append(f"{' '.join(map(str, words))} ended with status {status}: {text[-800:]}")


def rows_of(rng: random.Random) -> list[dict[str, str]]:
    """Photos of a table: a cell by column."""
    labels, scenes = rng.choice((1, 2, 2, 3, 5)), rng.choice((0, 0, 4, 12, 30))
    levels = {
        name: rng.choice((1, 2, 2, 3, 4)) for name in rng.sample(("site", "scanner", "stain"), rng.choice((0, 1, 1, 2)))
    }
    if scenes and levels:
        cells: list[dict[str, str]] = [{}]
        for name, count in levels.items():
            cells = [{**cell, name: f"{name}{level}"} for cell in cells for level in range(count)]
        lost = rng.choice((0.0, 0.0, 0.1))
        rows = [{"label": f"l{s % labels}", "scene": f"s{s}", **cell} for s in range(scenes) for cell in cells]
        rows = [row for row in rows if rng.random() >= lost]
    else:
        drawn = range(rng.choice((6, 20, 60, 150, 400)))
        rows = [
            {"label": f"l{rng.randrange(labels)}", **{n: f"{n}{rng.randrange(c)}" for n, c in levels.items()}}
            for _ in drawn
        ]
    if rng.random() < 0.4:
        count = rng.choice((2, 5, 20))
        for number, row in enumerate(rows):
            row["cluster"] = f"c{number % count if rng.random() < 0.9 else rng.randrange(count)}"
    if rng.random() < 0.7:
        share = rng.choice((0.3, 0.5, 0.8))
        for row in rows:
            row["split"] = "train" if rng.random() < share else rng.choice(("val", "val", "test"))
    if rng.random() < 0.2:
        for row in rows:
            row.update({name: "" for name in ("label", *levels) if rng.random() < 0.05})
    return rows


def embeddings_of(rows: list[dict[str, str]], columns: list[str], rng: random.Random) -> np.ndarray:
    """float32 [photos, dimension]: noise, effects of columns, sometimes ties, copies, one row for all; none is zero."""
    draw = np.random.default_rng(rng.randrange(2**32))
    dimension = rng.choice((1, 2, 8, 16))
    made = draw.normal(size=(len(rows), dimension)) * rng.choice((0, 0.1, 1, 5))
    for column in columns:
        _, level = np.unique([row.get(column, "") for row in rows], return_inverse=True)
        made += (draw.normal(size=(level.max() + 1, dimension)) * rng.choice((0, 0, 0.5, 2)))[level]
    if rng.random() < 0.15:
        made = np.round(made)
    if rng.random() < 0.05:
        made[:] = made[0]
    if rng.random() < 0.2:
        made[1::2] = made[: 2 * (len(made) // 2) : 2]
    made[np.linalg.norm(made, axis=1) == 0] += 1e-3
    return made.astype(np.float32)


def write_data(folder: Path, rng: random.Random) -> str:
    """Write a table and two files of embeddings; returns the specification of the data."""
    rows = rows_of(rng)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    ids = [f"p{i}" for i in range(len(rows))]
    lines = [",".join((photo, *(row.get(name, "") for name in columns))) for photo, row in zip(ids, rows, strict=True)]
    (folder / "table.csv").write_text("\n".join((",".join(("id", *columns)), *lines)) + "\n")
    for name in MODELS:
        np.save(folder / f"{name}.npy", embeddings_of(rows, columns, rng))
        (folder / f"{name}.csv").write_text("\n".join(("photo_id", *ids)) + "\n")
    named = [f"{'group' if name in ('site', 'scanner', 'stain') else name}={name}" for name in columns]
    share = [f"val-share={rng.choice((0.2, 0.5, 0.9))}"] if "split" not in columns and rng.random() < 0.5 else []
    return f"table:{folder}/table.csv?{'&'.join(('id=id', *named, *share))}"


def options_of(rng: random.Random) -> list[str]:
    """Options of score."""
    words: list[str] = []
    if rng.random() < 0.3:
        words += ["--readers", rng.choice(("linear,knn", "linear,mlp", "knn", "linear,knn,mlp"))]
    if rng.random() < 0.2:
        words += ["--limit", rng.choice(("5", "20", "100"))]
    if rng.random() < 0.2:
        words += ["--preset", "iccv2025"]
    if rng.random() < 0.3:
        words += ["--distractors", rng.choice(("target", "own", "all", "both"))]
    return words


def tried(seed: int, folder: Path) -> Tried:
    """Try the data of a seed in an empty folder."""
    rng, commands = random.Random(seed), Commands()
    data = write_data(folder, rng)
    options = [*options_of(rng), "--cache", str(folder / "cache")]
    results: list[dict[str, Any]] = []
    for name in MODELS:
        model = f"embeddings:{folder}/{name}.npy"
        status, text = commands.run("score", "--model", model, "--data", data, "--output", folder / name, *options)
        if not (folder / name / "result.json").exists():
            if not status:
                commands.wrong.append("score ended with status 0 and wrote no result")
            last = (text.strip().splitlines() or ["nothing was said"])[-1]
            return Tried(_without_numbers(last.replace(str(folder), "")), tuple(commands.wrong))
        results.append(json.loads((folder / name / "result.json").read_text()))
    commands.wrong += [wrong for result in results for wrong in _wrong_in(result)]
    reasons = [_without_numbers(failure["reason"]) for result in results for failure in result["failures"]]
    if all(result["scores"] for result in results):
        first, second = (folder / name for name in MODELS)
        gate = ("--worse-by", "1", "--all-metrics", "--exit-code")
        commands.expect("verify", first)
        commands.expect("verify", second)
        commands.expect("compare", first, second, "--all-metrics")
        commands.expect("compare", first, first, *gate)
        commands.expect("compare", first, second, *gate[:-1])
        commands.expect("leaderboard", first, second, "--output", folder / "board")
    return Tried("scored", tuple(commands.wrong), tuple(reasons))


def _wrong_in(result: dict[str, Any]) -> list[str]:
    wrong = [f"failure: {f['reason']}" for f in result["failures"] if EXCEPTIONS.search(f["reason"])]
    return wrong + [
        f"interval: {score['task']} {score['metric']} {score['value']} lies outside {score['low']} to {score['high']}"
        for score in result["scores"]
        if not score["low"] - 1e-9 <= score["value"] <= score["high"] + 1e-9
    ]


def _without_numbers(text: str) -> str:
    return re.sub(r"'[^']*'|@\w+|\d+", "#", text)[:140]


def main() -> int:
    """Print what was wrong, by seed, then outcomes and reasons with how often."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--first", type=int, default=0, help="seed")
    p.add_argument("--count", type=int, default=100)
    args = p.parse_args()
    outcomes, reasons, wrong = Counter[str](), Counter[str](), 0
    for seed in progress_bar(range(args.first, args.first + args.count), desc="honest data", unit="set"):
        folder = Path(tempfile.mkdtemp(prefix=f"camtrace-honest-{seed}-"))
        one = tried(seed, folder)
        outcomes[one.outcome] += 1
        reasons.update(one.reasons)
        wrong += len(one.wrong)
        for text in one.wrong:
            print(f"WRONG seed {seed}: {text}", flush=True)
        if args.count > 1:
            shutil.rmtree(folder)
    for title, counted in (("outcome", outcomes), ("reason", reasons)):
        for text, count in counted.most_common():
            print(f"{count:6} {title}: {text}")
    print(f"{args.count} seeds from {args.first}: {wrong} wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
