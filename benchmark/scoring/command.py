"""``python -m benchmark``: score encoders on photo sets, write results, tell people."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.compute import prepare_process
from benchmark.options import DTYPES, PROTOCOLS, VIEWS, RunOptions, default_cache

if TYPE_CHECKING:  # the command line must answer --help before torch is imported
    from benchmark.encoders import Encoder
    from benchmark.results import Result

DEFAULT_MODEL = "bundled:efficientnet-lite0"
DEFAULT_DATA = ("sample", "simcams", "simpairs")


def parser() -> argparse.ArgumentParser:
    """The options of the scoring command."""
    defaults = RunOptions()
    p = argparse.ArgumentParser(
        prog="python -m benchmark",
        description="Score what an encoder keeps of the camera and the codec. Without options: the bundled encoder on "
        "the bundled photos, a smoke test that needs no network.",
        epilog="Also: python -m benchmark list encoders|tasks|parameters|data",
    )
    p.add_argument("--model", action="append", metavar="ID", help=f"encoder; repeatable (default: {DEFAULT_MODEL})")
    p.add_argument(
        "--data",
        action="append",
        metavar="SPEC",
        help="photos; repeatable: sample, folder:PATH, "
        "hub:REPO[@REVISION], imagenet:PATH, ..., see list data (default: sample, simcams, simpairs)",
    )
    p.add_argument("--tasks", action="append", metavar="PATTERN", help="such as 'probe/*' or knn/jpeg; repeatable")
    p.add_argument("--limit", type=_positive, metavar="N", help="use N photos, seeded and class-balanced")
    p.add_argument(
        "--protocol", choices=PROTOCOLS, default=defaults.protocol, help="how probes are fitted (default: %(default)s)"
    )
    p.add_argument(
        "--neighbours", "-k", type=_positive, metavar="K", help="k of kNN (default: the data set's, mostly 10)"
    )
    p.add_argument(
        "--mask-ratio",
        type=_share,
        default=defaults.mask_ratio,
        metavar="R",
        help="hidden share of the picture in acquisition probes; 0 for none (default: %(default)s)",
    )
    p.add_argument(
        "--seed", type=int, default=defaults.seed, help="of splits, --limit and random scales (default: %(default)s)"
    )
    p.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: %(default)s)")
    p.add_argument(
        "--dtype",
        default="float32",
        choices=DTYPES,
        help="of the forward pass; what is less than float32 must pass a gate (default: %(default)s)",
    )
    p.add_argument(
        "--storage",
        default="float32",
        choices=("float32", "float16"),
        help="of embeddings on disk; float16 must pass the same gate (default: %(default)s)",
    )
    p.add_argument(
        "--force-dtype", action="store_true", help="use a precision that rounds away the smallest traces all the same"
    )
    p.add_argument("--compile", action="store_true", help="forward passes by torch.compile; pays in long runs")
    p.add_argument(
        "--batch-size",
        type=_positive,
        default=defaults.batch_size,
        metavar="N",
        help="views per forward pass; fewer where memory does not hold them (default: %(default)s)",
    )
    p.add_argument(
        "--workers",
        type=_count,
        default=defaults.workers,
        metavar="N",
        help="processes that make views (default: %(default)s)",
    )
    p.add_argument(
        "--views",
        choices=VIEWS,
        default=defaults.views,
        help="who makes them: the workers, the encoders' device, or the device if it is a GPU (default: %(default)s)",
    )
    p.add_argument("--revision", help="commit, tag or branch of a Hub model, if there is one --model")
    p.add_argument("--trust-remote-code", action="store_true", help="run code from the model's repository")
    p.add_argument(
        "--output", type=Path, default=Path("results"), metavar="DIR", help="where results go (default: %(default)s)"
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
        help="publish the results to this data set repository (see also: python -m benchmark publish)",
    )
    p.add_argument("--fresh", action="store_true", help="compute embeddings again instead of reusing them")
    return p


def main(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    prepare_process()
    from benchmark.scoring.output import write_reports, write_scored
    from benchmark.scoring.repeat import Origin, how_to_repeat, recorded
    from benchmark.scoring.run import score_encoders
    from benchmark.tasks import all_tasks, fitting_tasks, select_tasks
    from builders.errors import CamtraceError
    from builders.open_photos import open_photos

    tasks = select_tasks(args.tasks or [], all_tasks())
    sets = {spec: open_photos(spec, seed=args.seed) for spec in dict.fromkeys(args.data or DEFAULT_DATA)}
    encoders, unloaded = _load(args)
    single = len(encoders) == 1 and len(sets) == 1
    results: list[Result] = []
    options = run_options(args)
    for i, (spec, photos) in enumerate(sets.items()):
        try:
            limited = photos.limited(args.limit, args.seed) if args.limit else photos
            fitting = fitting_tasks(tasks, limited, asked=bool(args.tasks))
            scored = score_encoders(list(encoders.values()), limited, fitting, options)
        except CamtraceError as error:
            if i + 1 == len(sets) and not results:
                raise
            print(f"camtrace: {error}", file=sys.stderr)
            continue
        for (model, encoder), one in zip(encoders.items(), scored, strict=True):
            origin = Origin(model, spec, tuple(args.tasks or ()), args.trust_remote_code)
            result = recorded(one.result, how_to_repeat(origin, encoder.info, limited, options))
            write_scored(dataclasses.replace(one, result=result), args.output, single=single)
            results.append(result)
    print(write_reports(results, unloaded, args.output))
    print(f"written to {args.output}: result.json, answers.npz, report.md, report.png; banks in {args.cache}")
    if args.push_to:
        from benchmark.publishing import push_folder_of_results

        push_folder_of_results(args.output, args.push_to)
    return _status(results)


def _load(args: argparse.Namespace) -> tuple[dict[str, Encoder], dict[str, str]]:
    """By name the encoders that can be loaded, and the reason for each that cannot."""
    from benchmark.encoders import load_encoder
    from builders.errors import CamtraceError, UsageError

    models = list(dict.fromkeys(args.model or [DEFAULT_MODEL]))
    if args.revision and len(models) > 1:
        raise UsageError("--revision goes with one --model; with several, write each as NAME@REVISION")
    encoders: dict[str, Encoder] = {}
    unloaded: dict[str, str] = {}
    for model in models:
        try:
            encoders[model] = load_encoder(model, revision=args.revision, **loading_options(args))
        except CamtraceError as error:
            unloaded[model] = str(error)
            if len(unloaded) == len(models):
                raise
            print(f"camtrace: {error}", file=sys.stderr)
    return encoders, unloaded


def loading_options(args: argparse.Namespace) -> dict[str, Any]:
    """The parsed options that ``load_encoder`` takes, but for the revision."""
    return {name: getattr(args, name) for name in ("device", "dtype", "trust_remote_code", "compile")}


def run_options(args: argparse.Namespace) -> RunOptions:
    """The parsed options of the scoring command (and of those that share them)."""
    return RunOptions(
        seed=args.seed,
        protocol=args.protocol,
        neighbours=args.neighbours,
        mask_ratio=args.mask_ratio,
        device=args.device,
        dtype=args.dtype,
        compile=args.compile,
        force_dtype=args.force_dtype,
        storage=args.storage,
        batch_size=args.batch_size,
        workers=args.workers,
        views=args.views,
        fresh=args.fresh,
        cache=args.cache,
        limit=args.limit,
    )


def _status(results: Sequence[Result]) -> int:
    """0 with a warning where photos or tasks failed; 1 where a result has no score at all."""
    for result in results:
        kinds = Counter(failure.kind for failure in result.failures)
        if kinds:
            counted = ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in kinds.items())
            where = f"{result.encoder['id']} on {result.data['name']}"
            print(f"camtrace: warning: {where}: {counted} failed, see the report", file=sys.stderr)
    return 0 if all(result.scores for result in results) else 1


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is negative")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not in [0, 1)")
    return value
