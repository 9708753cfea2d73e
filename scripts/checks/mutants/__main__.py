"""Do the tests see faults? Random small faults in random lines of the product, each run against the tests of its line.

    python scripts/checks/mutants map --folder DIR [--processes 3]
    python scripts/checks/mutants run --folder DIR [--seed 0] [--count 60] [--only benchmark/knn] [--list FILE]

``map`` runs the whole suite under coverage once (half an hour on two cores) and stores which test runs which line.
``run`` draws lines by seed, at most one of a file before every file had one, and one fault of each line; it prints a
line for each, the share that was killed with its 95 % interval, and writes the survivors to ``DIR/survivors.json``.
Some of them compute the same as the product: a person must say which. ``--list`` takes faults that somebody chose
instead, a JSON list of ``{"id", "file", "old", "new"}`` with ``old`` once in the file.

Only what is committed is measured. Status 1 if a fault of the list is not in its file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import queue
import random
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[3])

from scipy.stats import binomtest

from scripts.checks.mutants.operators import Mutant, changes, mutants_of
from scripts.checks.mutants.tests_of_lines import PRODUCT, TestsOfLines, measure, stored
from scripts.checks.mutants.trials import fresh_checkout

ROOT = Path(__file__).resolve().parents[3]


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    folder = args.folder.resolve()
    if args.action == "map":
        made = measure(fresh_checkout(ROOT, folder / "measured"), folder, processes=args.processes, only=args.only)
        print(f"{len(made.tests)} tests run lines of {len(made.lines)} files")
        return 0
    map_ = stored(folder)
    try:
        faults = list(_listed(args.list) if args.list else _drawn(args.seed, args.count, args.only))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    survivors: list[dict[str, Any]] = []
    for number, (fault, outcome) in enumerate(_tried(faults, map_, folder, args), 1):
        word = "killed" if outcome["killed"] else "SURVIVED"
        print(f"{number:4} {word:8} {outcome['seconds']:5.1f} s  {fault['id']}", flush=True)
        if not outcome["killed"]:
            survivors.append({name: fault[name] for name in ("id", "file", "line", "old", "new")})
        (folder / "survivors.json").write_text(json.dumps(survivors, indent=1))
    killed = len(faults) - len(survivors)
    if faults:
        low, high = binomtest(killed, len(faults)).proportion_ci()
        print(f"{killed} of {len(faults)} killed: {killed / len(faults):.1%} ({low:.1%} to {high:.1%})")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("map", "run"))
    parser.add_argument("--folder", type=Path, required=True, help="of the map, the checkouts and the survivors")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="at a time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=60, help="of faults")
    parser.add_argument("--only", default="", help="a folder of tests for map, the begin of files for run")
    parser.add_argument("--list", type=Path, metavar="FILE", help="faults that somebody chose")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of tests for one fault (default: 60)")
    return parser


def _drawn(seed: int, count: int, only: str) -> Iterator[dict[str, Any]]:
    """Faults in random lines; of each file one before a file has two."""
    words = ["git", "-C", str(ROOT), "ls-files", "--", *PRODUCT]
    files = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    draw = random.Random(seed)
    sources = {
        file: (ROOT / file).read_text(encoding="utf-8")
        for file in files
        if file.startswith(only) and file.endswith(".py")
    }
    lines: dict[str, dict[int, list[Mutant]]] = {file: {} for file in sources}
    for file, source in sources.items():
        for mutant in mutants_of(source):
            lines[file].setdefault(mutant.line, []).append(mutant)
    places = [(file, line) for file in sources for line in lines[file]]
    draw.shuffle(places)
    times: dict[str, int] = {}
    ordered = []
    for place in places:
        times[place[0]] = times.get(place[0], 0) + 1
        ordered.append((times[place[0]], place))
    ordered.sort(key=lambda entry: entry[0])  # stable: the draw decides within a round
    for _, (file, line) in ordered:
        if not count:
            return
        mutant = draw.choice(lines[file][line])
        if changes(sources[file], mutant):
            count -= 1
            old = sources[file][mutant.start : mutant.end]
            name = f"{file}:{line} {mutant.operator}: {_short(old)} -> {_short(mutant.new)}"
            source = mutant.applied(sources[file])
            yield {"id": name, "file": file, "line": line, "old": old, "new": mutant.new, "source": source}


def _short(text: str) -> str:
    return " ".join(text.split())[:40]


def _listed(path: Path) -> Iterator[dict[str, Any]]:
    for fault in json.loads(path.read_text()):
        source = (ROOT / fault["file"]).read_text(encoding="utf-8")
        if source.count(fault["old"]) != 1:
            raise ValueError(
                f"{fault['id']}: {fault['file']} has its text {source.count(fault['old'])} times, not once"
            )
        same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(fault["old"], fault["new"], strict=False))
        line = source.count("\n", 0, source.index(fault["old"]) + len(list(same))) + 1
        yield {**fault, "line": line, "source": source.replace(fault["old"], fault["new"])}


def _tried(
    faults: Sequence[dict[str, Any]], map_: TestsOfLines, folder: Path, args: argparse.Namespace
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each fault with its outcome, as they come; ``--processes`` workers, each with a checkout of its own.

    Raises:
        RuntimeError: a worker ended before its last fault.
    """
    answers: queue.Queue[tuple[int, dict[str, Any] | None]] = queue.Queue()

    def work(number: int) -> None:
        share = faults[number :: args.processes]
        trials = [
            {"name": f["id"], "file": f["file"], "source": f["source"],
             "tests": map_.chosen(f["file"], f["line"], budget_s=args.budget)}
            for f in share
        ]  # fmt: skip
        given = folder / f"trials-{number}.json"
        given.write_text(json.dumps(trials))
        checkout = fresh_checkout(ROOT, folder / f"checkout-{number}")
        command = [sys.executable, "-m", "scripts.checks.mutants.worker", str(given), str(checkout)]
        command.append(str(3 * args.budget + 60))
        at = number
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as worker:
            for line in worker.stdout or ():
                answers.put((at, json.loads(line)))
                at += args.processes
        if at < len(faults):
            answers.put((at, None))

    for number in range(min(args.processes, len(faults))):
        threading.Thread(target=work, args=(number,), daemon=True).start()
    for _ in faults:
        at, outcome = answers.get()
        if outcome is None:
            raise RuntimeError(f"the worker of {faults[at]['id']} ended")
        yield faults[at], outcome


if __name__ == "__main__":
    sys.exit(main())
