"""Every speed figure in one run, as ratios against something simpler measured beside it: ``python scripts/speed.py``.

    python scripts/speed.py [--only views,pipeline,knn,...] [--quick] [--json FILE]

``--quick`` uses tiny sizes, to see that it runs; its figures mean nothing. Quiet machines give figures worth keeping.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from benchmark.results.tables import markdown_table  # noqa: E402

PARTS = ("views", "pipeline", "runtimes", "knn", "probe", "builders", "fetch", "simcams")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas (default: all)")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = parser.parse_args()
    unknown = set(args.only.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}: known are {', '.join(PARTS)}")
    print(importlib.import_module("speed_probe").machine(), end="\n\n")
    figures: list[dict[str, Any]] = []
    for part in args.only.split(","):
        rows = [_plain(row) for row in importlib.import_module(f"speed_{part}").rows(quick=args.quick)]
        figures += [{"part": part, **row} for row in rows]
        print(_table(part, rows), end="\n\n", flush=True)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def _plain(row: Any) -> dict[str, Any]:
    return dataclasses.asdict(row) if dataclasses.is_dataclass(row) else dict(row)  # type: ignore[arg-type]


def _table(part: str, rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in ("part", "what")))
    cells = [[str(row["what"]), *(_cell(row.get(column)) for column in columns)] for row in rows]
    return markdown_table([part, *columns], cells)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
