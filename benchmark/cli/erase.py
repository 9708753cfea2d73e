"""``camtrace erase``: fit an eraser of a trace to an encoder's embeddings, and measure what is still read."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli.console import Console
from benchmark.cli.score import parser as score_parser
from benchmark.cli.score import prepare_run
from benchmark.cli.sweep import set_help
from benchmark.options import DEFAULT_MODEL, RunOptions, loading_options, to_run_options
from builders.cli import Names, Parser, real_number, run_command
from builders.errors import UsageError
from builders.files import write_text_atomically
from builders.photos import cells_text

if TYPE_CHECKING:  # the command line must answer --help before torch is imported
    from benchmark.scoring import EraseRequest

READERS = "linear,knn,mlp"

METHODS_HELP = "identity, random, mean, inlp, leace, splince, standardise or adversary"


def parser() -> Parser:
    """The options of the scoring command, and those of an eraser."""
    p = score_parser()
    p.prog = "camtrace erase"
    p.description = (
        "Fit an eraser of a trace on half of the train photos, choose its options on some of them, freeze it, and read "
        "the trace by three readers, which learn from the other half, on photos, owners, scenes and cameras that it "
        "has not seen. Photos are whole unless --mask-ratio says otherwise."
    )
    p.epilog = "The folder holds eraser.safetensors, eraser.json and a card with lines of numpy that apply it."
    p.most_used = (
        *("--model", "--data", "--trace", "--method", "--output"),
        *("--also", "--transfer", "--limit", "--device", "--verbose"),
    )
    p.examples = (
        "camtrace erase --model ORG/NAME --data imagenet:/data/imagenet --trace jpeg",
        "camtrace erase --model ORG/NAME --data folder:photos --trace jpeg,make",
    )
    set_help(
        p,
        data="photos: sample, folder:PATH, hub:REPO[@REVISION], ..., see camtrace list data (default: sample)",
        model=f"the encoder (default: {DEFAULT_MODEL})",
        output="folder of the eraser and its card (default: %(default)s)",
        **dict.fromkeys(("tasks", "eraser", "dry_run", "figure"), argparse.SUPPRESS),
    )
    group = p.add_argument_group("eraser")
    group.add_argument(
        "--trace", action=Names, metavar="NAME", help="such as jpeg or make; repeatable, or with commas, for a matrix"
    )
    group.add_argument("--method", default="leace", metavar="NAME", help=f"{METHODS_HELP} (default: %(default)s)")
    group.add_argument("--also", action="append", metavar="SPEC", help="measure on these photos too; repeatable")
    group.add_argument("--transfer", action="store_true", help="read every other trace too (several --trace do)")
    group.add_argument("--curve", action="store_true", help="also fit on 60, 120, 240, ... photos: how many it needs")
    group.add_argument("--drop-leaks", action="store_true", help="leave out train photos that are nearly test photos")
    group.add_argument("--seen-cameras", action="store_true", help="measure on cameras that the fit has seen too")
    group.add_argument(
        "--fit-share",
        type=real_number(above=0, below=1),
        metavar="SHARE",
        help="of the train photos that are fitted on; readers learn from the others (default: half)",
    )
    group.add_argument(
        "--shared-train",
        action="store_true",
        help="fit on all train photos, from which readers learn too; they then find less than is there",
    )
    p.set_defaults(run=run, readers=READERS, mask_ratio=0.0, output=Path("eraser"))
    return p


def run(args: argparse.Namespace) -> int:
    """The exit status."""
    options, console = to_run_options(args), Console(args)
    traces = list(dict.fromkeys(trace.replace("_", "-") for trace in args.trace or []))
    models, data = list(dict.fromkeys(args.model or [DEFAULT_MODEL])), list(dict.fromkeys(args.data or ["sample"]))
    _refuse_what_does_not_go_together(args, traces, models, data)
    with console.active():
        from benchmark.erasing import curve_table, matrix, method_named, table, verdict
        from benchmark.tasks import all_tasks

        method_named(args.method)
        prepare_run(args, options)
        from benchmark.encoders import load_encoder
        from benchmark.scoring import Erased, erase_trace, erased_record, open_limited, save_erased

        photos, also = open_limited(data[0], options), [open_limited(spec, options) for spec in args.also or []]
        for line in (line for opened in (photos, *also) for line in cells_text(opened).splitlines()):
            console.info(line)
        encoder = load_encoder(models[0], revision=args.revision, **loading_options(args))
        erased: dict[str, Erased] = {}
        for trace in traces:
            request = _request(args, trace, options, len(photos), transfer=args.transfer or len(traces) > 1)
            erased[trace] = erase_trace(encoder, photos, request, also=also, log=console.info)
            folder = args.output if len(traces) == 1 else args.output / trace
            save_erased(erased[trace], folder, args.push_to or "")
            rows, curve = erased[trace].rows, erased[trace].curve
            if rows:
                console.report(f"{table(rows, erased[trace].eraser, all_tasks())}\n\n{verdict(rows, trace)}")
            if curve:
                console.report(curve_table(curve))
        if args.transfer or len(traces) > 1:
            text = matrix(erased, all_tasks())
            write_text_atomically(args.output / "transfer.md", text + "\n")
            if len(traces) > 1:
                console.report(text)
        if args.json:
            records = {trace: erased_record(one) for trace, one in erased.items()}
            print(json.dumps(records, indent=2, ensure_ascii=False), file=console.out, flush=True)
        console.info(f"written to {args.output}")
        if args.push_to:
            from benchmark.publishing import publish_eraser

            publish_eraser(args.output, args.push_to)
    return 0


def _refuse_what_does_not_go_together(
    args: argparse.Namespace, traces: Sequence[str], models: Sequence[str], data: Sequence[str]
) -> None:
    if not traces:
        raise UsageError("which trace? give --trace jpeg, --trace make, ...")
    if len(models) > 1 or len(data) > 1:
        raise UsageError("an eraser is fitted on one encoder and one data set: give one --model and one --data")
    if args.tasks or args.eraser or args.dry_run or args.figure:
        raise UsageError("--tasks, --eraser, --dry-run and --figure go with camtrace score")
    if args.fit_share and args.shared_train:
        raise UsageError("--shared-train fits on all train photos: leave out --fit-share")
    if args.push_to and len(traces) > 1:
        raise UsageError(f"--push-to {args.push_to} takes one eraser: give one --trace")


def _request(args: argparse.Namespace, trace: str, options: RunOptions, photos: int, *, transfer: bool) -> EraseRequest:
    from benchmark.erasing import FIT_SHARE
    from benchmark.scoring import EraseRequest

    return EraseRequest(
        trace,
        args.method,
        options,
        transfer,
        [60 * 2**i for i in range(20) if 60 * 2**i < photos] if args.curve else [],
        args.drop_leaks,
        cameras_apart=not args.seen_cameras,
        readers_apart=not args.shared_train,
        fit_share=args.fit_share or FIT_SHARE,
    )


def main(argv: Sequence[str]) -> int:
    return run_command(parser().parse_args(argv))
