"""``camtrace score``: score encoders on photo sets, write results, tell people."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from benchmark.cli.console import Console
from benchmark.cli.parser import scoring_parser
from benchmark.compute import import_torch, prepare_process
from benchmark.options import DEFAULT_MODEL, checked_data, listed, loading_options, to_run_options
from builders.cli import Parser, check_writable
from builders.errors import UsageError
from builders.files import sweep_cache
from builders.untrusted import readable

if TYPE_CHECKING:  # the command line must answer --help before torch is imported
    from benchmark.scoring import Failed


def parser() -> Parser:
    """The options of the scoring command."""
    p = scoring_parser()
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str]) -> int:
    return run(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    options = to_run_options(args)
    voice = Console(args)
    with voice.speaking():
        from benchmark.report import in_step_order

        models = in_step_order(list(dict.fromkeys(args.model or [DEFAULT_MODEL])))
        data = checked_data(args)
        if args.revision and len(models) > 1:
            raise UsageError("--revision goes with one --model; with several, write each as NAME@REVISION")
        doing = "measuring" if args.dry_run else "scoring"
        voice.notice(f"{doing} {listed(models)} on {listed(data)}; results go to {args.output}")
        if not args.dry_run:
            check_writable("--output", args.output)
            check_writable("--cache", options.cache / "banks")
            sweep_cache(options.cache)
            from builders.pixels import begin_compiling_engine

            begin_compiling_engine()  # on a machine that has not compiled it yet, while torch is imported
        prepare_process()
        import_torch()
        from benchmark.encoders import load_encoder
        from benchmark.erasing import Erasing
        from benchmark.scoring import (
            EncoderSource,
            Request,
            drawing_beside,
            run_request,
            warn_of_failures,
            write_reports,
            write_scored,
        )

        loading = {"revision": args.revision, **loading_options(args)}
        sources = {model: EncoderSource(partial(load_encoder, model, **loading), model) for model in models}
        erasing = Erasing.load(args.eraser) if args.eraser else None
        asked = Request(sources, data, args.tasks or [], options, args.trust_remote_code, erasing)
        if args.dry_run:
            from benchmark.scoring import estimate, estimate_text, opened

            jobs = opened(asked)
            measured = estimate([models], jobs, options, lambda model: sources[model].load())
            voice.report(estimate_text(measured, [models], jobs, options))
            return 1 if all(m.reason for m in measured) else 0
        with drawing_beside() as drawing:
            answered = run_request(
                asked,
                scored=lambda one: write_scored(one, args.output, single=asked.single),
                missing=_say_missing,
                say=voice.notice,
                detail=voice.detail,
                notice=voice.notice,
            )
            results = [one.result for one in answered.scored]
            missing = {lost.name: lost.reason for lost in answered.missing}
            photos = [one.photos for one in answered.scored]
            report = write_reports(results, missing, args.output, photos, drawing) if results else ""
        if results:
            voice.report(report)
            what = "result.json, answers.npz, report.html, report.md, report.png"
            voice.notice(f"written to {args.output}: {what}; banks in {args.cache}")
        voice.answer(results, missing)
        if args.push_to and results:
            from benchmark.publishing import push_folder_of_results

            push_folder_of_results(args.output, args.push_to)
        warn_of_failures(results)
        if not results and all(isinstance(lost.error, UsageError) for lost in answered.missing):
            return 2
        return 0 if answered.complete else 1


def _say_missing(lost: Failed) -> None:
    print(f"camtrace: {readable(lost.reason)}", file=sys.stderr)
