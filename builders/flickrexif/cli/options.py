"""Options of the steps of ``camtrace build flickrexif``."""

from __future__ import annotations

import argparse
import datetime
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from builders.cli import Joined, Names, Parser, Renamed, real_number, whole_number

Step = Callable[[argparse.Namespace], int]

_MOST_USED_AND_EXAMPLES: Mapping[str, tuple[Sequence[str], Sequence[str]]] = MappingProxyType(
    {
        "search": (
            ("--state", "--limit", "--dry-run", "--from", "--to"),
            (
                "camtrace build flickrexif search --state flickr --limit 5000 --dry-run",
                "camtrace build flickrexif search --state flickr --from 2010-01-01",
            ),
        ),
        "refresh": (
            ("--state", "--older-than-days", "--calls-per-hour", "--attempts", "--contact"),
            (
                "camtrace build flickrexif refresh --state flickr",
                "camtrace build flickrexif refresh --state flickr --older-than-days 30",
            ),
        ),
        "fetch": (
            ("--state", "--size", "--limit", "--retry-failed", "--connections"),
            (
                "camtrace build flickrexif fetch --state flickr",
                "camtrace build flickrexif fetch --state flickr --size o,l --limit 1000",
            ),
        ),
        "import": (
            ("--state", "--hub", "--table", "--revision", "--seed"),
            (
                "camtrace build flickrexif import --state flickr --hub CTU-OU/FlickrExif",
                "camtrace build flickrexif import --state flickr --table ids.parquet",
            ),
        ),
        "build": (
            ("--state", "--output", "--pixels", "--extra", "--workers"),
            (
                "camtrace build flickrexif build --state flickr --output out/flickrexif",
                "camtrace build flickrexif build --state flickr --output out --pixels",
            ),
        ),
        "load": (
            ("--state", "--output", "--configs", "--limit", "--connections"),
            (
                "camtrace build flickrexif load OWNER/NAME --state flickr --output photos",
                "camtrace build flickrexif load out --state flickr -o photos --configs iso",
            ),
        ),
        "check": (
            (),
            ("camtrace build flickrexif check out/flickrexif", "camtrace build flickrexif check train.csv test.csv"),
        ),
        "forget": (
            ("--state", "--photo", "--owner"),
            (
                "camtrace build flickrexif forget --state flickr --owner 12345@N00",
                "camtrace build flickrexif forget --state flickr --photo 1,2,3",
            ),
        ),
        "status": (
            ("--state", "--calls-per-hour"),
            (
                "camtrace build flickrexif status --state flickr",
                "camtrace build flickrexif status --state flickr --calls-per-hour 1800",
            ),
        ),
    }
)
"""By step: the options that most people need, and command lines for the help page."""


