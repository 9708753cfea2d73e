"""``camtrace score``: score encoders on photo sets, write results, tell people."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.compute import prepare_process
from benchmark.encoders import parse_output
from benchmark.options import (
    CHOICES,
    DTYPES,
    ORIENTATION,
    PREPROCESS,
    PRESETS,
    RUNTIMES,
    STORAGE,
    TIES,
    VIEWS,
    RunOptions,
    choices,
    default_cache,
)
from benchmark.probe import PROTOCOLS, READERS, chosen_readers
from benchmark.scoring.config_file import ConfiguredParser
from benchmark.scoring.voice import Voice
from builders.command_line import Parser, check_writable, size_in_bytes
from builders.errors import UsageError, unknown_name
from builders.files import sweep_cache

if TYPE_CHECKING:  # the command line must answer --help before torch is imported
    from benchmark.results import Result
    from benchmark.scoring.asking import NotScored

DEFAULT_MODEL = "bundled:efficientnet-lite0"
DEFAULT_DATA = ("sample", "simcams", "simpairs")


def parser() -> Parser:
    """The options of the scoring command."""
    defaults = RunOptions()
    p = ConfiguredParser(
        "camtrace score",
        description="Score what an encoder keeps of the camera and the codec. Without options: the bundled encoder on "
        "the bundled photos, a smoke test that needs no network.",
        epilog="Exit status: 0 all done (with a warning where photos cannot be read), 1 an encoder, task or data set "
        "failed and the report says why, 2 the request was wrong, 130 or 143 interrupted, work kept. "
        "See also: camtrace list encoders|tasks|parameters|data",
    )
    p.add_argument(
        "-m",
        "--model",
        action="extend",
        nargs="+",
        metavar="ID",
        help=f"encoders; repeatable; checkpoints (runs/checkpoint-*) by step (default: {DEFAULT_MODEL})",
    )
    p.add_argument(
        "-d",
        "--data",
        action="append",
        metavar="SPEC",
        help="photos; repeatable: sample, folder:PATH, "
        "hub:REPO[@REVISION], imagenet:PATH, ..., see camtrace list data (default: sample, simcams, simpairs)",
    )
    p.add_argument(
        "-t", "--tasks", action="append", metavar="PATTERN", help="such as 'probe/*' or knn/jpeg; repeatable"
    )
    p.add_argument(
        "--outputs",
        action="append",
        metavar="OUTPUTS",
        help="score layers beside the embedding: layers (every one, class token and mean of patches), "
        "'layers[::4]:mean,cls,max', 'layers[-1]:grid'; repeatable, see docs/layers.md",
    )
    p.add_argument(
        "--eraser",
        metavar="PLACE",
        help="a folder that camtrace erase wrote, or OWNER/NAME on the Hub: in place before any score",
    )
    p.add_argument("--limit", type=_whole, metavar="N", help="use N photos, seeded and class-balanced")
    p.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        help="all choices at once: camtrace is ours; iccv2025 is the published study's, for numbers beside its own: "
        "its preprocessing, probes and tied votes, and no Exif orientation (default: camtrace)",
    )
    p.add_argument("--protocol", choices=tuple(PROTOCOLS), help="how probes are fitted (default: the preset's)")
    p.add_argument(
        "--readers",
        default=defaults.readers,
        metavar="NAMES",
        help=f"who reads traces, of {', '.join(READERS)}, with commas between them; the linear probe always does "
        "(default: %(default)s)",
    )
    p.add_argument(
        "--preprocess",
        choices=PREPROCESS,
        help="of every encoder: its own; as the study's code had it; short side to the input's side and centre crop; "
        "or the whole photo squashed to the input's size (default: the preset's)",
    )
    p.add_argument(
        "--ties",
        choices=TIES,
        help="a tied kNN vote goes to the nearest tied label, or counts as a random one does on average (default: the "
        "preset's)",
    )
    p.add_argument(
        "--orientation",
        choices=ORIENTATION,
        help="of photos that are processed or seen by plain kNN: Exif orientation applied, or pixels as stored "
        "(default: the preset's)",
    )
    p.add_argument("-k", "--neighbours", type=_whole, metavar="K", help="k of kNN (default: the data set's, mostly 10)")
    p.add_argument(
        "--queries",
        type=_whole,
        metavar="N",
        help="kNN asks about N test photos, seeded and class-balanced (default: all of them)",
    )
    p.add_argument(
        "--mask-ratio",
        type=_number,
        default=defaults.mask_ratio,
        metavar="R",
        help="hidden share of the picture in acquisition probes; 0 for none (default: %(default)s)",
    )
    p.add_argument(
        "--seed", type=_whole, default=defaults.seed, help="of splits, --limit and random scales (default: %(default)s)"
    )
    p.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda, cuda:1, mps; cuda:all or cuda:0,cuda:2 embeds on several cards, a process each "
        "(default: %(default)s)",
    )
    p.add_argument(
        "--dtype",
        default="float32",
        choices=DTYPES,
        help="of the forward pass; what is less than float32 must pass a gate (default: %(default)s)",
    )
    p.add_argument(
        "--storage",
        default="float32",
        choices=STORAGE,
        help="of embeddings on disk; float16 must pass the same gate (default: %(default)s)",
    )
    p.add_argument(
        "--force-dtype", action="store_true", help="use a precision that rounds away the smallest traces all the same"
    )
    p.add_argument(
        "--allow-random",
        action="store_true",
        help="score an encoder that gives two answers for one picture, and say so in the result",
    )
    p.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default=defaults.runtime,
        help="what carries out forward passes on a CPU; auto: OpenVINO where it is installed, computes what torch "
        "does, and is measured to be faster (default: %(default)s)",
    )
    p.add_argument("--compile", action="store_true", help="forward passes by torch.compile; pays in long runs")
    p.add_argument(
        "--batch-size",
        type=_whole,
        default=defaults.batch_size,
        metavar="N",
        help="views per forward pass; fewer where memory does not hold them (default: %(default)s)",
    )
    p.add_argument(
        "--workers",
        type=_whole,
        default=defaults.workers,
        metavar="N",
        help="processes that make views; for each of several cards, in its part of the cores (default: %(default)s)",
    )
    p.add_argument(
        "--views",
        choices=VIEWS,
        default=defaults.views,
        help="the workers (cpu), the encoders' device, or (auto) a GPU where workers are few (default: %(default)s)",
    )
    p.add_argument(
        "--memory",
        type=size_in_bytes,
        metavar="SIZE",
        help="that pictures being decoded share over all workers, such as 8G (default: half of what is free)",
    )
    p.add_argument("--revision", help="commit, tag or branch of a Hub model, if there is one --model")
    p.add_argument("--trust-remote-code", action="store_true", help="run code from the model's repository")
    p.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="where results go (default: %(default)s)",
    )
    p.add_argument(
        "--cache",
        type=Path,
        default=default_cache(),
        metavar="DIR",
        help="where embeddings are kept (default: %(default)s)",
    )
    p.add_argument(
        "--push-to",
        metavar="OWNER/NAME",
        help="publish the results to this data set repository (see also: camtrace publish)",
    )
    p.add_argument(
        "--dry-run", action="store_true", help="measure a few photos, estimate time by stage and disk; score nothing"
    )
    p.add_argument("--fresh", action="store_true", help="compute embeddings again instead of reusing them")
    p.add_argument(
        "--json", action="store_true", help="scores to standard output as JSON; everything else to standard error"
    )
    p.add_argument("-q", "--quiet", action="store_true", help="no notices and no progress, only the report")
    p.add_argument(
        "-v", "--verbose", action="store_true", help="also what encoders and data are, and where a failed task failed"
    )
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str]) -> int:
    return run(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    options = run_options(args)
    voice = Voice(args)
    with voice.speaking():
        from benchmark.results import in_step_order

        models = in_step_order(list(dict.fromkeys(args.model or [DEFAULT_MODEL])))
        data = checked_data(args)
        if args.revision and len(models) > 1:
            raise UsageError("--revision goes with one --model; with several, write each as NAME@REVISION")
        doing = "measuring" if args.dry_run else "scoring"
        voice.notice(f"{doing} {listed(models)} on {listed(data)}; results go to {args.output}")
        if not args.dry_run:
            check_writable("--output", args.output)
            check_writable("--cache", options.cache / "banks")
            sweep_cache(options.cache)
        prepare_process()
        from benchmark.encoders import load_encoder
        from benchmark.scoring.asking import Asked, EncoderSource, score_asked
        from benchmark.scoring.erased import Erasing
        from benchmark.scoring.output import write_reports, write_scored

        loading = {"revision": args.revision, **loading_options(args)}
        sources = {model: EncoderSource(partial(load_encoder, model, **loading), model) for model in models}
        erasing = Erasing.load(args.eraser) if args.eraser else None
        asked = Asked(sources, data, args.tasks or [], options, args.trust_remote_code, erasing)
        if args.dry_run:
            from benchmark.scoring.asking import opened
            from benchmark.scoring.estimating import estimate, estimate_text

            jobs = opened(asked)
            measured = estimate([models], jobs, options, lambda model: sources[model].load())
            voice.report(estimate_text(measured, [models], jobs, options))
            return 1 if all(m.reason for m in measured) else 0
        answered = score_asked(
            asked,
            scored=lambda one: write_scored(one, args.output, single=asked.single),
            missing=_say_missing,
            say=voice.notice,
            detail=voice.detail,
            notice=voice.notice,
        )
        results = [one.result for one in answered.scored]
        missing = {lost.name: lost.reason for lost in answered.missing}
        if results:
            voice.report(write_reports(results, missing, args.output, [one.photos for one in answered.scored]))
            what = "result.json, answers.npz, report.html, report.md, report.png"
            voice.notice(f"written to {args.output}: {what}; banks in {args.cache}")
        voice.answer(results, missing)
        if args.push_to and results:
            from benchmark.publishing import push_folder_of_results

            push_folder_of_results(args.output, args.push_to)
        warn_of_failures(results)
        if not results and all(isinstance(lost.error, UsageError) for lost in answered.missing):
            return 2
        return 0 if answered.complete else 1


def checked_data(args: argparse.Namespace) -> list[str]:
    """The data specifications that were asked for, each once, well-formed; said before anything slow is imported.

    Raises:
        UsageError: one is not.
    """
    from builders.kinds import DataSpec

    specs = list(dict.fromkeys(args.data or DEFAULT_DATA))
    for spec in specs:
        DataSpec.parse(spec)
    return specs


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names as a sentence has them.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b", "c", "d", "e"])
    ('a', 'a, b and c', '5 (a, b, c, ...)')
    """
    if len(names) > most:
        return f"{len(names)} ({', '.join(names[: most - 1])}, ...)"
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _say_missing(lost: NotScored) -> None:
    print(f"camtrace: {lost.reason}", file=sys.stderr)


