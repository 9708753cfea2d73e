"""``camtrace publish``: publish a folder of results to the Hub, or show what would be written."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from benchmark.publishing import PublishRequest, publish_results
from builders.cli import Parser, Renamed, add_push, repository_name, run_command, write_record


def parser() -> Parser:
    """The options of the command."""
    p = Parser(
        "camtrace publish",
        most_used=("--repo", "--push", "--space", "--public", "--model-card"),
        examples=(
            "camtrace publish results --repo OWNER/results",
            "camtrace publish results --repo OWNER/results --space OWNER/leaderboard --push",
        ),
        renamed=(Renamed("--results", "--repo"),),
        description="Show what would be published of a folder of results; with --push, publish it. Without the right "
        "to write, a pull request is opened.",
    )
    p.add_argument("folder", type=Path, help="what a run or sweep wrote")
    p.add_argument(
        "--repo",
        dest="results",
        type=repository_name,
        required=True,
        metavar="OWNER/NAME",
        help="data set repository of results",
    )
    p.add_argument(
        "--space",
        type=repository_name,
        metavar="OWNER/NAME",
        help="also rebuild the leaderboard in this static Space",
    )
    p.add_argument(
        "--model-card",
        action="store_true",
        help="also open pull requests with .eval_results/*.yaml in the models' own repositories",
    )
    p.add_argument(
        "--eval-yaml",
        action="store_true",
        help="also write eval.yaml, which declares their tasks, to the Hub data sets that were scored",
    )
    p.add_argument("--public", action="store_true", help="make new repositories public (default: private)")
    p.add_argument("--unknown-codec", action="store_true", help="take results whose codec canary is not known")
    p.add_argument("--smoke-tests", action="store_true", help="take results on the bundled sample")
    add_push(p)
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str]) -> int:
    return run_command(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    names = [field.name for field in dataclasses.fields(PublishRequest)]
    record = publish_results(PublishRequest(**{name: getattr(args, name) for name in names}))
    write_record(args, record)
    return 0
