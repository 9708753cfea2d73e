"""``camtrace compare``: paired differences between runs or anybody's scores by item, or beside published numbers."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.options import PRESETS, STUDY_PRESET
from builders.cli import Names, Parser, run_command, write_record
from builders.errors import DataError, UsageError
from builders.plugins import extras
from builders.processes import notice
from builders.untrusted import readable

if TYPE_CHECKING:
    from benchmark.compare import Gate
    from benchmark.results import Run


def parser() -> Parser:
    """The options of the command."""
    others = _others()
    p = Parser(
        "camtrace compare",
        description="Paired differences between results on the same photos"
        f"{''.join(f', or {other.WHAT}' for other in others)}, with p-values corrected for their number; with "
        "--worse-by, a judgement whether NEW is worse than OLD; with --published, one result next to the study's "
        "numbers.",
        most_used=(
            *("--tasks", "--worse-by", "--exit-code", "--figure", "--published"),
            *(option for other in others for option in other.MOST_USED),
        ),
        examples=(
            "camtrace compare results/old results/new --worse-by 2 --exit-code",
            *(other.EXAMPLE for other in others),
        ),
        epilog="Exit status: 0, or 1 where a result file is refused; with --exit-code 1 where NEW is worse than OLD by "
        "more than the margin; 2 the request was wrong.",
    )
    p.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="".join(["output of runs or sweeps", *(f"; or {other.PATHS}" for other in others)]),
    )
    p.add_argument(
        "--published",
        nargs="?",
        const="",
        metavar="NAME",
        help='compare with an encoder of the study, such as "CLIP (ViT-B/16, WIT)" (default: the same encoder)',
    )
    p.add_argument(
        "-t",
        "--tasks",
        action=Names,
        default=[],
        metavar="PATTERN",
        help="such as 'probe/*'; repeatable, or with commas (default: all)",
    )
    p.add_argument("--all-metrics", action="store_true", help="every metric, not only the main ones of each task")
    p.add_argument(
        "--across-codecs", action="store_true", help="compare although the photos were processed by other codecs"
    )
    p.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        help="only runs of this preset; with published numbers only iccv2025 can be compared, which is the default",
    )
    p.add_argument(
        "--across-presets",
        action="store_true",
        help="compare although presets differ: preprocessing, votes or probes, or those of the study",
    )
    gate = p.add_argument_group("gate: is NEW worse than OLD? (two folders, OLD first)")
    gate.add_argument(
        "--worse-by",
        type=_loss,
        metavar="LOSS",
        help="judge each score: is NEW worse by more than so many percentage points (default: 0)"
        + "".join(f"; {other.LOSSES}" for other in others),
    )
    gate.add_argument("--exit-code", action="store_true", help="exit with status 1 if NEW is worse on any score")
    gate.add_argument(
        "--fail-undecided",
        action="store_true",
        help="exit with status 1 also if a score is undecided or missing in NEW",
    )
    for other in others:
        other.add_options(p)
    p.add_argument(
        "--figure",
        type=Path,
        metavar="FILE",
        help="also draw these results for a paper: .pdf, .svg or .png",
    )
    p.set_defaults(run=run)
    return p


def _loss(text: str) -> float:
    """A loss that is accepted: a finite number of at least 0."""
    from benchmark.judgement import checked_loss  # late: this module is imported for --help

    with contextlib.suppress(ValueError, UsageError):
        return checked_loss(float(text))
    raise argparse.ArgumentTypeError(f"{text}: give a number of at least 0")


def _others() -> list[Any]:
    """What else ``camtrace compare`` compares: modules of extras, with ``add_options`` and ``compare``."""
    return [importlib.import_module(name) for name in extras("benchmark", "COMPARISONS").values()]


def main(argv: Sequence[str]) -> int:
    return run_command(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    for other in _others():
        if (compared := other.compare(args, is_gate=_is_gate(args))) is not None:
            text, values, gate = compared
            _print(args, text, values)
            return 0 if gate is None else _gate_status(args, gate)
    from benchmark.compare import compare_runs, comparison_json, comparison_text, published_text

    is_gate = _is_gate(args)
    if args.published is not None and (is_gate or args.json):
        raise UsageError("--worse-by, --exit-code, --fail-undecided and --json go with results, not with --published")
    if is_gate and len(args.folders) != 2:
        raise UsageError(f"a gate takes two folders, OLD and NEW, not {len(args.folders)}")
    if args.figure is not None:
        from benchmark.report import checked_format

        checked_format(args.figure)
    runs, refused = _read(args)
    if args.figure is not None:
        _draw(args, [run for of_folder in runs for run in of_folder])
    if len(args.folders) == 1 and args.published is None and not _can_be_paired(runs[0]):
        if args.figure is None:
            raise UsageError(
                f"{args.folders[0]}: no two results on the same data; give a second folder, or --published"
            )
        write_record(args, {"figure": args.figure})
        return 1 if refused else 0
    if args.published is not None:
        texts = [
            published_text(run, args.published, args.tasks, across_presets=args.across_presets)
            for of_folder in runs
            for run in of_folder
        ]
        print("\n\n".join(texts))
        return 1 if refused else 0
    if is_gate:
        return _judge(args, *runs) or (1 if refused else 0)
    rows, ties = compare_runs(
        [run for of_folder in runs for run in of_folder],
        args.tasks,
        all_metrics=args.all_metrics,
        across_codecs=args.across_codecs,
        across_presets=args.across_presets,
    )
    _print(args, comparison_text(rows, ties), comparison_json(rows, ties))
    return 1 if refused else 0


def _can_be_paired(runs: Sequence[Run]) -> bool:
    """Whether two runs are on the same data; of one folder without them a figure is all that can be made."""
    return len({run.data for run in runs}) < len(runs)


def _is_gate(args: argparse.Namespace) -> bool:
    return args.worse_by is not None or args.exit_code or args.fail_undecided


def _gate_status(args: argparse.Namespace, gate: Gate) -> int:
    """The exit status."""
    fails = args.exit_code or args.fail_undecided
    return 1 if fails and not gate.passed(fail_undecided=args.fail_undecided) else 0


def _read(args: argparse.Namespace) -> tuple[list[list[Run]], bool]:
    """The runs of each folder that can be used, and whether a file was refused."""
    from benchmark.results import read_runs
    from benchmark.tasks import all_tasks

    read = [(folder, read_runs(folder, all_tasks())) for folder in args.folders]
    refused = [(folder / refusal.file, refusal.reason) for folder, of_folder in read for refusal in of_folder.refused]
    for file, reason in refused:
        print(f"camtrace: refused {readable(str(file))}: {reason}", file=sys.stderr)
    if refused and not any(of_folder.runs for _, of_folder in read):
        raise DataError("none of the results given can be compared")
    runs = [run for _, of_folder in read for run in of_folder.runs]
    usable = _of_preset(runs, args.preset, with_study=args.published is not None and not args.across_presets)
    return [[run for run in of_folder.runs if run in usable] for _, of_folder in read], bool(refused)


def _draw(args: argparse.Namespace, runs: Sequence[Run]) -> None:
    from benchmark.report import summary_figure, write_figure
    from benchmark.tasks import all_tasks

    figure = summary_figure([run.result for run in runs], all_tasks(), args.tasks)
    if figure is None:
        raise DataError(f"--figure {args.figure}: there is no score to draw")
    write_figure(figure, args.figure)
    notice(f"written to {args.figure}")


def _judge(args: argparse.Namespace, old: Sequence[Run], new: Sequence[Run]) -> int:
    """Print the gate; the exit status."""
    from benchmark.compare import gate_runs, gate_text
    from benchmark.judgement import accepted_loss

    gate = gate_runs(
        old,
        new,
        args.tasks,
        margin=accepted_loss(args.worse_by or 0.0),
        all_metrics=args.all_metrics,
        across_codecs=args.across_codecs,
        across_presets=args.across_presets,
    )
    _print(args, gate_text(gate), gate.to_json())
    return _gate_status(args, gate)


def _print(args: argparse.Namespace, text: str, values: dict[str, Any]) -> None:
    print(text)
    write_record(args, values)


def _of_preset(runs: Sequence[Run], preset: str | None, *, with_study: bool) -> list[Run]:
    """The runs of a named preset; for a comparison with the study those of its preset, if there are any.

    Raises:
        UsageError: no run is of the preset that was named.
    """
    of = {id(run): str((run.result.environment.get("options") or {}).get("preset") or "camtrace") for run in runs}
    wanted = preset or (STUDY_PRESET if with_study else None)
    matching = [run for run in runs if of[id(run)] == wanted]
    if preset and not matching:
        raise UsageError(f"no run of the preset {preset} here; there are: {', '.join(dict.fromkeys(of.values()))}")
    left_out = len(runs) - len(matching)
    if not matching:
        return list(runs)
    if left_out and not preset:
        print(
            f"{left_out} of {len(runs)} runs are of another preset and left out (--preset names one)", file=sys.stderr
        )
    return matching
