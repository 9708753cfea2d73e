"""``camtrace sweep``: many encoders on the same photos. A failed encoder is a row; what is done is kept."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli.console import Console
from benchmark.cli.score import parser as score_parser
from benchmark.compute import import_torch, prepare_process
from benchmark.options import checked_data, listed, loading_options, to_run_options
from benchmark.scoring import ENCODERS_TOGETHER, chosen_specs, open_jobs, settle_preset
from builders.cli import Parser, check_writable
from builders.errors import UsageError
from builders.files import sweep_cache

if TYPE_CHECKING:  # the command line must answer --help before torch is imported
    from benchmark.scoring import Row


def parser() -> Parser:
    """The options of the scoring command, and those of a sweep."""
    p = score_parser()
    p.prog = "camtrace sweep"
    p.description = (
        "Score many encoders. Photos are read and processed once for several encoders; finished results are kept, so "
        "that an interrupted sweep goes on; an encoder that fails is a row with its reason."
    )
    p.epilog = None
    own = p.add_argument_group("sweep")
    own.add_argument("--models", type=Path, metavar="FILE", help="encoders, one on a line, # begins a comment")
    own.add_argument(
        "--published",
        action="store_true",
        help="the 47 encoders of the published study, by default under its preset",
    )
    own.add_argument(
        "--modern", action="store_true", help="encoders of 2024 to 2026, as camtrace list encoders has them"
    )
    own.add_argument(
        "--together",
        type=int,
        default=ENCODERS_TOGETHER,
        metavar="N",
        help="encoders in memory at a time (default: %(default)s)",
    )
    own.add_argument("--one-at-a-time", action="store_true", help="the same as --together 1: least memory, most passes")
    p.set_defaults(run=run)
    return p


def run(args: argparse.Namespace) -> int:
    return run_command(args, chosen_specs(args))


def run_command(
    args: argparse.Namespace, specs: Sequence[str], tell: Callable[[Sequence[Row], Path], str] | None = None
) -> int:
    """Estimate or run, and tell.

    Args:
        args: parsed options of a sweep.
        specs: the encoders.
        tell: (rows, output) -> the text to print; it may write further files. By default what became of every row.
    """
    settle_preset(args)
    if args.together < 1:
        raise UsageError(f"--together {args.together}: at least one encoder is needed in memory")
    options, loading = to_run_options(args), loading_options(args)
    voice = Console(args)
    with voice.speaking():
        doing = "measuring" if args.dry_run else "scoring"
        voice.notice(f"{doing} {listed(specs)} on {listed(checked_data(args))}; results go to {args.output}")
        if not args.dry_run:
            check_writable("--output", args.output)
            check_writable("--cache", options.cache / "banks")
            sweep_cache(options.cache)
        prepare_process()
        import_torch()
        from benchmark.scoring import Invocation, groups_of, run_sweep, sweep_text

        jobs = open_jobs(args)
        groups = groups_of(specs, 1 if args.one_at_a_time else args.together)
        if args.dry_run:
            from benchmark.encoders import load_encoder
            from benchmark.scoring import estimate, estimate_text

            load = partial(load_encoder, **loading)
            voice.report(estimate_text(estimate(groups, jobs, options, load), groups, jobs, options))
            return 0
        origin = Invocation(tasks=tuple(args.tasks or ()), trust_remote_code=args.trust_remote_code)
        rows = run_sweep(groups, jobs, options, loading, args.output, origin=origin, say=voice.notice)
        voice.report((tell or sweep_text)(rows, args.output))
        failed = {f"{row.spec} on {row.data}": row.reason for row in rows if row.state == "failed"}
        voice.answer([row.result for row in rows if row.result], failed)
        if args.push_to and any(row.result for row in rows):
            from benchmark.publishing import push_folder_of_results

            push_folder_of_results(args.output, args.push_to)
        return 1 if any(row.reason for row in rows) else 0
