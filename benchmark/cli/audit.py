"""``camtrace audit DATA``: is the label confounded with codec, size or camera? Repairs on request."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.audit import Audit
from benchmark.judgement import failed_check_text
from builders.cli import Parser, Renamed, check_writable, real_number, run_command, whole_number, write_record
from builders.errors import UsageError
from builders.untrusted import readable

THRESHOLD = 0.1
"""Effect (corrected V, eta, or advantage over chance) from which ``--exit-code`` fails."""

FAILED = 1
"""Exit status of ``--exit-code`` for a data set that is confounded above the threshold, or undecided."""


def main(argv: Sequence[str]) -> int:
    return run_command(parser().parse_args(argv))


def run(arguments: argparse.Namespace) -> int:
    _check(arguments)
    from benchmark.audit import (
        audit,
        card_section,
        write_audit,  # not for --help: pandas takes a second
    )

    check_writable("--output", arguments.output)
    result = audit(
        arguments.data,
        label=arguments.label,
        source=arguments.source,
        owner=arguments.owner,
        pixels=arguments.pixels,
        near_duplicates=arguments.near_duplicates,
        limit=arguments.limit,
        stream=arguments.stream,
        workers=arguments.workers,
        seed=arguments.seed,
    )
    last = result
    write_audit(result, arguments.output)
    if arguments.json:
        write_record(arguments, json.loads((arguments.output / "audit.json").read_text(encoding="utf-8")))
    elif arguments.card:
        print(card_section(result))
    else:
        _print(result, arguments.output)
    if arguments.repair:
        from benchmark.audit import repair

        last = repair(result, arguments) or result
    if arguments.exit_code and not last.verdict.passes(arguments.threshold):
        print(f"camtrace: {failed_check_text(last.name, last.verdict, arguments.threshold)}", file=sys.stderr)
        return FAILED
    return 0


class _AuditParser(Parser):
    """The parser of an audit; ``index`` as the first word is that of ``camtrace audit index``."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        if words[:1] != ["index"]:
            return super().parse_known_args(words, namespace)
        from benchmark.cli.audit_index import parser as parser_of_index

        return parser_of_index().parse_known_args(words[1:], namespace)


def parser() -> Parser:
    p = _AuditParser(
        "camtrace audit",
        most_used=("--label", "--output", "--pixels", "--repair", "--exit-code"),
        examples=(
            "camtrace audit folder:real_and_fake",
            "camtrace audit hub:OWNER/NAME?label=label --pixels 2000 --exit-code",
        ),
        renamed=(Renamed("--source", "--origin"),),
        epilog="'camtrace audit index --help' explains the audit of vectors that are in an index already.",
        description="Is the label of a data set confounded with codec, size or camera? Reads headers, and as many "
        "pixels as requested; a run that was stopped goes on where it was.",
    )
    p.add_argument(
        "data",
        nargs="?",
        metavar="DATA",
        help="folder:PATH, hub:REPO?label=..., or any other data specification (also as --data)",
    )
    p.add_argument("-d", "--data", dest="named_data", metavar="SPEC", help="the same as DATA")
    labels = p.add_argument_group("labels, named by a column or by a part of the path")
    labels.add_argument(
        "--label",
        default="",
        metavar="COLUMN",
        help="label, folder, folder:N (N-th of the path), re:PATTERN (of ids), or a column (default: the set's label)",
    )
    labels.add_argument(
        "--origin", dest="source", default="", metavar="COLUMN", help="where a photo comes from, named as --label"
    )
    labels.add_argument("--owner", default="", metavar="COLUMN", help="whose photos err together, named as --label")
    reading = p.add_argument_group("what is read")
    reading.add_argument(
        "--pixels", type=whole_number(0), default=0, metavar="N", help="decode about N photos too (default: none)"
    )
    reading.add_argument(
        "--near-duplicates", action="store_true", help="decode every photo (small) to find same pictures"
    )
    reading.add_argument("--limit", type=whole_number(1), metavar="N", help="at most N photos")
    reading.add_argument("--stream", action="store_true", help="read a hub: data set row by row without storing it")
    reading.add_argument(
        "--workers", type=whole_number(1), default=1, metavar="N", help="processes (default: %(default)s)"
    )
    reading.add_argument(
        "--seed", type=whole_number(0), default=0, metavar="N", help="of permutations and folds (default: %(default)s)"
    )
    repairs = p.add_argument_group("repair")
    repairs.add_argument(
        "--repair",
        metavar="HOW",
        help="reencode (or as jpeg:75-420, or by a processing as mine.toml:NAME), match, or drop: writes "
        "OUTPUT/repaired and audits it again",
    )
    repairs.add_argument(
        "--dry-run", action="store_true", help="with --repair: print what would be lost, and change nothing"
    )
    repairs.add_argument(
        "--form", default="shards", choices=("shards", "files"), help="Parquet that load_dataset reads, or plain files"
    )
    results = p.add_argument_group("results and messages")
    results.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("audit"),
        metavar="DIR",
        help="folder of audit.html, .md, .json and .png (default: %(default)s)",
    )
    results.add_argument("--card", action="store_true", help="print a section for the README.md of the data set")
    results.add_argument(
        "--exit-code",
        action="store_true",
        help="exit with status 1 where the threshold is reached, or nothing could be decided",
    )
    results.add_argument(
        "--threshold",
        type=real_number(above=0),
        default=THRESHOLD,
        metavar="EFFECT",
        help="corrected V or advantage over chance, of hints too (default: %(default)s)",
    )
    p.set_defaults(run=run)
    return p


def _check(arguments: argparse.Namespace) -> None:
    if (arguments.data is None) == (arguments.named_data is None):
        raise UsageError("which photos? give one DATA, such as folder:PATH ('camtrace list data' names every kind)")
    arguments.data = arguments.data or arguments.named_data
    if arguments.json and arguments.card:
        raise UsageError("--json and --card are two forms of the result: give one of them")
    if arguments.threshold > 1:
        raise UsageError(f"--threshold {arguments.threshold}: give a number over 0, at most 1")
    if arguments.dry_run and not arguments.repair:
        raise UsageError("--dry-run needs --repair HOW: without it nothing but the audit is written")
    if arguments.repair:
        from benchmark.audit import parse_repair

        parse_repair(arguments.repair)
        if arguments.stream:
            raise UsageError("--repair needs every photo: leave out --stream")


def _print(result: Audit, output: Path) -> None:
    print(f"{result.verdict.title}. {result.verdict.text}")
    for sentence in (*result.findings, *result.repairs):
        print(f"  - {sentence}")
    print(readable(f"written to {output}: open {output / 'audit.html'}"))
