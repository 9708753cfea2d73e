"""``camtrace leaderboard``: results and the study's published numbers to a static site."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmark.leaderboard.admission import objection
from benchmark.leaderboard.board import build_board
from benchmark.leaderboard.entries import measured_entries, published_entries
from benchmark.leaderboard.facts import study_facts
from benchmark.leaderboard.site import write_site
from benchmark.results import ReadResults, Refusal, ResultFile, published_encoders, read_results
from builders.command_line import Parser
from builders.errors import UsageError


def parser() -> Parser:
    """The options of the command."""
    p = Parser(
        "camtrace leaderboard",
        description="Write a static leaderboard that opens from a file or a server and loads nothing from elsewhere.",
    )
    p.add_argument(
        "--results",
        action="append",
        default=[],
        metavar="DIR|REPO",
        help="folder of result files, or Hub data set owner/name[@revision]; repeatable",
    )
    p.add_argument("-o", "--output", type=Path, required=True, metavar="SITE", help="folder to write")
    p.add_argument("--title", default="camtrace leaderboard", help="heading of the page (default: %(default)s)")
    p.add_argument("--no-published", action="store_true", help="leave out the study's 47 published encoders")
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str]) -> int:
    return run(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    if args.no_published and not args.results:
        raise UsageError("nothing to show: give --results, or leave out --no-published")
    read = _read_all(args.results)
    published = [] if args.no_published else published_entries(published_encoders(), study_facts())
    board = build_board([*published, *measured_entries(read.accepted)])
    left_out = [Refusal("columns", why) for why in board.left_out]
    loaded = write_site(board, [*read.refused, *left_out], args.output, title=args.title)
    for refusal in [*read.refused, *left_out]:
        print(f"refused {refusal.file}: {refusal.reason}")
    measured = len(board.entries) - len(published)
    print(
        f"{len(published)} published and {measured} measured encoders from {len(read.accepted)} result files"
        f" ({len(read.refused)} refused), {len(board.columns)} columns"
    )
    print(f"written to {args.output}: open {args.output / 'index.html'} ({loaded / 1e6:.2f} MB to load)")
    return 0


def _read_all(sources: Sequence[str]) -> ReadResults:
    accepted: list[ResultFile] = []
    refused: list[Refusal] = []
    for source in sources:
        read = read_results(source, objection)
        accepted += read.accepted
        refused += read.refused
    seen: dict[str, str] = {}
    unique = []
    for file in accepted:
        text = file.result.to_json()
        if text in seen:
            refused.append(Refusal(file.file, f"the same result as {seen[text]}"))
        else:
            seen[text] = file.file
            unique.append(file)
    return ReadResults(tuple(unique), tuple(refused))
