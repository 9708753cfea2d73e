"""The table of ``docs/reference/encoders.md``: the long table of the family check, with one row for each embedding.

    python scripts/docs_tables/families.py TABLE            # prints it; TABLE is what the family check wrote
    python scripts/docs_tables/families.py TABLE --write    # puts it between the marks of the page

A row of TABLE is one checkpoint: ``| name | embedding | preprocessing | error | head |``; lines before the tables are
the counts. A row of the page holds the checkpoints of one embedding and one preprocessing (†: its own code, not the
exact engine), with their largest errors.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "encoders.md"
BEGIN, END = "<!-- families begin -->", "<!-- families end -->"


def short_table(text: str) -> str:
    """The counts, one table for each library, and the refused families with the nearest encoder.

    >>> print(short_table('''
    ... timm: 2 tried
    ... | timm | embedding | preprocessing | error | head |
    ... |---|---|---|--:|--:|
    ... | a | class token | exact engine | 1e-07 |  |
    ... | b | class token | exact engine | 2e-07 | 3e-07 |
    ... | c | it (c) reads videos; the nearest encoder is d/e |  |  |  |'''))
    timm: 2 tried
    <BLANKLINE>
    | timm | embedding | error | head |
    |:--|:--|--:|--:|
    | a, b | class token | 2e-07 | 3e-07 |
    <BLANKLINE>
    Refused, with the nearest encoder: c (`d/e`).
    """
    counts: list[str] = []
    tables: list[str] = []
    groups: dict[tuple[str, str], list[list[str]]] = {}
    refused: list[str] = []
    library = ""
    for line in [*text.splitlines(), "| end | embedding |"]:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            counts += [line.strip()] * bool(line.strip() and not line.startswith("<!--"))
        elif cells[1] == "embedding":
            tables += [_table(library, groups)] * bool(groups)
            library, groups = cells[0], {}
        elif not set(cells[0]) <= set(":-"):
            if cells[2]:
                groups.setdefault((cells[1], cells[2]), []).append(cells)
            else:
                refused.append(f"{cells[0]} (`{cells[1].rpartition(' ')[2]}`)")
    last = [f"Refused, with the nearest encoder: {', '.join(refused)}."] * bool(refused)
    return "\n\n".join(["  \n".join(counts), *tables, *last])


def _table(library: str, groups: dict[tuple[str, str], list[list[str]]]) -> str:
    lines = [f"| {library} | embedding | error | head |", "|:--|:--|--:|--:|"]
    for (embedding, preprocessing), rows in groups.items():
        changed = " †" * (preprocessing != "exact engine")
        names = ", ".join(re.sub(r" (classifier|, projected)$", "", row[0].replace(",", " ,")) for row in rows)
        errors = _largest(row[3] for row in rows), _largest(row[4] for row in rows)
        lines.append(f"| {names} | {embedding}{changed} | {errors[0]} | {errors[1]} |")
    return "\n".join(lines)


def _largest(numbers: Iterable[str]) -> str:
    return max((n for n in numbers if n), key=float, default="")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--write", action="store_true", help="put it into the page")
    options = parser.parse_args()
    table = short_table(options.table.read_text(encoding="utf-8"))
    if options.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    else:
        print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
