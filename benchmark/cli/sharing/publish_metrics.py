"""``camtrace publish-metrics``: publish each metric as a static Space, or show what would be written."""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.metrics import DEFINITIONS
from benchmark.publishing import write_space
from builders.cli import Parser, add_push, run_command, write_record
from builders.errors import UsageError, unknown_name
from builders.files import scratch_prefix


def parser() -> Parser:
    """The options of the command."""
    p = Parser(
        "camtrace publish-metrics",
        most_used=("--repo", "--push", "--dry-run", "--public", "--json"),
        examples=(
            "camtrace publish-metrics --repo OWNER",
            "camtrace publish-metrics --repo OWNER/trace_probe --push",
        ),
        description="Show what would be published of the evaluate metrics; with --push, publish them.",
    )
    p.add_argument(
        "--repo",
        required=True,
        metavar="OWNER[/NAME]",
        help="owner of the Spaces OWNER/trace_probe, ...; OWNER/NAME for one metric alone",
    )
    p.add_argument("--public", action="store_true", help="make new Spaces public (default: private)")
    add_push(p)
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str]) -> int:
    return run_command(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    owner, slash, name = args.repo.partition("/")
    is_owner = re.fullmatch(r"\w[\w.-]*", owner, re.ASCII)
    if not is_owner or (slash and name not in DEFINITIONS):
        if slash and is_owner:
            raise unknown_name("metric", name, DEFINITIONS)
        raise UsageError(f"--repo {args.repo}: write OWNER or OWNER/METRIC")
    spaces: list[dict[str, Any]] = []
    for metric in [name] if name else list(DEFINITIONS):
        repo = f"{owner}/{metric}"
        with tempfile.TemporaryDirectory(prefix=scratch_prefix()) as scratch:
            files = write_space(metric, repo, Path(scratch))
            sizes = {file: (Path(scratch) / file).stat().st_size for file in files}
            spaces.append({"repo": repo, "files": sizes})
            if not args.push:
                print(f"{repo} (static Space, {'public' if args.public else 'private'} if it is created)")
                print("\n".join(f"  {file}  {size / 1e3:.1f} kB" for file, size in sizes.items()))
                continue
            from builders.publish import push_folder

            report = push_folder(
                Path(scratch),
                repo,
                stages=(files,),
                public=args.public,
                repo_type="space",
                message=f"{metric}: camtrace",
            )
            print(f"{report.url}: {len(report.uploaded)} uploaded, {report.unchanged} unchanged")
            spaces[-1] |= {"url": report.url, "uploaded": report.uploaded, "unchanged": report.unchanged}
    if not args.push:
        print("dry run: nothing was uploaded; add --push to publish this")
    write_record(args, {"dry_run": not args.push, "spaces": spaces})
    return 0
