"""``camtrace build check`` tests a built folder, ``report`` writes a page about it, ``diff`` compares two."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from builders.cli import Parser, run_command, whole_number, write_record
from builders.processes import default_workers
from builders.untrusted import readable

if TYPE_CHECKING:
    from builders.check.result import Check


def table(checks: Sequence[Check]) -> str:
    """The checks as text, one line each."""
    splits = [f"{c.config}/{c.split}" for c in checks]
    wide, name = max(map(len, splits), default=0), max((len(c.name) for c in checks), default=0)
    return "\n".join(
        f"{'ok  ' if c.passed else 'FAIL'}  {split:{wide}}  {c.name:{name}}  {c.detail}"
        for c, split in zip(checks, splits, strict=True)
    )


def parser() -> Parser:
    """Parser of ``camtrace build check``."""
    p = Parser(
        "camtrace build check",
        description="Read a built folder with load_dataset and test its labels.",
        examples=("camtrace build check out/mine", "camtrace build check out/simcams"),
    )
    p.add_argument("folder", type=Path, help="a folder that a builder finished")
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    from builders.check.data_set import check_folder

    checks = check_folder(args.folder)
    print(table(checks))
    failed = sum(not check.passed for check in checks)
    print(f"{len(checks) - failed} of {len(checks)} checks passed")
    write_record(args, {"folder": args.folder, "failed": failed, "checks": checks})
    return 1 if failed or not checks else 0


def report_parser() -> Parser:
    """Parser of ``camtrace build report``."""
    p = Parser(
        "camtrace build report",
        description="Write one HTML page about a built folder: pictures by class, label and device, distributions, "
        "licences and what they permit, duplicates, what was left out. It opens offline.",
        most_used=("--output",),
        examples=("camtrace build report out/mine", "camtrace build report out/flickrexif -o report.html"),
    )
    p.add_argument("folder", type=Path, help="a folder that a builder finished")
    p.add_argument("-o", "--output", type=Path, metavar="FILE", help="of the page (default: report.html in the folder)")
    p.add_argument(
        "--workers",
        type=whole_number(1),
        default=default_workers(),
        metavar="N",
        help="processes that decode (default: all cores)",
    )
    p.set_defaults(run=_run_report)
    return p


def _run_report(args: argparse.Namespace) -> int:
    from builders.check.report.page import write_report

    page = write_report(args.folder, args.output, workers=args.workers)
    print(readable(str(page)))
    write_record(args, {"folder": args.folder, "page": page})
    return 0


def diff_parser() -> Parser:
    """Parser of ``camtrace build diff``."""
    p = Parser(
        "camtrace build diff",
        description="Compare two builds: photos added, lost and changed, labels, splits, settings. Reads no pixels.",
        most_used=("--json", "--exit-code"),
        examples=("camtrace build diff out/before out/after", "camtrace build diff out/before out/after --json"),
    )
    p.add_argument("first", type=Path, metavar="A", help="a folder that a builder finished")
    p.add_argument("second", type=Path, metavar="B", help="another one")
    p.add_argument("--exit-code", action="store_true", help="exit with 1 if photos, labels or splits differ")
    p.set_defaults(run=_run_diff)
    return p


def _run_diff(args: argparse.Namespace) -> int:
    from builders.check.diff import diff_builds, diff_json, diff_text

    diff = diff_builds(args.first, args.second)
    print(diff_text(diff))
    write_record(args, diff_json(diff))
    return int(args.exit_code and not diff.is_equal)
