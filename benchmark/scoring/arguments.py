"""What the scoring command may be asked: its options, with their defaults and the words that explain them."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmark.options import (
    DTYPES,
    ORIENTATION,
    PREPROCESS,
    PRESETS,
    RUNTIMES,
    STORAGE,
    TIES,
    VIEWS,
    RunOptions,
    default_cache,
)
from benchmark.probe import PROTOCOLS, READERS
from benchmark.scoring.config_file import ConfiguredParser
from builders.command_line import Parser, size_in_bytes

DEFAULT_MODEL = "bundled:efficientnet-lite0"
DEFAULT_DATA = ("sample", "simcams", "simpairs")


def scoring_parser() -> Parser:
    """The options of ``camtrace score`` without what they run; whoever shares them adds their own."""
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
    return p


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
