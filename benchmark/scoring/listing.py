"""``python -m benchmark list encoders|tasks|parameters|data``: everything that can be named."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmark.results import markdown_table
from builders.errors import unknown_name

USAGE = "usage: python -m benchmark list {encoders,tasks,parameters,data}"


def main(argv: Sequence[str]) -> int:
    if len(argv) != 1 or argv[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    if argv[0] not in LISTS:
        raise unknown_name("list", argv[0], LISTS)
    print(LISTS[argv[0]]())
    return 0


def _encoders() -> str:
    from benchmark.encoders import list_encoders

    header = ["encoder", "library", "group", "training data", "input px", "name in the published study"]
    rows = [
        [row.spec, row.library, row.group, row.training_data, str(row.input_px or "-"), row.published_name or "-"]
        for row in list_encoders()
    ]
    note = (
        "Any other model of the Hub (ORG/NAME), timm/NAME, open_clip:ARCH/PRETRAINED, torchvision:NAME, a local folder,"
        " or your own module:function can be named too.\nGroups: CVL contrastive visual-language, SUP supervised, SSL"
        " self-supervised."
    )
    return f"{markdown_table(header, rows)}\n\n{note}"


def _tasks() -> str:
    from benchmark.tasks import all_tasks

    rows = [[t.name, ", ".join(m.name for m in t.metrics), t.summary] for t in all_tasks().values()]
    return markdown_table(["task", "metrics", "question"], rows)


def _parameters() -> str:
    from builders.pixels import PARAMETERS

    rows = [[p.name, ", ".join(p.classes), f"{100 * p.chance:.1f}"] for p in PARAMETERS.values()]
    return markdown_table(["parameter", "classes", "chance %"], rows)


def _data() -> str:
    from builders.open_photos import KINDS

    rows = [[k.usage, " ".join(f"?{o}=" for o in k.options) or "-", k.summary] for k in KINDS.values()]
    return markdown_table(["data", "options", "what"], rows)


LISTS: dict[str, Callable[[], str]] = {
    "encoders": _encoders,
    "tasks": _tasks,
    "parameters": _parameters,
    "data": _data,
}
