"""``camtrace compare``: paired differences between runs, or one run beside the published numbers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.options import PRESETS, STUDY_PRESET
from builders.cli import Parser
from builders.errors import DataError, UsageError
from builders.untrusted import readable

if TYPE_CHECKING:
    from benchmark.results import Run


def parser() -> Parser:
    """The options of the command."""
    p = Parser(
        "camtrace compare",
        description="Paired differences between results on the same photos, with p-values corrected for their number; "
        "or, with --published, one result beside the study's numbers.",
    )
    p.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="output of runs or sweeps")
    p.add_argument(
        "--published",
        nargs="?",
        const="",
        metavar="NAME",
        help='compare with an encoder of the study, such as "CLIP (ViT-B/16, WIT)" (default: the same encoder)',
    )
    p.add_argument(
        "-t", "--tasks", action="append", default=[], metavar="PATTERN", help="such as 'probe/*'; repeatable"
    )
    p.add_argument("--all-metrics", action="store_true", help="every metric, not only the main ones of each task")
    p.add_argument(
        "--across-codecs", action="store_true", help="compare although the photos were processed by other codecs"
    )
    p.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        help="only runs of this preset; beside published numbers only iccv2025 can be compared, which is the default",
    )
    p.add_argument(
        "--across-presets",
        action="store_true",
        help="compare although presets differ: preprocessing, votes or probes, or those of the study",
    )
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str]) -> int:
    return run(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    from benchmark.compare import compare_runs, comparison_text, published_text
    from benchmark.results import read_runs
    from benchmark.tasks import all_tasks

    read = [(folder, read_runs(folder, all_tasks())) for folder in args.folders]
    runs = [run for _, found in read for run in found.runs]
    refused = [(folder / refusal.file, refusal.reason) for folder, found in read for refusal in found.refused]
    for file, reason in refused:
        print(f"camtrace: refused {readable(str(file))}: {reason}", file=sys.stderr)
    if refused and not runs:
        raise DataError("none of the results given can be compared")
    runs = _of_preset(runs, args.preset, with_study=args.published is not None and not args.across_presets)
    across = args.across_presets
    if args.published is not None:
        print("\n\n".join(published_text(run, args.published, args.tasks, across_presets=across) for run in runs))
        return 1 if refused else 0
    rows, ties = compare_runs(
        runs,
        args.tasks,
        all_metrics=args.all_metrics,
        across_codecs=args.across_codecs,
        across_presets=across,
    )
    print(comparison_text(rows, ties))
    return 1 if refused else 0


def _of_preset(runs: Sequence[Run], preset: str | None, *, with_study: bool) -> list[Run]:
    """The runs of a named preset; for a comparison with the study those of its preset, if there are any.

    Raises:
        UsageError: no run is of the preset that was named.
    """
    of = {id(run): str((run.result.environment.get("options") or {}).get("preset") or "camtrace") for run in runs}
    wanted = preset or (STUDY_PRESET if with_study else None)
    own = [run for run in runs if of[id(run)] == wanted]
    if preset and not own:
        raise UsageError(f"no run of the preset {preset} here; there are: {', '.join(dict.fromkeys(of.values()))}")
    left_out = len(runs) - len(own)
    if not own:
        return list(runs)
    if left_out and not preset:
        print(
            f"{left_out} of {len(runs)} runs are of another preset and left out (--preset names one)", file=sys.stderr
        )
    return own
