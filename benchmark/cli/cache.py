"""``camtrace cache list | check | clear``: what the cache on this machine holds."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from benchmark.options import default_cache
from builders.cli import Command, Parser, group_parser, real_number, write_record

COMMANDS: dict[str, Command] = {
    "list": Command("benchmark.cli.cache:list_parser", "what is stored, its size and its age"),
    "check": Command("benchmark.cli.cache:check_parser", "read it once: is everything as it was written?"),
    "clear": Command("benchmark.cli.cache:clear_parser", "remove what can be made again"),
}
"""Each entry is added by the change that adds its parser."""


def parser() -> Parser:
    """Of ``camtrace cache``."""
    return group_parser("camtrace cache", "Files on this machine that make later runs short.", COMMANDS)


def _add_common_options(p: argparse.ArgumentParser) -> None:
    """``--cache``, which every command of the group has."""
    p.add_argument("--cache", type=Path, default=default_cache(), metavar="DIR", help="its folder (%(default)s)")


def list_parser() -> Parser:
    """The options of ``camtrace cache list``."""
    p = Parser(
        "camtrace cache list",
        description="What is stored, its size and its age.",
        most_used=("--cache", "--json"),
        examples=("camtrace cache list", "camtrace cache list --json"),
    )
    _add_common_options(p)
    p.set_defaults(run=_run_list)
    return p


def check_parser() -> Parser:
    """The options of ``camtrace cache check``."""
    p = Parser(
        "camtrace cache check",
        most_used=("--cache",),
        examples=("camtrace cache check", "camtrace cache check banks"),
        description="Read everything once and compare it with its checksums. What does not match is named (exit status "
        "1); the next run that needs it makes it again, and never uses it.",
    )
    p.add_argument("what", nargs="*", metavar="WHAT", help="kinds or names from list (default: all)")
    _add_common_options(p)
    p.set_defaults(run=_run_check)
    return p


def clear_parser() -> Parser:
    """The options of ``camtrace cache clear``."""
    p = Parser(
        "camtrace cache clear",
        most_used=("--older-than", "--dry-run", "--cache"),
        examples=("camtrace cache clear outcomes --dry-run", "camtrace cache clear all --older-than 30"),
        description="Remove what can be made again. Runs that are at work on it fail: end them first.",
    )
    p.add_argument("what", nargs="+", metavar="WHAT", help="all, a kind (banks, outcomes, ...), or names from list")
    p.add_argument(
        "--older-than", type=real_number(least=0), default=0.0, metavar="DAYS", help="only what was last used before"
    )
    p.add_argument("--dry-run", action="store_true", help="say what would be removed")
    _add_common_options(p)
    p.set_defaults(run=_run_clear)
    return p


def _run_list(args: argparse.Namespace) -> int:
    from benchmark.report import markdown_table
    from benchmark.scoring import KINDS, entries, free_space, size

    selected = entries(args.cache)
    if args.json:
        rows = [{"name": e.name, "bytes": e.size, "changed": round(e.changed), "about": e.about} for e in selected]
        _print_record(args, {"entries": rows})
        return 0
    total = sum(entry.size for entry in selected)
    print(f"{args.cache}: {size(total)} in {len(selected):,} entries, {size(free_space(args.cache))} free on the disk")
    if not selected:
        return 0
    kinds: dict[str, list[int]] = {}
    for entry in selected:
        kinds.setdefault(entry.kind, []).append(entry.size)
    table = [[kind, f"{len(s):,}", size(sum(s)), KINDS.get(kind, "not of this version")] for kind, s in kinds.items()]
    print(f"\n{markdown_table(['kind', 'entries', 'size', 'what'], table)}")
    big = [entry for entry in selected if entry.kind in ("banks", "outcomes")]
    if big:
        listed = [[e.name, size(e.size), _age(e.changed), e.about] for e in big]
        print(f"\n{markdown_table(['name', 'size', 'last used', 'what'], listed)}")
    return 0


def _run_check(args: argparse.Namespace) -> int:
    from benchmark.scoring import ALL, chosen, damaged, size
    from builders.processes import step_bar

    selected = chosen(args.cache, args.what or [ALL])
    bar = step_bar(selected, desc="checking", unit="entry", silent=args.quiet)
    wrong = [(entry.name, why) for entry in bar if (why := damaged(entry))]
    total = sum(entry.size for entry in selected)
    if args.json:
        damage = [{"name": name, "reason": why} for name, why in wrong]
        _print_record(args, {"entries": len(selected), "bytes": total, "damaged": damage})
        return 1 if wrong else 0
    for name, why in wrong:
        print(f"{name}: {why}")
    print(f"{len(selected):,} entries, {size(total)}, were read: {len(wrong)} are not as they were written")
    if wrong:
        print(f"they are made again when they are needed; camtrace cache clear {wrong[0][0]} makes space at once")
    return 1 if wrong else 0


def _run_clear(args: argparse.Namespace) -> int:
    from benchmark.scoring import chosen, clear, size

    selected = chosen(args.cache, args.what, args.older_than)
    freed = sum(entry.size for entry in selected) if args.dry_run else clear(selected)
    if args.json:
        _print_record(args, {"removed": [e.name for e in selected], "bytes": freed, "dry_run": args.dry_run})
        return 0
    verb = "would remove" if args.dry_run else "removed"
    print(f"{verb} {len(selected):,} entries, {size(freed)}, of {args.cache}")
    return 0


def _print_record(args: argparse.Namespace, fields: dict[str, Any]) -> None:
    write_record(args, {"cache": args.cache, **fields})


def _age(changed: float) -> str:
    """How long ago, in the unit that people use."""
    hours = max(0.0, time.time() - changed) / 3600
    return f"{hours:.0f} h ago" if hours < 48 else f"{hours / 24:.0f} days ago"
