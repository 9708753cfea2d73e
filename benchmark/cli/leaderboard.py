"""``camtrace leaderboard``: results and the study's published numbers to a static site."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from benchmark.leaderboard import DEFAULT_TITLE, build_leaderboard
from builders.cli import Parser, Renamed, run_command, write_record
from builders.errors import UsageError


def parser() -> Parser:
    """The options of the command."""
    p = Parser(
        "camtrace leaderboard",
        most_used=("--output", "--title", "--no-published"),
        examples=(
            "camtrace leaderboard results --output site",
            "camtrace leaderboard OWNER/results results --output site",
        ),
        renamed=(Renamed("--results", ""),),
        description="Write a static leaderboard that opens from a file or a server and loads nothing from elsewhere.",
    )
    p.add_argument(
        "results",
        nargs="*",
        metavar="RESULTS",
        help="folder of results, or Hub data set OWNER/NAME[@REVISION] (default: none, the published encoders alone)",
    )
    p.add_argument("-o", "--output", type=Path, required=True, metavar="SITE", help="folder to write")
    p.add_argument("--title", default=DEFAULT_TITLE, help="heading of the page (default: %(default)s)")
    p.add_argument("--no-published", action="store_true", help="leave out the study's 47 published encoders")
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str]) -> int:
    return run_command(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    if args.no_published and not args.results:
        raise UsageError("nothing to show: give a folder of results, or leave out --no-published")
    site = build_leaderboard(args.results, args.output, title=args.title, published=not args.no_published)
    for refusal in (*site.refused, *site.left_out):
        print(f"refused {refusal.file}: {refusal.reason}")
    print(
        f"{site.published} published and {site.measured} measured encoders from {site.files} result files"
        f" ({len(site.refused)} refused), {site.columns} columns"
    )
    print(f"written to {args.output}: open {args.output / 'index.html'} ({site.loaded_bytes / 1e6:.2f} MB to load)")
    write_record(args, {"output": args.output, **dataclasses.asdict(site)})
    return 0
