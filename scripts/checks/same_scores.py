"""Do two runs hold the same scores, to the last digit? ``python scripts/checks/same_scores.py OLD NEW``.

For a change that must not change numbers. Takes two folders of results, or two ``result.json``, of any schema version,
and pairs them by encoder and data set. Values, ends of intervals, n and chance are compared as they stand in the files.
Exit status 0 where all are equal and nothing is missing on either side, 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

FIELDS = ("value", "low", "high", "n", "chance")

Scores = dict[tuple[str, str, str, str], dict[str, float]]
"""(encoder, data, task, metric) -> the numbers of the score."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--values-only", action="store_true", help="do not compare the ends of intervals")
    args = parser.parse_args(argv)
    old, new = scores(args.old), scores(args.new)
    fields = [f for f in FIELDS if not (args.values_only and f in ("low", "high"))]
    lines = list(differences(old, new, fields))
    print("\n".join(lines))
    shared = len(old.keys() & new.keys())
    print(
        f"{shared} scores are on both sides; {len(lines)} differ or are missing"
        if shared
        else "no score is on both sides"
    )
    return 0 if shared and not lines else 1


def scores(source: Path) -> Scores:
    """Every score below a folder, or of one file."""
    files = [source] if source.is_file() else sorted(source.rglob("result.json"))
    measured: Scores = {}
    for file in files:
        result = json.loads(file.read_text(encoding="utf-8"))
        for score in result["scores"]:
            key = (result["encoder"]["id"], result["data"]["name"], score["task"], score["metric"])
            measured[key] = {field: score[field] for field in FIELDS}
    return measured


def differences(old: Scores, new: Scores, fields: Sequence[str]) -> Iterator[str]:
    """One line for each score that is missing on a side or differs in a field."""
    for key in sorted(old.keys() | new.keys()):
        name = " ".join(key)
        if key not in new or key not in old:
            yield f"{name}: only in the {'old' if key in old else 'new'} results"
        else:
            for field in fields:
                if old[key][field] != new[key][field]:
                    yield f"{name}: {field} was {old[key][field]!r}, is {new[key][field]!r}"


if __name__ == "__main__":
    sys.exit(main())
