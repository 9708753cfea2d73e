"""Measures docs/reference/erasers-measured.md: tables, transfer, sample-size curve, time and memory of a fit.

    python scripts/docs_tables/mitigation --photos DIR --work work --write docs/reference/erasers-measured.md
    python scripts/docs_tables/mitigation --only simcams --encoder control:jpeg-statistics --work work
    python scripts/docs_tables/mitigation --kept --work work --write docs/reference/erasers-measured.md

Parts, each by the protocol of ``camtrace erase``: ``imagenette`` and ``simcams`` fit every method to a trace and report
what three readers read before and after; ``transfer`` fits on simulated photos and reads real ones, and the reverse;
``curve`` fits on more and more photos; ``cost`` times a fit on random numbers against one bare pass over them. Results
stay in ``--work``, and each part is written between its marks in the document, if there is something to write.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[3])

from benchmark.compute import prepare_process
from scripts.docs_tables.mitigation.cost import PHOTOS, cost
from scripts.docs_tables.mitigation.erasers import ENCODERS
from scripts.docs_tables.mitigation.tables import curve, imagenette, simcams
from scripts.docs_tables.mitigation.transfer import transfer

PARTS: Mapping[str, Callable[[argparse.Namespace], str]] = {
    "imagenette": imagenette,
    "simcams": simcams,
    "transfer": transfer,
    "curve": curve,
    "cost": cost,
}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--photos", type=Path, help="class folders in train/ and val/")
    p.add_argument("--cameras", type=Path, help="photos with Exif, for transfer of camera attributes")
    p.add_argument("--limit", type=int, help="photos of imagenette (default: all)")
    p.add_argument("--simulated-limit", type=int, help="photos of simcams (default: all)")
    p.add_argument("--encoder", action="append", choices=ENCODERS, help="of the tables; repeatable (default: all)")
    p.add_argument("--only", action="append", choices=tuple(PARTS), help="repeatable (default: all)")
    p.add_argument("--work", type=Path, default=Path("mitigation"), help="where erasers and the cache are kept")
    p.add_argument("--write", type=Path, help="the document")
    p.add_argument("--kept", action="store_true", help="only what --work holds already; nothing is computed")
    p.add_argument("--cost-photos", type=int, nargs="+", default=PHOTOS, help="sizes of cost (default: %(default)s)")
    args = p.parse_args()
    prepare_process()
    if not args.kept and not args.photos and {"imagenette", "curve"} & set(args.only or PARTS):
        p.error("imagenette and curve need --photos")
    for name in args.only or PARTS:
        text = PARTS[name](args)
        print(text, end="\n\n" if text else "", flush=True)
        if args.write and text:
            page = args.write.read_text("utf-8")
            args.write.write_text(written(page, name, text), "utf-8")


def written(page: str, name: str, text: str) -> str:
    """The document with a part between its marks."""
    begin, end = f"<!-- measured: {name} -->", f"<!-- end of {name} -->"
    result, count = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n\n{text}\n\n{end}", page, flags=re.DOTALL
    )
    if not count:
        sys.exit(f"the document has no marks for {name}: {begin} {end}")
    return result


if __name__ == "__main__":
    main()
