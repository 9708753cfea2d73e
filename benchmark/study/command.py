"""``camtrace compare``: paired differences between runs, or one run beside the published numbers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from builders.command_line import Parser
from builders.errors import DataError
from builders.outside import readable


def parser() -> Parser:
    """The options of the command."""
    p = Parser(
        "camtrace compare",
        description="Paired differences between results on the same photos, with p-values corrected for their number; "
        "or, with --published, one result beside the study's numbers.",
    )
    p.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="output of runs or sweeps")
    p.add_argument(
        "--published",
        nargs="?",
        const="",
        metavar="NAME",
        help='compare with an encoder of the study, such as "CLIP (ViT-B/16, WIT)" (default: the same encoder)',
    )
    p.add_argument(
        "-t", "--tasks", action="append", default=[], metavar="PATTERN", help="such as 'probe/*'; repeatable"
    )
    p.add_argument("--all-metrics", action="store_true", help="every metric, not only the main ones of each task")
    p.add_argument(
        "--across-codecs", action="store_true", help="compare although the photos were processed by other codecs"
    )
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str]) -> int:
    return run(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    from benchmark.results import read_runs
    from benchmark.study.beside_published import published_text
    from benchmark.study.compare import compare_runs, comparison_text
    from benchmark.tasks import all_tasks

    read = [(folder, read_runs(folder, all_tasks())) for folder in args.folders]
    runs = [run for _, found in read for run in found.runs]
    refused = [(folder / refusal.file, refusal.reason) for folder, found in read for refusal in found.refused]
    for file, reason in refused:
        print(f"camtrace: refused {readable(str(file))}: {reason}", file=sys.stderr)
    if refused and not runs:
        raise DataError("none of the results given can be compared")
    if args.published is not None:
        print("\n\n".join(published_text(run, args.published, args.tasks) for run in runs))
        return 1 if refused else 0
    rows, ties = compare_runs(runs, args.tasks, all_metrics=args.all_metrics, across_codecs=args.across_codecs)
    print(comparison_text(rows, ties))
    return 1 if refused else 0
