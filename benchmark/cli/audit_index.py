"""``camtrace audit index EMBEDDINGS``: do neighbours in an index follow codec, size or quality? Repairs on request."""

from __future__ import annotations

import argparse
from pathlib import Path

from builders.cli import Names, Parser, check_writable, whole_number, write_record
from builders.errors import UsageError

FOUND = 1
"""Exit status of ``--exit-code`` where neighbours follow how files were made, or that is undecided."""


def parser() -> Parser:
    p = Parser(
        "camtrace audit index",
        most_used=("--images", "--label", "--repair", "--output"),
        examples=(
            "camtrace audit index vectors.npy --images photos --label folder",
            "camtrace audit index 'pgvector:postgresql://localhost/shop?table=items' --images photos --repair map",
        ),
        description="Do the nearest neighbours in an index share codec, size or quality beyond what content and chance "
        "explain? Reads vectors and the headers of pictures. --repair fits a map that takes it out of the vectors that "
        "are there, and writes it for NumPy, FAISS, pgvector and Qdrant.",
    )
    p.add_argument(
        "index",
        metavar="EMBEDDINGS",
        help="FILE.npy or FILE.faiss with FILE.csv beside it, FILE.parquet, qdrant:http://HOST:PORT/COLLECTION, or "
        "pgvector:postgresql://HOST/DATABASE?table=TABLE; ?image=COLUMN names the pictures",
    )
    content = p.add_argument_group("what stands for the content")
    content.add_argument(
        "--images", type=Path, metavar="ROOT", help="folder that the paths of pictures are relative to"
    )
    content.add_argument(
        "--label", default="", metavar="COLUMN", help="what pictures show: a column, folder, folder:N or re:PATTERN"
    )
    content.add_argument(
        "--second",
        default="",
        metavar="EMBEDDINGS",
        help="other embeddings of the pictures, that know the content",
    )
    content.add_argument(
        "--cluster", default="", metavar="COLUMN", help="what errs together, named as --label; never neighbours"
    )
    measuring = p.add_argument_group("what is measured")
    measuring.add_argument(
        "--neighbours", type=whole_number(1), default=10, metavar="K", help="of a query (default: %(default)s)"
    )
    measuring.add_argument(
        "--queries", type=whole_number(2), default=10_000, metavar="N", help="at most N queries (default: %(default)s)"
    )
    measuring.add_argument(
        "--seed", type=whole_number(0), default=0, metavar="N", help="of draws and halves (default: %(default)s)"
    )
    repairs = p.add_argument_group("repair")
    repairs.add_argument("--repair", type=Path, metavar="DIR", help="fit a map, measure it, and write it to DIR")
    repairs.add_argument(
        "--group", action=Names, metavar="NAME", help="take these groups out (default: those that were found)"
    )
    repairs.add_argument(
        "--method", default="leace", metavar="NAME", help="of the map, as of camtrace erase (default: %(default)s)"
    )
    results = p.add_argument_group("results and messages")
    results.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("index"),
        metavar="DIR",
        help="folder of index.html and index.json (default: %(default)s)",
    )
    results.add_argument(
        "--exit-code", action="store_true", help="exit with status 1 unless neighbours are shown not to follow files"
    )
    p.set_defaults(run=run)
    return p


def run(args: argparse.Namespace) -> int:
    """The exit status."""
    if args.group and args.repair is None:
        raise UsageError("--group names what is taken out: give --repair DIR too")
    from benchmark.index import audit_index, write_index

    for option, folder in (("--output", args.output), ("--repair", args.repair)):
        if folder is not None:
            check_writable(option, folder)
    result = audit_index(
        args.index,
        images=args.images,
        label=args.label,
        cluster=args.cluster,
        second=args.second,
        k=args.neighbours,
        queries=args.queries,
        repair=args.repair is not None,
        groups=args.group or (),
        method=args.method,
        seed=args.seed,
    )
    print(result)
    if args.repair is not None and result.repair is None:
        print(f"no map is written to {args.repair}: nothing was found; --group NAME takes a group out all the same")
    written = write_index(result, args.output, args.repair)
    write_record(args, result.to_json())
    print(f"written: {', '.join(map(str, written))}")
    return FOUND if args.exit_code and not result.clean else 0
