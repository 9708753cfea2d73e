"""``camtrace score``: score encoders on photo sets, write results, tell people."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmark.compute import import_torch, prepare_process
from benchmark.options import CHOICES, OPTIONS, RunOptions, choices
from benchmark.scoring.arguments import DEFAULT_DATA, DEFAULT_MODEL, scoring_parser
from benchmark.scoring.voice import Voice
from builders.command_line import Parser, check_writable
from builders.errors import UsageError
from builders.files import sweep_cache
from builders.outside import readable

if TYPE_CHECKING:  # the command line must answer --help before torch is imported
    from benchmark.results import Result
    from benchmark.scoring.asking import NotScored


def parser() -> Parser:
    """The options of the scoring command."""
    p = scoring_parser()
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str]) -> int:
    return run(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    options = run_options(args)
    voice = Voice(args)
    with voice.speaking():
        from benchmark.results import in_step_order

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
        from benchmark.scoring.asking import Asked, EncoderSource, score_asked
        from benchmark.scoring.erased import Erasing
        from benchmark.scoring.output import drawing_beside, write_reports, write_scored

        loading = {"revision": args.revision, **loading_options(args)}
        sources = {model: EncoderSource(partial(load_encoder, model, **loading), model) for model in models}
        erasing = Erasing.load(args.eraser) if args.eraser else None
        asked = Asked(sources, data, args.tasks or [], options, args.trust_remote_code, erasing)
        if args.dry_run:
            from benchmark.scoring.asking import opened
            from benchmark.scoring.estimating import estimate, estimate_text

            jobs = opened(asked)
            measured = estimate([models], jobs, options, lambda model: sources[model].load())
            voice.report(estimate_text(measured, [models], jobs, options))
            return 1 if all(m.reason for m in measured) else 0
        with drawing_beside() as drawing:
            answered = score_asked(
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


def checked_data(args: argparse.Namespace) -> list[str]:
    """The data specifications that were asked for, each once, well-formed; said before anything slow is imported.

    Raises:
        UsageError: one is not.
    """
    from builders.kinds import DataSpec

    specs = list(dict.fromkeys(args.data or DEFAULT_DATA))
    for spec in specs:
        DataSpec.parse(spec)
    return specs


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names as a sentence has them.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b", "c", "d", "e"])
    ('a', 'a, b and c', '5 (a, b, c, ...)')
    """
    if len(names) > most:
        return f"{len(names)} ({', '.join(names[: most - 1])}, ...)"
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _say_missing(lost: NotScored) -> None:
    print(f"camtrace: {readable(lost.reason)}", file=sys.stderr)


def loading_options(args: argparse.Namespace) -> dict[str, Any]:
    """The parsed options that ``load_encoder`` takes, but for the revision."""
    given = {name: getattr(args, name) for name in _LOADING}
    return {**given, "preprocess": _chosen(args)["preprocess"]}


_LOADING = ("device", "dtype", "trust_remote_code", "compile", "runtime", "cache")


def _chosen(args: argparse.Namespace) -> dict[str, str]:
    """What the preset decides, but for the options that were given."""
    return choices(args.preset or RunOptions().preset, {name: getattr(args, name) for name in CHOICES})


def run_options(args: argparse.Namespace) -> RunOptions:
    """The parsed options of the scoring command (and of those that share them).

    Raises:
        UsageError: a value is out of its range.
    """
    values = {o.name: o.converted(getattr(args, o.name)) for o in OPTIONS if o.role.on_command_line}
    preset = args.preset or RunOptions().preset
    return RunOptions(**{**values, **_chosen(args), "preset": preset}).checked()


def warn_of_failures(results: Sequence[Result]) -> None:
    """One line on standard error for each result that lacks a photo, a task or its encoder."""
    for result in results:
        kinds = Counter(failure.kind for failure in result.failures)
        if kinds:
            counted = ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in kinds.items())
            where = f"{result.encoder['id']} on {result.data['name']}"
            print(f"camtrace: warning: {where}: {counted} failed, see the report", file=sys.stderr)