def steps_parser(text: str, run: Mapping[str, Step], fetch_ranks: Callable[[argparse.Namespace], object]) -> Parser:
    """The parser of all steps.

    Args:
        text: description and, after an empty line, the epilogue of the help.
        run: the function that runs each step, by name.
        fetch_ranks: makes the ranked work of the step ``fetch`` (``builders.cluster.RankedWork``).
    """
    description, _, epilog = text.partition("\n\n")
    parser = Parser("camtrace build flickrexif", messages=False, description=description, epilog=epilog)
    steps = parser.add_subparsers(required=True, metavar="STEP")

    step = _step(steps, "search", run, "find photos and request their Exif")
    step.add_argument("--from", dest="start", default="2004-01-01", metavar="DAY", help="first day of upload, UTC")
    step.add_argument("--to", dest="end", default=f"{datetime.date.today()}", metavar="DAY", help="last day, inclusive")
    step.add_argument(
        "--per-user-month",
        type=whole_number(1),
        default=5,
        metavar="N",
        help="photos per owner and month of upload (default 5)",
    )
    step.renamed = (Renamed("--photos", "--limit"), Renamed("--licences", "--license"))
    step.add_argument(
        "--limit",
        dest="photos",
        type=whole_number(1),
        metavar="N",
        help="number of photos with Exif, evenly over months from the first hour on (default: all that"
        " --per-user-month allows, as in the study)",
    )
    step.add_argument(
        "--dry-run",
        action="store_true",
        help="forecast calls, hours and gigabytes. Counts the months and requests the Exif of the first 100 photos,"
        " which the search then has",
    )
    step.add_argument(
        "--fill",
        action=Joined,
        metavar="NAMES",
        help="after a search: search for more photos of the rarest classes, by the names of their cameras; any of"
        " make,model,smartphone_model",
    )
    step.add_argument(
        "--per-class",
        type=whole_number(1),
        default=200,
        metavar="N",
        help="photos of each class after --fill (default 200)",
    )
    step.add_argument(
        "--license",
        dest="licences",
        action=Names,
        nargs="+",
        default=(),
        metavar="NAME",
        help="ids or names, with commas or spaces between them (default: permissive)",
    )
    step.add_argument("--non-commercial", action="store_true", help="also licences with NC")
    step.add_argument("--no-derivatives", action="store_true", help="also licences with ND")
    step.add_argument("--each-licence", action="store_true", help="always search for one licence at a time")
    step.add_argument("--no-exif", action="store_true", help="do not request Exif: only originals will have any")
    step.add_argument(
        "--seed", type=whole_number(0), default=0, metavar="N", help="of the choice that the cap makes (default 0)"
    )
    step.add_argument(
        "--empty-again-after",
        type=real_number(least=0),
        default=600,
        metavar="S",
        help="seconds until a search is repeated that gave no photos although some were expected (default 600)",
    )
    step.add_argument("--connections", type=whole_number(1), default=4, metavar="N", help="calls at once (default 4)")
    _add_api_options(step)

    step = _step(
        steps,
        "refresh",
        run,
        "look up licence, author, title and whether Exif is shown again (needed after import)",
    )
    step.add_argument(
        "--older-than-days",
        type=real_number(least=0),
        metavar="D",
        help="also photos that were last checked D days ago or earlier",
    )
    _add_api_options(step)

    step = _step(steps, "fetch", run, "fetch the files, byte-exact")
    step.set_defaults(ranked=fetch_ranks, output_option="--state")
    step.add_argument(
        "--size",
        default="original",
        metavar="NAMES",
        help="original, or sizes in order of preference such as o,l; 'any' takes any size (default original)",
    )
    _add_fetch_options(step)

    step = _step(steps, "import", run, "start from the released ids instead of a search")
    step.add_argument("--hub", metavar="REPO", help="a data set on the Hub, for example CTU-OU/FlickrExif")
    step.add_argument("--revision", metavar="REVISION", help="commit, tag or branch of --hub")
    step.add_argument("--table", type=Path, metavar="FILE", help="the same as a local Parquet, CSV or JSON file")
    step.add_argument(
        "--seed", type=whole_number(0), default=0, metavar="N", help="of the order of new photos (default 0)"
    )

    step = _step(steps, "build", run, "labels, splits and Parquet that load_dataset reads")
    step.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder of the data set")
    step.add_argument("--pixels", action="store_true", help="with the files whose licence permits redistribution")
    step.add_argument("--label-set", choices=("clean", "reference"), default="clean", help="(default clean)")
    step.add_argument(
        "--extra", action=Names, nargs="+", default=(), metavar="NAME", help="further attributes, such as flash,year"
    )
    step.add_argument("--split-files", type=Path, metavar="DIR", help="take splits from these files, as the study's")
    step.add_argument("--assign", choices=("hash", "stratified"), default="hash", help="how owners get their split")
    for split in ("train", "val", "test"):
        step.add_argument(f"--{split}", type=whole_number(1), metavar="N", help=f"most photos per class in {split}")
    step.add_argument(
        "--least", type=whole_number(0), default=20, metavar="N", help="leave out classes with fewer in any split (20)"
    )
    step.add_argument("--seed", type=whole_number(0), default=0, metavar="N", help="of the splits (default 0)")
    step.add_argument(
        "--workers", type=whole_number(1), default=os.cpu_count() or 1, metavar="N", help="processes (default: cores)"
    )
    step.add_argument("--fresh", action="store_true", help="replace an existing build")
    step.add_argument("--contact", default=os.environ.get("CAMTRACE_CONTACT"), help="for take-down, on the card")

    step = _step(steps, "load", run, "fetch the photos of a published data set, for your own use")
    step.add_argument("source", metavar="FOLDER_OR_REPO", help="a folder that 'build' wrote, or namespace/name")
    step.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder to write, with photos")
    step.add_argument(
        "--configs", action=Names, nargs="+", default=(), metavar="NAME", help="which attributes (default: all)"
    )
    step.add_argument("--revision", metavar="REVISION", help="commit, tag or branch of a data set on the Hub")
    step.set_defaults(size="any")
    _add_fetch_options(step)

    step = _named_step(steps, "check", "look for leaks and other faults in splits (exit status 1 if there are any)")
    step.set_defaults(run=run["check"])
    step.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a built folder, or split files")

    step = _step(steps, "forget", run, "take photos or owners down")
    step.add_argument(
        "--photo", action=Names, default=[], metavar="ID", help="a photo's id; repeatable, or with commas"
    )
    step.add_argument(
        "--owner", action=Names, default=[], metavar="NSID", help="an owner's id; repeatable, or with commas"
    )

    step = _step(steps, "status", run, "show the funnel, the files and the calls")
    step.add_argument(
        "--calls-per-hour",
        type=whole_number(2),
        metavar="N",
        help="budget for the time left (default: the last search's)",
    )
    return parser


