"""``camtrace score``: score encoders on photo sets, write results, print a report.

``run_scoring`` is the run behind ``sweep`` and ``reproduce`` too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli.console import Console
from benchmark.cli.parser import scoring_parser
from benchmark.compute import import_torch, prepare_process
from benchmark.options import DEFAULT_MODEL, RunOptions, checked_data, listed, loading_options, to_run_options
from builders.cli import Parser, check_writable, run_command
from builders.errors import UsageError
from builders.files import sweep_cache
from builders.untrusted import public_text

if TYPE_CHECKING:  # the command line must answer --help before torch is imported
    from benchmark.results import Result
    from benchmark.scoring import Failed, Request, Row, RunOutcome

RowsText = Callable[["Sequence[Row]", Path], str]
"""(rows, output) -> the text that a sweep prints; it may write further files."""


def parser() -> Parser:
    """The options of the scoring command."""
    p = scoring_parser()
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str]) -> int:
    """Parse and run; the exit status."""
    return run_command(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    """The exit status."""
    from benchmark.report import in_step_order

    models = in_step_order(list(dict.fromkeys(args.model or [DEFAULT_MODEL])))
    if args.revision and len(models) > 1:
        raise UsageError("--revision goes with one --model; with several, write each as NAME@REVISION")
    return run_scoring(args, models)


def run_scoring(
    args: argparse.Namespace,
    specs: Sequence[str],
    *,
    together: int | None = None,
    rows_text: RowsText | None = None,
) -> int:
    """Score encoders, or measure what that takes; write and print reports.

    Args:
        args: parsed options of ``camtrace score``.
        specs: the encoders.
        together: encoders in memory at a time, of a sweep; None for all at once, which is no sweep.
        rows_text: the text that a sweep prints; by default a table of its rows.

    Returns:
        The exit status.
    """
    options, console = to_run_options(args), Console(args)
    with console.active():
        data = checked_data(args)
        doing = "measuring" if args.dry_run else "scoring"
        console.info(f"{doing} {listed(specs)} on {listed(data)}; results go to {args.output}")
        prepare_run(args, options)
        from benchmark.scoring import begin_drawing, run_request, write_reports
        from builders.processes import stage

        request = _request(args, specs, data, options, together)
        if args.dry_run:
            return _estimate(request, console)
        with begin_drawing() as drawing:
            outcome = run_request(request, failed=partial(_print_failure, request), log=console.log)
            failures = _failures(request, outcome)
            report = ""
            if outcome.results or request.is_sweep:
                with stage("writing reports"):
                    report = write_reports(outcome.results, failures, args.output, outcome.photos, drawing)
        _print_outcome(args, console, request, outcome, failures, report, rows_text)
        console.write_json(outcome.results, failures)
        _push_and_warn(args, request, outcome)
        status = _status(request, outcome)
        if args.figure is not None and outcome.results and not _is_drawn(outcome.results, args.figure):
            return status or 1
        return status


def prepare_run(args: argparse.Namespace, options: RunOptions) -> None:
    """Check the folders that a run writes to, tidy its cache, and import torch."""
    if args.figure is not None:
        from benchmark.report import checked_format

        checked_format(args.figure)
    if not args.dry_run:
        check_writable("--output", args.output)
        check_writable("--cache", options.cache / "banks")
        sweep_cache(options.cache)
        from builders.pixels import begin_compiling_engine

        begin_compiling_engine()  # on a machine that has not compiled it yet, while torch is imported
    from builders.processes import stage

    prepare_process()
    with stage("loading libraries"):
        import_torch()


def _request(
    args: argparse.Namespace, specs: Sequence[str], data: Sequence[str], options: RunOptions, together: int | None
) -> Request:
    from benchmark.encoders import load_encoder
    from benchmark.erasing import Erasing
    from benchmark.scoring import EncoderSource, Request

    loading = {"revision": args.revision, **loading_options(args)}
    return Request(
        {spec: EncoderSource(partial(load_encoder, spec, isolated=True, **loading), spec) for spec in specs},
        data,
        args.tasks or [],
        options,
        args.trust_remote_code,
        Erasing.load(args.eraser) if args.eraser else None,
        args.output,
        together,
        getattr(args, "by_ranks", None),
    )


def _estimate(request: Request, console: Console) -> int:
    """Print what the run would take. The exit status, which in a sweep is 0 whatever could be measured."""
    from benchmark.scoring import estimate, estimate_text, so_far

    sets, groups = request.open(lambda name, error: None), request.groups()
    started = so_far()
    measured = estimate(groups, sets, request.options, lambda spec: request.encoders[spec].load())
    console.report(estimate_text(measured, groups, sets, request.options, started))
    return 1 if not request.is_sweep and all(one.reason for one in measured) else 0


def _print_failure(request: Request, failure: Failed) -> None:
    """On standard error. What fails in a sweep after its encoder is loaded is only a row of its table."""
    if not request.is_sweep:
        print(f"camtrace: {public_text(failure.reason)}", file=sys.stderr)
    elif failure.name in request.encoders:
        print(public_text(f"camtrace: {failure.name}: {failure.reason}"), file=sys.stderr)


def _failures(request: Request, outcome: RunOutcome) -> dict[str, str]:
    """Reason by name of what has no result, for reports."""
    from benchmark.scoring import failures_by_pair

    if request.is_sweep:
        return failures_by_pair(outcome.rows)
    return {failure.name: failure.reason for failure in outcome.failed}


def _is_drawn(results: Sequence[Result], file: Path) -> bool:
    """Draw the figure for papers; without a score that has a place in it, a sentence says so."""
    from benchmark.report import summary_figure, write_figure
    from benchmark.tasks import all_tasks

    if (figure := summary_figure(results, all_tasks())) is None:
        print(f"camtrace: --figure {file}: there is no score to draw", file=sys.stderr)
        return False
    write_figure(figure, file)
    return True


def _print_outcome(
    args: argparse.Namespace,
    console: Console,
    request: Request,
    outcome: RunOutcome,
    failures: dict[str, str],
    report: str,
    rows_text: RowsText | None,
) -> None:
    from benchmark.report import brief_text
    from benchmark.scoring import sweep_text
    from benchmark.tasks import all_tasks

    if request.is_sweep:
        console.report((rows_text or sweep_text)(outcome.rows, args.output))
    elif outcome.results:
        console.report(report if args.verbose else brief_text(outcome.results, all_tasks(), failures))
        console.info(f"written to {args.output}: open {args.output / 'report.html'} (all tables: report.md, --verbose)")


def _push_and_warn(args: argparse.Namespace, request: Request, outcome: RunOutcome) -> None:
    if args.push_to and outcome.results:
        from benchmark.publishing import push_folder_of_results

        push_folder_of_results(args.output, args.push_to)
    if not request.is_sweep:
        from benchmark.scoring import warn_of_failures

        warn_of_failures(outcome.results)


def _status(request: Request, outcome: RunOutcome) -> int:
    """2 if nothing was scored because the request was wrong, 1 if something is missing; in a sweep only 1."""
    wrong = all(isinstance(failure.error, UsageError) for failure in outcome.failed)
    if not request.is_sweep and not outcome.results and wrong:
        return 2
    return 0 if outcome.complete else 1
