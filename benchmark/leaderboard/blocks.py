"""The Markdown of a report as plain values: headings, tables, paragraphs and code, for a page that makes text of them.

Only what ``benchmark.results.report_text`` writes is known; whatever else there is stays a paragraph.
"""

from __future__ import annotations

import re
from typing import Any


def blocks_of(text: str) -> list[dict[str, Any]]:
    r"""Blocks in their order, each an object with its ``kind``.

    ``heading``, ``paragraph`` and ``code`` have ``text``; ``table`` has ``head``, ``rows`` and ``right`` (which columns
    hold numbers).

    >>> heading, table, said, code = blocks_of(
    ...     "## one\n\n| a \\| b |  % |\n| :--- | --: |\n| x | 1.0 |\n\nSo.\nIt is.\n\n    run this\n"
    ... )
    >>> table
    {'kind': 'table', 'head': ['a | b', '%'], 'rows': [['x', '1.0']], 'right': [False, True]}
    >>> heading["text"], said["text"], code["text"]
    ('one', 'So. It is.', 'run this')
    """
    return [_block(lines) for part in re.split(r"\n[ \t]*\n", text) if (lines := part.strip("\n").split("\n")) != [""]]


def _block(lines: list[str]) -> dict[str, Any]:
    if lines[0].startswith("#") and len(lines) == 1:
        return {"kind": "heading", "text": lines[0].lstrip("#").strip()}
    if len(lines) > 1 and all(line.startswith("|") for line in lines) and re.fullmatch(r"[|:\- ]+", lines[1]):
        head, rule, *rows = map(_cells, lines)
        return {"kind": "table", "head": head, "rows": rows, "right": [cell.endswith(":") for cell in rule]}
    if all(line.startswith("    ") for line in lines):
        return {"kind": "code", "text": "\n".join(line[4:] for line in lines)}
    return {"kind": "paragraph", "text": " ".join(line.strip() for line in lines)}


def _cells(line: str) -> list[str]:
    """The cells of one row; a bar of a cell's own is written as backslash and bar."""
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", inner)]
