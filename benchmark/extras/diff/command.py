"""``camtrace diff``: does another decoder, resize, library, runtime or precision matter to an encoder?"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmark.options import DEFAULT_MODEL
from builders.cli import Parser, check_writable, real_number, whole_number, write_record

OVER_LIMIT = 1
"""Exit status of ``--exit-code`` where a way moves embeddings by more than the limit."""


def parser() -> Parser:
    """The options of the command."""
    p = Parser(
        "camtrace diff",
        description="Compare ways to the embeddings of the same photos: decoder, orientation, colour, resize, library, "
        "filter, antialias, runtime, dtype, a processing such as JPEG, or two files of embeddings. Differences of "
        "pixels, cosine, neighbours, answers and retrieval, in units of the encoder's weakest trace.",
        most_used=("--data", "--a", "--b", "--output", "--exit-code"),
        examples=(
            "camtrace diff --data folder:photos --b decoder=opencv",
            "camtrace diff --a model=embeddings:old.npy --b model=embeddings:new.npy",
        ),
        epilog="Exit status: 0, 1 where an encoder fails, or 2 where the request is wrong; with --exit-code 1 where a "
        "way moves embeddings by more than --at-most weakest traces.",
    )
    p.add_argument(
        "-m", "--model", default=DEFAULT_MODEL, metavar="SPEC", help="encoder, as for score (default: %(default)s)"
    )
    p.add_argument("-d", "--data", default="sample", metavar="SPEC", help="photos, as for score (default: %(default)s)")
    p.add_argument(
        "--a",
        default="",
        metavar="STEPS",
        help="the first way, as NAME=VALUE,... of decoder, orientation, colour, resize, library, filter, antialias, "
        "runtime, dtype, processing, model (default: what camtrace does)",
    )
    p.add_argument(
        "--b",
        action="append",
        required=True,
        metavar="STEPS",
        help="the other way, likewise; steps not given are those of --a; repeatable",
    )
    p.add_argument("--limit", type=whole_number(1), metavar="N", help="at most N photos, balanced between classes")
    p.add_argument(
        "--neighbours", type=whole_number(1), metavar="K", help="neighbours of a photo (default: 10, or the data's)"
    )
    p.add_argument(
        "--at-most",
        type=real_number(above=0),
        default=1.0,
        metavar="TRACES",
        help="limit of the cosine distance, in weakest traces (default: %(default)s)",
    )
    p.add_argument("--exit-code", action="store_true", help="exit with status 1 where a way is over the limit")
    p.add_argument("--fail-undecided", action="store_true", help="exit with status 1 also where that is undecided")
    p.add_argument("--device", default="auto", metavar="DEVICE", help="of the networks (default: %(default)s)")
    p.add_argument(
        "--seed", type=whole_number(0), default=0, metavar="N", help="of the draw of photos (default: %(default)s)"
    )
    p.add_argument("--revision", metavar="REV", help="branch, tag or commit of a model of the Hub")
    p.add_argument("--trust-remote-code", action="store_true", help="run code that comes with a model of the Hub")
    p.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="folder of diff.html, .md, .json and .png (default: none)",
    )
    p.set_defaults(run=run)
    return p


def run(args: argparse.Namespace) -> int:
    """The exit status."""
    from benchmark.extras.diff import diff, write_diff

    if args.output is not None:
        check_writable("--output", args.output)
    result = diff(
        args.model,
        args.data,
        a=args.a,
        b=args.b,
        limit=args.limit,
        neighbours=args.neighbours,
        at_most=args.at_most,
        seed=args.seed,
        device=args.device,
        revision=args.revision,
        trust_remote_code=args.trust_remote_code,
    )
    print(result)
    if args.output is not None:
        write_diff(result, args.output)
        print(f"\nwritten to {args.output / 'diff.html'}")
    write_record(args, result.to_json())
    fails = args.exit_code or args.fail_undecided
    return OVER_LIMIT if fails and not result.passed(fail_undecided=args.fail_undecided) else 0
