"""``camtrace publish-metrics``: each metric as a static Space from which ``evaluate.load`` takes it."""

from __future__ import annotations

import argparse
import re
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from benchmark.metrics import CITATION, DEFINITIONS
from builders.command_line import Parser
from builders.errors import UsageError, unknown_name
from builders.files import scratch_prefix

REQUIREMENTS = "camtrace[encoders]\n"


@dataclass(frozen=True)
class Example:
    """The example of a metric's description, taken apart."""

    code: str
    output: str


def parser() -> Parser:
    """The options of the command."""
    p = Parser(
        "camtrace publish-metrics",
        description="Show what would be published of the evaluate metrics; with --push, publish them.",
    )
    p.add_argument(
        "--repo",
        required=True,
        metavar="OWNER[/NAME]",
        help="owner of the Spaces OWNER/trace_probe, ...; OWNER/NAME for one metric alone",
    )
    p.add_argument("--public", action="store_true", help="make new Spaces public (default: private)")
    p.add_argument("--push", "--yes", action="store_true", help="really upload (default: a dry run)")
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str]) -> int:
    return run(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    owner, slash, name = args.repo.partition("/")
    if not owner or (slash and name not in DEFINITIONS):
        if slash and owner:
            raise unknown_name("metric", name, DEFINITIONS)
        raise UsageError(f"--repo {args.repo}: write OWNER or OWNER/METRIC")
    for metric in [name] if name else list(DEFINITIONS):
        repo = f"{owner}/{metric}"
        with tempfile.TemporaryDirectory(prefix=scratch_prefix()) as scratch:
            files = write_space(metric, repo, Path(scratch))
            if not args.push:
                print(f"{repo} (static Space, {'public' if args.public else 'private'} if it is created)")
                print("\n".join(f"  {f}  {(Path(scratch) / f).stat().st_size / 1e3:.1f} kB" for f in files))
                continue
            from builders.publishing import push_folder

            report = push_folder(
                Path(scratch),
                repo,
                stages=(files,),
                public=args.public,
                repo_type="space",
                message=f"{metric}: camtrace",
            )
            print(f"{report.url}: {len(report.uploaded)} uploaded, {report.unchanged} unchanged")
    if not args.push:
        print("dry run: nothing was uploaded; add --push to publish this")
    return 0


def write_space(metric: str, repo: str, folder: Path) -> list[str]:
    """Write the files of a metric's Space; returns their names, the card last."""
    from builders.dataset import render

    facts = card_facts(metric, repo)
    script = resources.files("benchmark") / "metrics" / metric / f"{metric}.py"
    texts = {
        script.name: script.read_text(encoding="utf-8").replace(f"camtrace/{metric}", repo),
        "requirements.txt": REQUIREMENTS,
        "index.html": render("metric.html.jinja", **facts),
        "README.md": render("metric.md.jinja", **facts),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return list(texts)


def card_facts(metric: str, repo: str) -> dict[str, Any]:
    """What the card of a metric says, from its definition."""
    definition = DEFINITIONS[metric]
    found = example_of(definition.example_from(repo))
    return {
        "name": metric,
        "class_name": definition.class_name,
        "title": definition.title,
        "short": definition.short,
        "description": " ".join(definition.description.split()),
        "arguments": definition.arguments.strip(),
        "example": found.code,
        "output": found.output,
        "limits": definition.limits,
        "citation": CITATION,
    }


def example_of(text: str) -> Example:
    """Code and printed text of an example in the form of a Python session.

    >>> example_of(">>> print(1)\\n1\\n").output
    '1'
    """
    lines = textwrap.dedent(text).strip().splitlines()
    code = [re.sub(r"^(>>>|\.\.\.) ?", "", line) for line in lines if line.startswith((">>>", "..."))]
    return Example("\n".join(code), "\n".join(line for line in lines if not line.startswith((">>>", "..."))))
