"""The page ``docs/reference/inventory.md``: every type of transformers, timm and open_clip, and what comes of it.

    python scripts/docs_tables/inventory.py RESULTS            # prints the page; RESULTS is the folder of the inventory
    python scripts/docs_tables/inventory.py RESULTS --write    # writes it

RESULTS is what ``python -m tests.encoders_by_hand.inventory RESULTS`` filled: one JSON file for each type.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "inventory.md"

VERDICTS = ("right", "refused", "not built", "WRONG")

HEAD = """# Inventory of families

Reference: every type of checkpoint that transformers' image processors read, its classifiers, lone towers and other
outputs, one architecture for each module of timm with ids of 2024 to 2026, and one for each kind of image tower of
open_clip. Written by `scripts/docs_tables/inventory.py`; what the lines mean is in [encoders](encoders.md).

Each was built small from its configuration with random weights, loaded as a user would, and its embedding of three
photos of different shape compared with the library's own code called by hand. *Error*: the largest difference over the
largest departure of a photo from the mean of the three, the largest of a line; below 1e-4 is **right**. *Head*: the
same for the logits of the model's own task head on our embedding. **Refused**: one sentence, with the nearest encoder.
**Not built**: no small model was made, and why. `?size=64`: its image processor gives pictures of several shapes, and
the option makes each photo a square. †: preprocessed by its own code, else by the exact engine.

A release of these libraries that adds a type fails `tests/encoders_by_hand/test_inventory.py`.
"""


def page(rows: Mapping[str, list[dict[str, str]]], versions: Mapping[str, str], types: Collection[str]) -> str:
    """The page.

    Args:
        rows: of the inventory, by library.
        versions: of the libraries.
        types: of transformers; its other rows are counted apart.

    >>> rows = [
    ...     {"name": "clip", "verdict": "right", "words": "projected", "error": "2e-07"},
    ...     {"name": "align", "verdict": "right", "words": "projected", "error": "5e-05", "head": "1e-06"},
    ...     {"name": "emu3", "verdict": "refused", "words": "it (emu3) has none"},
    ... ]
    >>> print("\\n".join(page({"transformers": rows}, {"transformers": "5.24.0"}, ["clip"]).splitlines()[-6:]))
    1 type: 1 right, 0 refused, 0 not built, 0 WRONG. 2 further: 1 right, 1 refused, 0 not built, 0 WRONG.
    <BLANKLINE>
    | checkpoints | | embedding, or why not | option | error | head |
    |:--|:--|:--|:--|--:|--:|
    | align, clip | right | projected |  | 5e-05 | 1e-06 |
    | emu3 | refused | has none |  |  |  |
    """
    parts = [HEAD]
    for library, of_library in rows.items():
        counted = {"tried": of_library}
        if library == "transformers":
            of_types = [row for row in of_library if row["name"] in types]
            counted = {"type" + "s" * (len(of_types) != 1): of_types}
            counted["further"] = [row for row in of_library if row["name"] not in types]
        counts = " ".join(f"{len(part)} {what}: {_counts(part)}." for what, part in counted.items())
        parts.append(f"## {library} {versions.get(library, '')}\n\n{counts}\n\n{_table(of_library)}\n")
    return "\n".join(parts)


def _counts(rows: Iterable[Mapping[str, str]]) -> str:
    verdicts = [row["verdict"] for row in rows]
    return ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in VERDICTS)


def _table(rows: Iterable[Mapping[str, str]]) -> str:
    """One line for all checkpoints of one outcome and option, with their largest errors."""
    groups: dict[tuple[str, str, str], list[Mapping[str, str]]] = {}
    for row in rows:
        words = row["words"].replace("|", "/")
        words = words.removeprefix(f"it ({row['name']}) ")
        words = re.sub(r"SelectAdaptivePool2d.*?(?= \(in float64|$)", "avg)", words)
        option = f"`?{row['options']}`" if row.get("options") else ""
        groups.setdefault((row["verdict"], words, option), []).append(row)
    lines = ["| checkpoints | | embedding, or why not | option | error | head |", "|:--|:--|:--|:--|--:|--:|"]
    for (verdict, words, option), of_group in sorted(groups.items(), key=_order):
        names = ", ".join(sorted(_name(row) for row in of_group))
        error, head = (
            max((row[n] for row in of_group if row.get(n)), key=float, default="") for n in ("error", "head")
        )
        lines.append(f"| {names} | {verdict} | {words} | {option} | {error} | {head} |")
    return "\n".join(lines)


def _name(row: Mapping[str, str]) -> str:
    own_code = row["verdict"] == "right" and row.get("path", "exact engine") != "exact engine"
    return row["name"].replace(",", "") + " †" * own_code


def _order(group: tuple[tuple[str, str, str], list[Mapping[str, str]]]) -> tuple[int, int, str]:
    (verdict, words, _), rows = group
    return VERDICTS.index(verdict), -len(rows), words


def read_rows(results: Path) -> dict[str, list[dict[str, str]]]:
    """Rows of the inventory, by library."""
    folders = [results / library for library in ("transformers", "timm", "open_clip") if (results / library).is_dir()]
    return {
        f.name: [json.loads(file.read_text(encoding="utf-8")) for file in sorted(f.glob("*.json"))] for f in folders
    }


def known_types() -> Collection[str]:
    """Types of the installed transformers that have an image processor."""
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    return set(IMAGE_PROCESSOR_MAPPING_NAMES)


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
    text = page(read_rows(options.results), versions, known_types())
    if options.write:
        PAGE.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
