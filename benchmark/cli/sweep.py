"""``camtrace sweep``: many encoders on the same photos. A failed encoder is a row; finished results are reused."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmark.cli.score import RowsText, run_scoring
from benchmark.cli.score import parser as score_parser
from benchmark.scoring import ENCODERS_TOGETHER, chosen_specs, settle_preset
from builders.cli import Parser, whole_number


def parser() -> Parser:
    """The options of the scoring command, and those of a sweep."""
    p = score_parser()
    p.prog = "camtrace sweep"
    p.description = (
        "Score many encoders. Photos are read and processed once for several encoders; finished results are saved, so "
        "that an interrupted sweep goes on; an encoder that fails is a row with its reason."
    )
    p.epilog = None
    p.most_used = (
        *("--models", "--published", "--modern", "--data", "--tasks", "--output", "--dry-run"),
        *("--limit", "--preset", "--device"),
    )
    p.examples = (
        "camtrace sweep --models models.txt --data imagenet:/data/imagenet --dry-run",
        "camtrace sweep --published --data imagenet:/data/imagenet --output out",
    )
    set_help(p, model="encoders; repeatable, besides those of --models, --published and --modern")
    group = p.add_argument_group("sweep")
    group.add_argument("--models", type=Path, metavar="FILE", help="encoders, one on a line, # begins a comment")
    group.add_argument(
        "--published",
        action="store_true",
        help="the 47 encoders of the published study, by default under its preset",
    )
    group.add_argument(
        "--modern", action="store_true", help="encoders of 2024 to 2026, as camtrace list encoders has them"
    )
    group.add_argument(
        "--together",
        type=whole_number(1),
        default=ENCODERS_TOGETHER,
        metavar="N",
        help="encoders in memory at a time (default: %(default)s)",
    )
    group.add_argument(
        "--one-at-a-time", action="store_true", help="the same as --together 1: least memory, most passes"
    )
    p.set_defaults(run=run)
    return p


def set_help(p: Parser, **helps: str) -> None:
    """Other help for options of a parser that another command made, by destination."""
    for action in p._actions:
        action.help = helps.get(action.dest, action.help)


def run(args: argparse.Namespace) -> int:
    """The exit status."""
    return run_sweep(args, chosen_specs(args))


def run_sweep(args: argparse.Namespace, specs: Sequence[str], rows_text: RowsText | None = None) -> int:
    """Score encoders in groups, or measure what that takes.

    Args:
        args: parsed options of a sweep.
        specs: the encoders.
        rows_text: the text that is printed; by default what became of every row.

    Returns:
        The exit status.
    """
    settle_preset(args)
    return run_scoring(args, specs, together=1 if args.one_at_a_time else args.together, rows_text=rows_text)
