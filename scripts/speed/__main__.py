"""Every speed figure in one run, as ratios against something simpler measured in the same rounds.

    python scripts/speed [--only views,knn,...] [--rounds N] [--photos DIR] [--set NAME=VALUE ...] [--quick]
                         [--minutes 20] [--neighbours N] [--json FILE] [--table] [--from FILE]

Each part runs in a process of its own and is printed as it is done, with the processor, the libraries of the products
and their threads, the commit and the load before it. ``--neighbours N`` keeps N processes busy meanwhile; the probes,
and what several threads do in the time of one, are measured without and with one.
A part that fails, or does not end within what is left of ``--minutes`` and is stopped, is named, and the exit status is
1. Where several parts are run, each takes smaller sizes or fewer rounds than alone (``SMALLER``). ``--quick`` uses tiny
sizes, to see that it runs; its figures mean nothing. Quiet machines give figures worth keeping.
``--table`` prints the table of docs/explanation/performance.md at the end; with ``--from FILE`` the figures come from
an earlier ``--json`` and nothing is measured.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__" and not __package__:  # python scripts/speed: its modules must not hide those of other names
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmark.report.tables import markdown_table
from scripts.speed.measure import ApartError, apart, busy, commit, machine

USUAL = ("views", "simcams", "knn", "probe", "threads", "runtimes", "processed_build", "fetch", "pipeline")
"""Parts that are measured without ``--only``."""

MORE = ("chains", "layers", "scale", "audit", "cluster", "input_checks", "build_report")
"""Parts that take long, or need photos."""

SMALLER: dict[str, dict[str, Any]] = {
    "views": {"rounds": 3},
    "simcams": {"every": 3},
    "knn": {"rounds": 3, "n_test": 250},
    "probe": {"rounds": 1, "sizes": ("default",)},
    "threads": {"rounds": 5},
    "runtimes": {"networks": ("ResNet-50", "EfficientNet-Lite0")},
    "processed_build": {"rounds": 3, "count": 384},
    "fetch": {"files": 3000},
    "pipeline": {"rounds": 1, "count": 40, "sizes": (2,)},
}
"""Options of each part where several are measured, so that all end within 20 minutes on two busy cores."""

WITH_A_NEIGHBOUR = ("probe", "threads")
"""Parts that are measured with a busy process too."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    if args.figures:
        print(documentation_table(json.loads(args.figures.read_text())))
        return 0
    chosen = args.only.split(",")
    if unknown := set(chosen) - {*USUAL, *MORE}:
        parser.error(f"unknown part {', '.join(sorted(unknown))}: known are {', '.join((*USUAL, *MORE))}")
    try:
        options = {part: _options(part, args, several=len(chosen) > 1) for part in chosen}
    except ValueError as error:
        parser.error(str(error))
    end = time.monotonic() + 60 * args.minutes
    figures: list[dict[str, Any]] = []
    failed = False
    for part, neighbours in [(name, n) for name in chosen for n in _neighbours(name, args.neighbours)]:
        name = f"{part}, beside {neighbours} busy process" if neighbours else part
        try:
            with busy(neighbours):
                left = max(end - time.monotonic(), 0.01)
                measured = apart("scripts.speed.__main__:measured", part, options[part], timeout=left)
        except ApartError as error:
            failed = True
            print(f"{name}: {error}\n", flush=True)
            continue
        where = {key: measured[key] for key in ("machine", "commit", "load")}
        figures += [{"part": part, "neighbours": neighbours, **where, **row} for row in measured["rows"]]
        failed |= any(row.get("wrong") for row in measured["rows"])
        print(f"{name}: {measured['seconds']:.0f} s; commit {measured['commit']}; {measured['machine']}\n")
        print(_table(part, measured["rows"]), end="\n\n", flush=True)
        if args.json:
            args.json.write_text(json.dumps(figures, indent=2) + "\n")
    if args.table and figures:
        print(documentation_table(figures))
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(USUAL), help=f"parts, with commas; also {', '.join(MORE)}")
    parser.add_argument("--rounds", type=int, help="whose median counts, of every part that has rounds")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="photos of the parts that take some")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="another option of a part's rows(); repeatable"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes: it runs, the figures mean nothing")
    parser.add_argument("--minutes", type=float, default=20.0, help="for all parts together (default: 20)")
    parser.add_argument("--neighbours", type=int, help="processes that compute meanwhile")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--table", action="store_true", help="print the table of the documentation at the end")
    parser.add_argument("--from", type=Path, dest="figures", metavar="FILE", help="print the table of these figures")
    return parser


