"""Every option of every command, from the parsers themselves: the site shows it on its page of options.

python scripts/docs_tables/options.py    # prints it
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from benchmark.__main__ import parser as camtrace_parser

OF_THIS_MACHINE: Mapping[str, str] = MappingProxyType({"cache": "~/.cache/camtrace", "workers": "CPU cores, at most 8"})
"""Defaults that differ between machines, by destination."""

SHARED = 3
"""Options that a command has in common with an earlier one, from which on it is described by it."""


def commands(parser: argparse.ArgumentParser, name: str = "camtrace") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command that has no sub-commands, with its own parser."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for group in groups:
        for word, child in group.choices.items():
            yield from commands(child.command.parser() if hasattr(child, "command") else child, f"{name} {word}")
    if not groups:
        yield name, parser


def options_of(name: str, parser: argparse.ArgumentParser) -> dict[str, str]:
    """What ``--help`` says of each option and argument, by its names; hidden ones are left out."""
    described: dict[str, str] = {}
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction) or action.help == argparse.SUPPRESS:
            continue
        values = {**vars(action), "prog": name, "default": OF_THIS_MACHINE.get(action.dest, action.default)}
        text = (action.help or "").strip() % values if "%(" in (action.help or "") else (action.help or "").strip()
        if action.choices and action.option_strings and not all(str(choice) in text for choice in action.choices):
            text += f" ({'/'.join(map(str, action.choices))})"
        metavar = action.metavar if isinstance(action.metavar, str) else ""
        title = ", ".join(action.option_strings) or metavar or action.dest
        takes_value = action.option_strings and action.nargs != 0
        described[f"`{title}{f' {metavar}' if takes_value and metavar else ''}`"] = text
    return described


def sections() -> str:
    """Markdown: one section for each command."""
    seen: dict[str, dict[str, str]] = {}
    parts = []
    for name, parser in commands(camtrace_parser()):
        described = options_of(name, parser)
        like, common = "", set()
        for earlier, its in seen.items():
            equal = {title for title, text in described.items() if its.get(title) == text}
            if len(equal) >= SHARED and len(equal) > len(common):
                like, common = earlier, equal
        lines = [f"## {name}", ""]
        if common:
            names = {_short(title) for title in described}
            if all(_short(title) in names for title in seen[like]):
                lines += [f"Every option of `{like}`; these are added or differ:", ""]
            else:
                which = ", ".join(_short(title) for title in described if title in common)
                lines += [f"Options of `{like}`: {which}; and", ""]
        lines += [
            f"- {title}: {text}" if text else f"- {title}" for title, text in described.items() if title not in common
        ]
        if parser.renamed:
            old = [f"`{each.old}` (now {f'`{each.new}`' if each.new else 'without a name'})" for each in parser.renamed]
            lines += ["", f"Earlier spellings that still work: {', '.join(old)}."]
        parts.append("\n".join(lines).rstrip() + "\n")
        seen[name] = described
    return "\n".join(parts)


def _short(title: str) -> str:
    """Without the name of its value.

    >>> _short("`-m, --model ID`"), _short("`DIR`")
    ('`-m, --model`', '`DIR`')
    """
    return re.sub(r" [A-Z][^ ]*`$", "`", title)


if __name__ == "__main__":
    print(sections(), end="")