def loading_options(args: argparse.Namespace) -> dict[str, Any]:
    """The parsed options that ``load_encoder`` takes, but for the revision."""
    given = {name: getattr(args, name) for name in _LOADING}
    return {**given, "preprocess": _chosen(args)["preprocess"]}


_LOADING = ("device", "dtype", "trust_remote_code", "compile", "runtime", "cache")


def _chosen(args: argparse.Namespace) -> dict[str, str]:
    """What the preset decides, but for the options that were given."""
    return choices(args.preset or RunOptions().preset, {name: getattr(args, name) for name in CHOICES})


def run_options(args: argparse.Namespace) -> RunOptions:
    """The parsed options of the scoring command (and of those that share them).

    Raises:
        UsageError: a value is out of its range.
    """
    if args.protocol is not None and args.protocol not in PROTOCOLS:
        raise unknown_name("protocol", args.protocol, PROTOCOLS)
    chosen = _chosen(args)
    return RunOptions(
        seed=args.seed,
        preset=args.preset or RunOptions().preset,
        protocol=chosen["protocol"],
        readers=chosen_readers(args.readers),
        preprocess=chosen["preprocess"],
        ties=chosen["ties"],
        orientation=chosen["orientation"],
        neighbours=args.neighbours,
        queries=args.queries,
        mask_ratio=args.mask_ratio,
        device=args.device,
        dtype=args.dtype,
        compile=args.compile,
        runtime=args.runtime,
        force_dtype=args.force_dtype,
        allow_random=args.allow_random,
        storage=args.storage,
        outputs=tuple(text for text in args.outputs or () if parse_output(text) is not None),  # final always is
        batch_size=args.batch_size,
        workers=args.workers,
        views=args.views,
        memory=args.memory,
        fresh=args.fresh,
        cache=args.cache,
        limit=args.limit,
    ).checked()


def warn_of_failures(results: Sequence[Result]) -> None:
    """One line on standard error for each result that lacks a photo, a task or its encoder."""
    for result in results:
        kinds = Counter(failure.kind for failure in result.failures)
        if kinds:
            counted = ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in kinds.items())
            where = f"{result.encoder['id']} on {result.data['name']}"
            print(f"camtrace: warning: {where}: {counted} failed, see the report", file=sys.stderr)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
