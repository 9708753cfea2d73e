"""``camtrace score``: score encoders on photo sets, write results, print a report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmark.cli.parser import scoring_parser
from benchmark.cli.run import run_scoring
from benchmark.options import DEFAULT_MODEL
from builders.cli import Parser
from builders.errors import UsageError


def parser() -> Parser:
    """The options of the scoring command."""
    p = scoring_parser()
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str]) -> int:
    """Parse and run; the exit status."""
    return run(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    """The exit status."""
    from benchmark.report import in_step_order

    models = in_step_order(list(dict.fromkeys(args.model or [DEFAULT_MODEL])))
    if args.revision and len(models) > 1:
        raise UsageError("--revision goes with one --model; with several, write each as NAME@REVISION")
    return run_scoring(args, models)
