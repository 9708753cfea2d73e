"""``camtrace erase``: take a trace out of an encoder's embeddings, and find out whether it is out."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli.console import Console
from benchmark.cli.score import parser as score_parser
from benchmark.compute import prepare_process
from benchmark.options import DEFAULT_MODEL, loading_options, to_run_options
from builders.cli import Parser, check_writable
from builders.errors import UsageError
from builders.files import sweep_cache, write_text_atomically

if TYPE_CHECKING:
    from benchmark.scoring import Erased
    from builders.photos import PhotoSet

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
    own = p.add_argument_group("eraser")
    own.add_argument("--trace", action="append", metavar="NAME", help="such as jpeg or make; repeatable, for a matrix")
    own.add_argument("--method", default="leace", metavar="NAME", help=f"{METHODS_HELP} (default: %(default)s)")
    own.add_argument("--also", action="append", metavar="SPEC", help="measure on these photos too; repeatable")
    own.add_argument("--transfer", action="store_true", help="read every other trace too (several --trace do)")
    own.add_argument("--curve", action="store_true", help="also fit on 60, 120, 240, ... photos: how many it needs")
    own.add_argument("--drop-leaks", action="store_true", help="leave out train photos that are nearly test photos")
    own.add_argument("--seen-cameras", action="store_true", help="measure on cameras that the fit has seen too")
    own.add_argument(
        "--fit-share",
        type=_share,
        metavar="SHARE",
        help="of the train photos that are fitted on; readers learn from the others (default: half)",
    )
    own.add_argument(
        "--shared-train",
        action="store_true",
        help="fit on all train photos, from which readers learn too; they then find less than is there",
    )
    p.set_defaults(run=run, readers=READERS, mask_ratio=0.0, output=Path("eraser"))
    return p


def _share(text: str) -> float:
    """A number between 0 and 1, neither of them."""
    with contextlib.suppress(ValueError):
        if 0 < (value := float(text)) < 1:
            return value
    raise argparse.ArgumentTypeError(f"{text}: give a share of more than 0 and less than 1")


def run(args: argparse.Namespace) -> int:
    options = to_run_options(args)
    voice = Console(args)
    traces = list(dict.fromkeys(args.trace or []))
    models, data = list(dict.fromkeys(args.model or [DEFAULT_MODEL])), list(dict.fromkeys(args.data or ["sample"]))
    if not traces:
        raise UsageError("which trace? give --trace jpeg, --trace make, ...")
    if len(models) > 1 or len(data) > 1:
        raise UsageError("an eraser is fitted on one encoder and one data set: give one --model and one --data")
    if args.tasks or args.eraser or args.dry_run:
        raise UsageError("--tasks, --eraser and --dry-run go with camtrace score")
    if args.fit_share and args.shared_train:
        raise UsageError("--shared-train fits on all train photos: leave out --fit-share")
    if args.push_to and (len(traces) > 1 or not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", args.push_to)):
        raise UsageError(f"--push-to {args.push_to}: write OWNER/NAME, and give one --trace")
    with voice.speaking():
        from benchmark.encoders import load_encoder
        from benchmark.erasing import FIT_SHARE, curve_table, matrix, method_named, table, verdict
        from benchmark.scoring import EraseRequest, erase_trace, erased_record, publish, save_erased
        from benchmark.tasks import all_tasks
        from builders.data_specs import open_photos

        method_named(args.method)
        questions = all_tasks()
        check_writable("--output", args.output)
        check_writable("--cache", options.cache / "banks")
        sweep_cache(options.cache)
        prepare_process()

        def opened(spec: str) -> PhotoSet:
            photos = open_photos(spec, seed=options.seed)
            return photos.limited(options.limit, options.seed) if options.limit else photos

        photos, also = opened(data[0]), [opened(spec) for spec in args.also or []]
        encoder = load_encoder(models[0], revision=args.revision, **loading_options(args))
        transfer = args.transfer or len(traces) > 1
        found: dict[str, Erased] = {}
        for trace in traces:
            sizes = [60 * 2**i for i in range(20) if 60 * 2**i < len(photos)] if args.curve else []
            asking = EraseRequest(
                trace,
                args.method,
                options,
                transfer,
                sizes,
                args.drop_leaks,
                cameras_apart=not args.seen_cameras,
                readers_apart=not args.shared_train,
                fit_share=args.fit_share or FIT_SHARE,
            )
            erased = erase_trace(encoder, photos, asking, also=also, tell=voice.notice)
            folder = args.output if len(traces) == 1 else args.output / trace
            save_erased(erased, folder, args.push_to or "")
            found[trace] = erased
            if erased.rows:
                voice.report(f"{table(erased.rows, erased.eraser, questions)}\n\n{verdict(erased.rows, trace)}")
            if erased.curve:
                voice.report(curve_table(erased.curve))
        if transfer:
            text = matrix(found, questions)
            write_text_atomically(args.output / "transfer.md", text + "\n")
            if len(traces) > 1:
                voice.report(text)
        if args.json:
            told = {trace: erased_record(erased) for trace, erased in found.items()}
            print(json.dumps(told, indent=2, ensure_ascii=False), file=voice.out)
        voice.notice(f"written to {args.output}")
        if args.push_to:
            publish(args.output, args.push_to)
    return 0


def main(argv: Sequence[str]) -> int:
    return run(parser().parse_args(argv))
