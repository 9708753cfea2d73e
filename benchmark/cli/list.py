"""``camtrace list encoders|tasks|parameters|data``: everything that can be named."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmark.report import markdown_table
from builders.cli import Parser, write_record


def parser() -> Parser:
    """The options of the command."""
    p = Parser(
        "camtrace list",
        description="Everything that can be named.",
        most_used=("--json",),
        examples=("camtrace list encoders", "camtrace list tasks --json"),
    )
    p.add_argument("what", metavar="WHAT", choices=list(LISTS), help=", ".join(LISTS))
    p.set_defaults(run=run)
    return p


def run(args: argparse.Namespace) -> int:
    from benchmark.compute import prepare_process

    prepare_process()
    listing = LISTS[args.what]()
    write_record(args, [dict(zip(listing.header, row, strict=True)) for row in listing.rows])
    if not args.json:
        print("\n\n".join(filter(None, [markdown_table(listing.header, listing.rows), listing.note])))
    return 0


class Listing(NamedTuple):
    """A table of names, and what else can be named."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def _encoders() -> Listing:
    from benchmark.encoders import installed_lists, list_encoders

    header = ["encoder", "library", "group", "training data", "input px", "parameters", "name confirmed by"]
    header.append("name in the published study")
    lists = installed_lists()
    rows = [
        [
            row.spec,
            row.library,
            row.group,
            row.training_data,
            str(row.input_px or "-"),
            _millions(row.parameters),
            lists.confirming(row.spec),
            row.published_name or "-",
        ]
        for row in list_encoders()
    ]
    note = (
        "Any other model of the Hub (ORG/NAME), timm/NAME, open_clip:ARCH/PRETRAINED, torchvision:NAME, a local folder,"
        " or your own module:function can be named too.\nGroups: CVL contrastive visual-language, SUP supervised, SSL"
        " self-supervised, distilled (to give what other encoders give), autoregressive (to predict the next part of a"
        " picture).\ncamtrace sweep --published runs the study's 47, --modern those of 2024 to 2026. A name that no"
        " installed list confirms is one of the Hub, which is requested when it is loaded."
    )
    return Listing(header, rows, note)


def _millions(count: int | None) -> str:
    """A number of parameters as people say it.

    >>> _millions(86_192_640), _millions(0), _millions(None)
    ('86.2 M', 'none', '-')
    """
    return "-" if count is None else f"{count / 1e6:,.1f} M" if count else "none"


def _tasks() -> Listing:
    from benchmark.tasks import all_tasks

    rows = [[t.name, ", ".join(m.name for m in t.metrics), t.summary] for t in all_tasks().values()]
    return Listing(["task", "metrics", "question"], rows)


def _parameters() -> Listing:
    from builders.pixels import ALL_PARAMETERS

    rows = [[p.name, ", ".join(p.classes), f"{100 * p.chance:.1f}"] for p in ALL_PARAMETERS.values()]
    return Listing(["parameter", "classes", "chance %"], rows)


def _data() -> Listing:
    from builders.data_specs import KINDS

    rows = [[k.usage, " ".join(f"?{o}=" for o in k.options) or "-", k.summary] for k in KINDS.values()]
    return Listing(["data", "options", "what"], rows)


LISTS: dict[str, Callable[[], Listing]] = {
    "encoders": _encoders,
    "tasks": _tasks,
    "parameters": _parameters,
    "data": _data,
}
