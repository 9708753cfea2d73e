"""Scores by item in ``camtrace compare``: its options, and the comparison."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.cli import check_writable
from builders.errors import UsageError
from builders.processes import notice

if TYPE_CHECKING:
    from benchmark.compare import Gate

WHAT = "between any systems on the same items (tables, logs of inspect_ai, lm-evaluation-harness and others)"
PATHS = "files of scores by item, and folders of logs"
LOSSES = "of scores by item that lie outside 0 to 1 in their own unit, or in hundredths of --range"
MOST_USED = ("--item", "--score", "--cluster", "--on-missing", "--output")
EXAMPLE = "camtrace compare old.csv new.csv --item id --score correct --cluster page"


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options of scores by item to those of ``camtrace compare``."""
    items = p.add_argument_group("scores by item: tables (CSV, TSV, Parquet, JSON lines, JSON, Excel) and logs")
    items.add_argument("--item", metavar="COLUMN", help="column of a table that names the item")
    items.add_argument("--score", metavar="COLUMN", help="column of the score; of logs a metric (default: the first)")
    items.add_argument(
        "--cluster", metavar="COLUMN", help="column, or field of a log's samples, of items that err together"
    )
    items.add_argument("--task", metavar="COLUMN", help="column of the task; items are compared within each task")
    items.add_argument("--system", metavar="COLUMN", help="column of the system, where a table has several")
    items.add_argument(
        "--on-missing",
        choices=("fail", "drop"),
        default="fail",
        help="what to do with items and tasks that not all systems have: fail names them, drop leaves them out and "
        "names them (default: %(default)s)",
    )
    items.add_argument(
        "--on-repeated",
        choices=("fail", "mean"),
        default="fail",
        help="what to do with several rows of an item; epochs of a log are always averaged (default: %(default)s)",
    )
    items.add_argument(
        "--range",
        type=_range,
        metavar="LOW:HIGH",
        help="range of a score, of which a hundredth is a point (default: 0:1 where all scores lie there)",
    )
    items.add_argument("--lower-is-better", action="store_true", help="ranks and the gate take low scores for good")
    items.add_argument("--output", type=Path, metavar="DIR", help="also write CSV, JSON and a page with a figure")


def _range(text: str) -> tuple[float, float]:
    """Two finite numbers, the second above the first."""
    with contextlib.suppress(ValueError):
        low, high = map(float, text.replace(",", ":").split(":"))
        if -1e300 < low < high < 1e300:
            return low, high
    raise argparse.ArgumentTypeError(f"{text}: give two numbers with a colon, the lower one first, such as 0:100")


def compare(args: argparse.Namespace, *, is_gate: bool) -> tuple[str, dict[str, Any], Gate | None] | None:
    """Text, record and gate of a comparison by item; None if the request is none.

    Raises:
        UsageError: options of both kinds of comparison, or results with scores by item.
    """
    if not _is_by_item(args):
        return None
    from benchmark.compare import gate_text
    from benchmark.extras.items import (
        Columns,
        compare_rows,
        gate_items,
        items_figure,
        items_record,
        items_text,
        left_out,
        read_sources,
        write_items,
    )

    if args.figure is not None:
        from benchmark.report import checked_format

        checked_format(args.figure)
    columns = Columns(args.item, args.score, args.cluster, args.task, args.system)
    compared, aligned = compare_rows(
        read_sources(args.folders, columns, args.tasks),
        on_missing=args.on_missing,
        on_repeated=args.on_repeated,
        score_range=args.range,
        lower_is_better=args.lower_is_better,
    )
    gate = None
    if is_gate:
        gate = gate_items(compared, aligned, worse_by=args.worse_by, lower_is_better=args.lower_is_better)
    if args.output is not None:
        check_writable("--output", args.output)
        write_items(compared, args.output, gate)
        notice(f"written to {args.output / 'comparison.html'}")
    if args.figure is not None:
        from benchmark.report import write_figure

        write_figure(items_figure(compared), args.figure)
        notice(f"written to {args.figure}")
    if gate is None:
        return items_text(compared), items_record(compared, gate), gate
    text = "\n\n".join(filter(None, [gate_text(gate, unit="item"), "\n".join(left_out(compared))]))
    return text, items_record(compared, gate), gate


def _is_by_item(args: argparse.Namespace) -> bool:
    """Whether scores by item are compared.

    Raises:
        UsageError: options of both kinds of comparison, or results with scores by item.
    """
    from benchmark.extras.items import is_item_source
    from benchmark.results import find_runs

    named = [name for name in ("item", "score", "cluster", "task", "system", "range", "output") if getattr(args, name)]
    named += ["lower_is_better"] if args.lower_is_better else []
    named += [name for name in ("on_missing", "on_repeated") if getattr(args, name) != "fail"]
    by_item = [is_item_source(path) for path in args.folders]
    if not named and not any(by_item):
        return False
    if not any(by_item) and any(find_runs(path) for path in args.folders if path.is_dir()):
        raise UsageError(f"--{named[0].replace('_', '-')} goes with scores by item, not with results of camtrace")
    if not all(by_item) and any((path / "result.json").exists() for path in args.folders):
        other = next(path for path, it_is in zip(args.folders, by_item, strict=True) if it_is)
        raise UsageError(f"{other}: scores by item, which are not compared with results of camtrace")
    others = ["published", "preset"]
    wrong = [name for name in others if getattr(args, name) is not None]
    wrong += [name for name in ("all_metrics", "across_codecs", "across_presets") if getattr(args, name)]
    if wrong:
        raise UsageError(f"--{wrong[0].replace('_', '-')} goes with results of camtrace, not with scores by item")
    return True
