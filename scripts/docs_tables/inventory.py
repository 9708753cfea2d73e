"""The table ``docs/reference/inventory.csv``: every type of transformers, timm and open_clip, and what comes of it.

    python scripts/docs_tables/inventory.py RESULTS    # writes it; RESULTS is the folder of the inventory
    python scripts/docs_tables/inventory.py            # prints the tables of the site, which are made from it

RESULTS is what ``python -m tests.encoders_by_hand.inventory RESULTS`` filled: one JSON file for each type.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

TABLE = Path(__file__).parents[2] / "docs" / "reference" / "inventory.csv"

VERDICTS = ("right", "refused", "not built", "WRONG")

COLUMNS = (
    "library",
    "checkpoint",
    "kind",
    "verdict",
    "embedding, or why not",
    "option",
    "preprocessing",
    "error",
    "head",
)

PACKAGES = {"transformers": "transformers", "timm": "timm", "open_clip": "open_clip_torch"}

Row = Mapping[str, str]


def csv_row(library: str, row: Row, types: Collection[str]) -> dict[str, str]:
    """One line of the table, of what the inventory stored.

    Args:
        library: the library with its version.
        row: as stored.
        types: of transformers; its other rows are counted apart.

    >>> stored = {"name": "emu3", "verdict": "refused", "words": "it (emu3) has none"}
    >>> csv_row("transformers 5", stored, ["emu3"])["embedding, or why not"]
    'has none'
    """
    words = row["words"].replace("|", "/").removeprefix(f"it ({row['name']}) ")
    own_code = row["verdict"] == "right" and row.get("path", "exact engine") != "exact engine"
    kind = ("type" if row["name"] in types else "further") if library.startswith("transformers") else "tried"
    values = (
        *(library, row["name"].replace(",", ""), kind, row["verdict"]),
        re.sub(r"SelectAdaptivePool2d.*?(?= \(in float64|$)", "avg)", words),
        f"?{row['options']}" if row.get("options") else "",
        "its own code" if own_code else "",
        *(row.get("error", ""), row.get("head", "")),
    )
    return dict(zip(COLUMNS, values, strict=True))


def tables(rows: Iterable[Row]) -> str:
    """Markdown for the site: of each library the counts, and a line for all checkpoints of one outcome and option.

    >>> lines = ["clip,type,right,projected,,,2e-07,", "align,further,right,projected,,its own code,5e-05,1e-06"]
    >>> read = csv.DictReader([",".join(f'"{c}"' for c in COLUMNS), *(f"transformers 5,{line}" for line in lines)])
    >>> print(tables(read))
    ## transformers 5
    <BLANKLINE>
    1 type: 1 right, 0 refused, 0 not built, 0 WRONG. 1 further: 1 right, 0 refused, 0 not built, 0 WRONG.
    <BLANKLINE>
    | checkpoints | | embedding, or why not | option | error | head |
    |:--|:--|:--|:--|--:|--:|
    | align †, clip | right | projected |  | 5e-05 | 1e-06 |
    <BLANKLINE>
    """
    libraries: dict[str, list[Row]] = {}
    for row in rows:
        libraries.setdefault(row["library"], []).append(row)
    return "\n".join(f"## {name}\n\n{_counts(of_one)}\n\n{_table(of_one)}\n" for name, of_one in libraries.items())


def _counts(rows: Sequence[Row]) -> str:
    sentences = []
    for kind in dict.fromkeys(sorted((row["kind"] for row in rows), reverse=True)):
        verdicts = [row["verdict"] for row in rows if row["kind"] == kind]
        name = kind + "s" * (kind == "type" and len(verdicts) != 1)
        counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in VERDICTS)
        sentences.append(f"{len(verdicts)} {name}: {counts}.")
    return " ".join(sentences)


def _table(rows: Iterable[Row]) -> str:
    """One line for all checkpoints of one outcome and option, with their largest errors."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["verdict"], row["embedding, or why not"], row["option"]), []).append(row)
    lines = ["| checkpoints | | embedding, or why not | option | error | head |", "|:--|:--|:--|:--|--:|--:|"]
    for (verdict, words, option), of_group in sorted(groups.items(), key=_order):
        names = ", ".join(sorted(row["checkpoint"] + " †" * bool(row["preprocessing"]) for row in of_group))
        error, head = (max((row[n] for row in of_group if row[n]), key=float, default="") for n in ("error", "head"))
        lines.append(f"| {names} | {verdict} | {words} | {f'`{option}`' if option else ''} | {error} | {head} |")
    return "\n".join(lines)


def _order(group: tuple[tuple[str, str, str], list[Row]]) -> tuple[int, int, str]:
    (verdict, words, _), rows = group
    return VERDICTS.index(verdict), -len(rows), words


def stored_rows() -> list[dict[str, str]]:
    """Rows of the table in the repository."""
    with TABLE.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def new_rows(results: Path) -> list[dict[str, str]]:
    """Rows of a folder of the inventory."""
    types = known_types()
    rows = []
    for library, package in PACKAGES.items():
        for file in sorted((results / library).glob("*.json")):
            stored = json.loads(file.read_text(encoding="utf-8"))
            rows.append(csv_row(f"{library} {version(package)}", stored, types))
    return rows


def known_types() -> Collection[str]:
    """Types of the installed transformers that have an image processor."""
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    return set(IMAGE_PROCESSOR_MAPPING_NAMES)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="?")
    options = parser.parse_args()
    if options.results is None:
        print(tables(stored_rows()))
        return 0
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(new_rows(options.results))
    TABLE.write_text(text.getvalue(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