def _neighbours(part: str, wanted: int | None) -> tuple[int, ...]:
    return (wanted,) if wanted is not None else (0, 1) if part in WITH_A_NEIGHBOUR else (0,)


def _options(part: str, args: argparse.Namespace, *, several: bool) -> dict[str, Any]:
    """What the ``rows()`` of a part is called with.

    Raises:
        ValueError: the part has no such option.
    """
    known = inspect.signature(importlib.import_module(f"scripts.speed.{part}").rows).parameters
    options: dict[str, Any] = {"quick": True} if args.quick else dict(SMALLER.get(part, {})) if several else {}
    if args.rounds is not None and "rounds" in known:
        options["rounds"] = args.rounds
    if args.photos is not None and "photos" in known:
        options["photos"] = str(args.photos.resolve())
    for word in args.set:
        name, _, text = word.partition("=")
        if name in known:
            options[name] = _parsed(text, known[name].annotation)
        elif not several:
            raise ValueError(f"{part} has no option {name}: it has {', '.join(known)}")
    return options


def _parsed(text: str, annotation: str) -> Any:
    """The text as a value of an annotated type.

    >>> _parsed("1,2", "Sequence[int]"), _parsed("3", "int"), _parsed("a,b", "Sequence[str]"), _parsed("x", "str")
    ((1, 2), 3, ('a', 'b'), 'x')
    """
    if annotation.startswith("Sequence["):
        return tuple(_parsed(part, annotation[len("Sequence[") : -1]) for part in text.split(","))
    return {"int": int, "float": float}.get(annotation, str)(text)


def measured(part: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of a part, each with its number of threads, and where and when they were measured."""
    module = importlib.import_module(f"scripts.speed.{part}")  # before torch: some set up the process first
    import torch

    load, started = os.getloadavg()[0], time.monotonic()
    rows = [row.to_json() for row in module.rows(**options)]
    threads = torch.get_num_threads()  # as the part set them, where it did
    return {
        "rows": [{"threads": threads, **row} for row in rows],
        "machine": machine(),
        "commit": commit(),
        "load": round(load, 2),
        "seconds": time.monotonic() - started,
    }


def _table(part: str, rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row if key != "what"))
    cells = [[str(row["what"]), *(_cell(row.get(column)) for column in columns)] for row in rows]
    return markdown_table([part, *columns], cells)


def documentation_table(figures: Sequence[Mapping[str, Any]]) -> str:
    """One table of all parts without their details, under a line that says where they were measured."""
    main_rows = [row for row in figures if not row["what"].startswith("  ")]
    columns = ("value", "unit", "processor", "seconds", "threads", "neighbours", "n", "aim")
    used = [column for column in columns if any(row.get(column) is not None for row in main_rows)]
    cells = [[row["part"], row["what"].strip(), *(_cell(row.get(column)) for column in used)] for row in main_rows]
    loads = [row["load"] for row in figures]
    commits = ", ".join(dict.fromkeys(row["commit"] for row in figures))
    processor = figures[0]["machine"].partition(", load")[0]
    where = f"`python scripts/speed` at commit {commits}; {processor}; load {min(loads):g} to {max(loads):g}."
    return f"{where}\n\n{markdown_table(['part', 'what', *used], cells)}"


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