def _named_step(steps: argparse._SubParsersAction[Parser], name: str, summary: str) -> Parser:
    most_used, examples = _MOST_USED_AND_EXAMPLES[name]
    step = steps.add_parser(name, help=summary, description=summary, most_used=most_used, examples=examples)
    return step


def _step(steps: argparse._SubParsersAction[Parser], name: str, run: Mapping[str, Step], summary: str) -> Parser:
    step = _named_step(steps, name, summary)
    step.set_defaults(run=run[name])
    step.add_argument("--state", type=Path, required=True, metavar="DIR", help="folder of the collection")
    return step


def _add_fetch_options(step: argparse.ArgumentParser) -> None:
    step.add_argument("--connections", type=whole_number(1), default=16, metavar="N", help="files at once (default 16)")
    step.add_argument(
        "--per-host", type=whole_number(1), default=8, metavar="N", help="files at once from one host (default 8)"
    )
    step.add_argument(
        "--max-bytes", type=whole_number(1), default=200 * 2**20, metavar="N", help="largest file (default 200 MiB)"
    )
    step.add_argument("--attempts", type=whole_number(1), default=4, metavar="N", help="tries per file (default 4)")
    step.add_argument(
        "--retry-failed", action="store_true", help="retry transient failures, and failed photos in another size"
    )
    step.add_argument("--limit", type=whole_number(1), metavar="N", help="most files of this run")
    step.add_argument("--allow-loopback", action="store_true", help="for tests: this machine may be the server")
    _add_shared_options(step)


def _add_api_options(step: argparse.ArgumentParser) -> None:
    step.add_argument(
        "--calls-per-hour", type=whole_number(2), default=3600, metavar="N", help="budget of this key (default 3600)"
    )
    step.add_argument("--attempts", type=whole_number(1), default=8, metavar="N", help="tries per call (default 8)")
    step.add_argument(
        "--api-url",
        default=os.environ.get("FLICKR_API_URL"),
        metavar="URL",
        help="another REST endpoint (a double in tests)",
    )
    _add_shared_options(step)


def _add_shared_options(step: argparse.ArgumentParser) -> None:
    step.add_argument(
        "--timeout", type=real_number(above=0), default=60.0, metavar="S", help="seconds without an answer (default 60)"
    )
    step.add_argument(
        "--first-wait",
        type=real_number(least=0),
        default=1.0,
        metavar="S",
        help="first wait before another try (default 1)",
    )
    step.add_argument(
        "--contact",
        default=os.environ.get("CAMTRACE_CONTACT"),
        metavar="ADDRESS",
        help="e-mail or web address to put into the User-Agent (or set CAMTRACE_CONTACT)",
    )
