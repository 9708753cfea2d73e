"""The page ``docs/reference/inventory.md``: every type of transformers, timm and open_clip, and what comes of it.

    python scripts/docs_tables/inventory.py RESULTS            # prints the page; RESULTS is the folder of the inventory
    python scripts/docs_tables/inventory.py RESULTS --write    # writes it

RESULTS is what ``python -m tests.encoders_by_hand.inventory RESULTS`` filled: one JSON file for each type.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "inventory.md"

VERDICTS = ("right", "refused", "not built", "WRONG")

HEAD = """# Inventory of families

Reference: every type of checkpoint that transformers' image processors read, one architecture for each module of timm,
and one for each kind of image tower of open_clip. Written by `scripts/docs_tables/inventory.py`; what the lines
mean is in [encoders](encoders.md).

Each was built small from its configuration with random weights, loaded as a user would, and its embedding of three
photos of different shape compared with the library's own code called by hand. *Error*: the largest difference over the
largest departure of a photo from the mean of the three, the largest of a line; below 1e-4 is **right**. **Refused**:
one sentence, with the nearest encoder. **Not built**: no small model of it was made, so nothing is known of it.
`?size=64`: its image processor gives pictures of several shapes, and the option makes each photo a square.

A release of these libraries that adds a type fails `tests/encoders_by_hand/test_inventory.py`.
"""


def page(rows: Mapping[str, list[dict[str, str]]], versions: Mapping[str, str]) -> str:
    """The page.

    Args:
        rows: of the inventory, by library.
        versions: of the libraries.

    >>> rows = [
    ...     {"name": "clip", "verdict": "right", "words": "projected", "error": "2e-07", "options": ""},
    ...     {"name": "align", "verdict": "right", "words": "projected", "error": "5e-05", "options": ""},
    ...     {"name": "emu3", "verdict": "refused", "words": "it (emu3) has none", "error": "", "options": ""},
    ... ]
    >>> print("\\n".join(page({"transformers": rows}, {"transformers": "5.24.0"}).splitlines()[-2:]))
    | align, clip | right | projected |  | 5e-05 |
    | emu3 | refused | has none |  |  |
    """
    parts = [HEAD]
    for library, of_library in rows.items():
        counts = ", ".join(f"{sum(row['verdict'] == v for row in of_library)} {v}" for v in VERDICTS)
        parts.append(
            f"## {library} {versions.get(library, '')}\n\n{len(of_library)} tried: {counts}.\n\n{_table(of_library)}\n"
        )
    return "\n".join(parts)


def _table(rows: Iterable[Mapping[str, str]]) -> str:
    """One line for all types of one outcome and option, with their largest error."""
    groups: dict[tuple[str, str, str], list[Mapping[str, str]]] = {}
    for row in rows:
        words = row["words"].replace("|", "/")
        words = words.removeprefix(f"it ({row['name']}) ")
        option = f"`?{row['options']}`" if row.get("options") else ""
        groups.setdefault((row["verdict"], words, option), []).append(row)
    lines = ["| types | | embedding, or why not | option | error |", "|:--|:--|:--|:--|--:|"]
    for (verdict, words, option), of_group in sorted(groups.items(), key=_order):
        names = ", ".join(sorted(row["name"] for row in of_group))
        error = max((row["error"] for row in of_group if row["error"]), key=float, default="")
        lines.append(f"| {names} | {verdict} | {words} | {option} | {error} |")
    return "\n".join(lines)


def _order(group: tuple[tuple[str, str, str], list[Mapping[str, str]]]) -> tuple[int, int, str]:
    (verdict, words, _), rows = group
    return VERDICTS.index(verdict), -len(rows), words


def read_rows(results: Path) -> dict[str, list[dict[str, str]]]:
    """Rows of the inventory, by library."""
    folders = [results / library for library in ("transformers", "timm", "open_clip") if (results / library).is_dir()]
    return {
        f.name: [json.loads(file.read_text(encoding="utf-8")) for file in sorted(f.glob("*.json"))] for f in folders
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--write", action="store_true", help="write the page")
    options = parser.parse_args()
    versions = {
        "transformers": version("transformers"),
        "timm": version("timm"),
        "open_clip": version("open_clip_torch"),
    }
    text = page(read_rows(options.results), versions)
    if options.write:
        PAGE.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
