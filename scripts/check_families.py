"""Families of encoders against the library called by hand, on tiny random checkpoints.

    python scripts/check_families.py [--only NAME ...] [--no-timm] [--markdown FILE]

For each family a tiny checkpoint with random weights is written as the library writes it, loaded by its folder as a
user would, and its embedding of three photos compared with the library's own classes: the error is the largest
difference over the largest departure of a photo from the mean of the three, and must be below 1e-4. Where the family
has a task head, the head on our embedding must give the model's own logits. Families that cannot be scored must say so
in one sentence. Names of timm are made of their own architecture, with fewer and narrower layers where they take that,
and their own preprocessing. Ends with status 1 if one is wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.families.table import CASES, TIMM  # noqa: E402
from scripts.families.trial import Row, try_case, try_timm, versions  # noqa: E402

MARK = "<!-- by scripts/check_families.py -->"
"""Where the tables begin in a document."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="encoders against the library called by hand")
    parser.add_argument("--only", nargs="+", default=None, metavar="NAME", help="these families and names alone")
    parser.add_argument("--no-timm", action="store_true", help="families of transformers alone")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help=f"write the tables into FILE, from the line {MARK} on"
    )
    options = parser.parse_args(arguments)
    names = [name for name in CASES if options.only is None or name in options.only]
    timm = [] if options.no_timm else [n for n in TIMM if options.only is None or n in options.only]
    families, others = [], []
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        for names_of, try_one, rows in (
            (names, lambda n, f: try_case(n, CASES[n], f), families),
            (timm, try_timm, others),
        ):
            for name in names_of:
                rows.append(try_one(name, Path(folder)))
                print(rows[-1].line(), flush=True)
    said = f"{_counts('transformers', families)}\n{_counts('timm', others)}\n{versions()}"
    print(said)
    if options.markdown:
        before, mark, _ = options.markdown.read_text(encoding="utf-8").partition(MARK)
        tables = [_markdown("transformers", families), _markdown("timm", others)]
        text = "\n\n".join([before + mark, said.replace("\n", "  \n"), *tables])
        options.markdown.write_text(text + "\n", encoding="utf-8")
    return int(any(row.verdict == "WRONG" for row in [*families, *others]))


def _counts(library: str, rows: list[Row]) -> str:
    number = {verdict: sum(row.verdict == verdict for row in rows) for verdict in ("right", "refused", "WRONG")}
    heads = sum(bool(row.head) for row in rows)
    kinds = ", ".join(f"{n} {verdict}" for verdict, n in number.items())
    families = len({row.family for row in rows if row.verdict != "WRONG"})
    return f"{library}: {len(rows)} tried, of {families} families: {kinds}; {heads} against their own task head"


def _markdown(library: str, rows: list[Row]) -> str:
    lines = [f"| {library} | embedding | preprocessing | error | head |", "|---|---|---|--:|--:|"]
    return "\n".join(lines + [f"| {row.name} | {row.words} | {row.path} | {row.error} | {row.head} |" for row in rows])


if __name__ == "__main__":
    sys.exit(main())
