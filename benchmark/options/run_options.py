"""The options of a run: one frozen value that every package reads, each option declared once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from benchmark.options.presets import PRESETS
from benchmark.options.roles import GROUPS, a_share, a_share_or_all, at_least, declared, option
from builders.cli import size_in_bytes
from builders.errors import unknown_name
from builders.files import cache_folder

DTYPES = ("float32", "tf32", "bfloat16", "float16")
RUNTIMES = ("auto", "torch", "openvino", "onnxruntime")
"""Libraries for forward passes. ``benchmark/encoders/runtime/choose.py`` describes how ``auto`` chooses."""
PREPROCESS = ("own", "study", "short-side", "squash")
"""Preprocessings of an encoder, described in ``benchmark/encoders/preprocess/modes.py``."""


def default_cache() -> Path:
    """Folder of the cache: ``$CAMTRACE_CACHE``, or ``camtrace`` in the user's cache folder."""
    return cache_folder()


def automatic_runtime() -> str:
    """The runtime that ``auto`` tries first: ``$CAMTRACE_RUNTIME``, or OpenVINO.

    Raises:
        UsageError: the variable names no runtime.
    """
    runtime = os.environ.get("CAMTRACE_RUNTIME") or "openvino"
    if runtime not in RUNTIMES[1:]:
        raise unknown_name("runtime in CAMTRACE_RUNTIME", runtime, RUNTIMES[1:])
    return runtime


ENCODERS, PRESET, QUESTIONS, RANDOM, FORWARD, SPEED, OUTPUT = GROUPS

MIN_USABLE = 0.8
"""Default of the least share of usable photos; also that of a board and of a comparison, whatever a run allowed."""

_BANK = "in the key of the bank, whose embeddings are scored"


@dataclass(frozen=True)
class RunOptions:
    """Everything that decides scores or how they are computed, besides the encoder, the photos and the tasks.

    An option is declared here and nowhere else. Its flag, its name in ``--config``, its check, and its part of the key
    of cached outcomes, of results and of the command that repeats a result follow.
    """

    seed: int = option(
        0,
        help="of splits, --limit and random scales (default: %(default)s)",
        group=RANDOM,
        affects_scores=True,
        repeat=True,
        in_result="always",
        limits=at_least(0),
    )
    """Of splits that the data do not bring, of ``--limit`` and of the random scale of ``interpolation``."""
    assignment_seeds: int = option(
        10,
        help="random class assignments that probes and uniform set-ups are averaged over",
        group=RANDOM,
        affects_scores=True,
        repeat=True,
        in_result="always",
        limits=at_least(1),
        on_command_line=False,
    )
    """Their seeds are 0, 1, ..."""
    preset: str = option(
        "camtrace",
        help="all choices at once: camtrace is the default; iccv2025 is the published study's, to compare with its "
        "numbers: its preprocessing, probes and tied votes, and no Exif orientation (default: camtrace)",
        group=PRESET,
        affects_scores=True,
        reason="a name for the four choices, which are options with a key of their own",
        repeat=True,
        in_result="always",
        choices=tuple(PRESETS),
    )
    """The four choices below are already made, by the preset or by an option."""
    protocol: str = option(
        PRESETS["camtrace"].protocol,
        help="how probes are fitted (default: the preset's)",
        group=PRESET,
        affects_scores=True,
        repeat=True,
        in_result="always",
        choices="benchmark.probe:PROTOCOLS",
    )
    readers: str = option(
        "linear",
        help="who reads traces, of {choices}, with commas between them; the linear probe always does "
        "(default: %(default)s)",
        group=QUESTIONS,
        affects_scores=True,
        repeat=True,
        in_result="if changed",
        metavar="NAMES",
        choices="benchmark.probe:READERS",
        convert="benchmark.probe:chosen_readers",
    )
    preprocess: str = option(
        PRESETS["camtrace"].preprocess,
        help="of every encoder: its own; as the study's code had it; short side to the input's side and centre "
        "crop; or the whole photo squashed to the input's size (default: the preset's)",
        group=PRESET,
        affects_scores=True,
        reason=_BANK,
        repeat=True,
        in_result="always",
        choices=PREPROCESS,
        loads=True,
    )
    """Applied when an encoder is loaded; here for the record."""
    ties: str = option(
        PRESETS["camtrace"].ties,
        help="a tied kNN vote goes to the nearest tied label, or counts as a random one does on average "
        "(default: the preset's)",
        group=PRESET,
        affects_scores=True,
        repeat=True,
        in_result="always",
        choices=("nearest", "random"),
    )
    """A vote counts 1 or 0 by ``nearest``; by ``random`` the probability of the right label: nothing is drawn."""
    orientation: str = option(
        PRESETS["camtrace"].orientation,
        help="of photos that are processed or seen by plain kNN: Exif orientation applied, or pixels as stored "
        "(default: the preset's)",
        group=PRESET,
        affects_scores=True,
        repeat=True,
        in_result="always",
        choices=("upright", "stored"),
    )
    """Photos of acquisition tasks and pairs are always upright."""
    neighbours: int | None = option(
        None,
        help="k of kNN (default: the data set's, mostly 10)",
        group=QUESTIONS,
        affects_scores=True,
        repeat=True,
        in_result="always",
        short="-k",
        metavar="K",
        limits=at_least(1),
    )
    queries: int | None = option(
        None,
        help="kNN asks about N test photos, seeded and class-balanced (default: all of them)",
        group=QUESTIONS,
        affects_scores=True,
        repeat=True,
        in_result="if changed",
        metavar="N",
        limits=at_least(1),
    )
    """The time of kNN is the square of a big set."""
    distractors: str = option(
        "both",
        help="among which photos pair retrieval looks for a query's scene in another group: of the target's "
        "group, of the query's own, of both, or of all groups (default: %(default)s)",
        group=QUESTIONS,
        affects_scores=True,
        repeat=True,
        in_result="if changed",
        choices="benchmark.retrieval:COLLECTIONS_OF",
    )
    """Of a set with any number of groups; with two types of cameras every one has a score."""
    processings: str = option(
        "",
        help="processings as data, in the place of the study's: a TOML file, or one of {choices}; its parameters "
        "become tasks, see docs/how-to/own-processings.md (default: the built-in parameters)",
        group=QUESTIONS,
        affects_scores=True,
        repeat=True,
        in_result="if changed",
        metavar="FILE",
        choices="builders.pixels:PRESETS",
        convert="benchmark.tasks:chosen_processings",
    )
    """The name of a preset, or the content of a file in canonical form (``builders/pixels/definitions/read.py``)."""
    mask_ratio: float = option(
        0.9,
        help="hidden share of the picture in acquisition probes; 0 for none (default: %(default)s)",
        group=QUESTIONS,
        affects_scores=True,
        repeat=True,
        in_result="always",
        metavar="R",
        limits=a_share,
    )
    resamples: int = option(
        10_000,
        help="bootstrap resamples behind each interval",
        group=RANDOM,
        affects_scores=True,
        repeat=True,
        in_result="always",
        limits=at_least(1),
        on_command_line=False,
    )
    limit: int | None = option(
        None,
        help="use N photos, seeded and class-balanced",
        group=ENCODERS,
        affects_scores=True,
        reason="the key holds the photos that are left",
        repeat=True,
        in_result="always",
        metavar="N",
        limits=at_least(1),
    )
    stream: bool = option(
        False,
        help="read hub: and webdataset: where they are, without a copy; with --limit only shards and row groups, drawn "
        "by seed, that hold as many photos",
        group=ENCODERS,
        affects_scores=True,
        reason="the key holds the photos that are left",
        repeat=True,
        in_result="if changed",
    )
    device: str = option(
        "auto",
        help="auto, cpu, cuda, cuda:1, mps; cuda:all or cuda:0,cuda:2 embeds on several cards, a process each "
        "(default: %(default)s)",
        group=FORWARD,
        affects_scores=True,
        reason="the key holds the type of the device on which tasks compute",
        loads=True,
    )
    """Of several (``benchmark.compute.named_devices``) all embed, and tasks take the first."""
    dtype: str = option(
        "float32",
        help="of the forward pass; lower precision is accepted only if it does not blur the traces "
        "(default: %(default)s)",
        group=FORWARD,
        affects_scores=True,
        reason=_BANK,
        repeat=True,
        choices=DTYPES,
        loads=True,
    )
    storage: str = option(
        "float32",
        help="of embeddings on disk; float16 is accepted under the same condition (default: %(default)s)",
        group=FORWARD,
        affects_scores=True,
        reason=_BANK,
        repeat=True,
        choices=("float32", "float16"),
    )
    runtime: str = option(
        "auto",
        help="what carries out forward passes on a CPU; auto: OpenVINO where it is installed, computes what torch "
        "does, and is measured to be faster (default: %(default)s)",
        group=FORWARD,
        affects_scores=True,
        reason=_BANK,
        repeat=True,
        choices=RUNTIMES,
        loads=True,
    )
    compile: bool = option(
        False,
        help="forward passes by torch.compile; pays in long runs",
        group=FORWARD,
        affects_scores=True,
        reason=_BANK,
        repeat=True,
        loads=True,
    )
    force_dtype: bool = option(
        False,
        help="use a precision that rounds away the smallest traces all the same",
        group=FORWARD,
        affects_scores=False,
        reason="it lets a precision through the gate, and the bank's key holds the precision",
        repeat=True,
    )
    allow_random: bool = option(
        False,
        help="score an encoder that gives two answers for one picture, and say so in the result",
        group=FORWARD,
        affects_scores=False,
        reason="it lets an encoder through, whose scores are those of its bank",
        repeat=True,
    )
    min_usable: float = option(
        MIN_USABLE,
        help="least share of the photos of each split that must be usable for a score; with fewer the tasks of an "
        "encoder fail (default: %(default)s)",
        group=QUESTIONS,
        affects_scores=False,
        reason="it decides whether there is a score, not which",
        repeat=True,
        metavar="R",
        limits=a_share_or_all,
    )
    """Scores on few photos are not those of the set. Boards and comparisons have the default."""
    outputs: tuple[str, ...] = option(
        (),
        help="score layers too: layers (every one, class token and mean of patches), "
        "'layers[::4]:mean,cls,max', 'layers[-1]:grid'; repeatable, see docs/how-to/layers.md",
        group=ENCODERS,
        affects_scores=True,
        reason="each output has a key of its own",
        repeat=True,
        metavar="OUTPUTS",
        convert="benchmark.encoders:chosen_outputs",
    )
    batch_size: int = option(
        64,
        help="views per forward pass; fewer where memory does not hold them (default: %(default)s)",
        group=SPEED,
        affects_scores=False,
        reason="embeddings differ by rounding at most, and a bank is read whatever batches filled it",
        metavar="N",
        limits=at_least(1),
    )
    workers: int = option(
        lambda: min(8, os.cpu_count() or 1),
        help="processes that make views; for each of several cards, in its part of the cores (default: %(default)s)",
        group=SPEED,
        affects_scores=False,
        reason="views are the same whoever makes them",
        metavar="N",
        limits=at_least(0),
    )
    """They decode photos for a device that makes views itself."""
    views: str = option(
        "auto",
        help="the workers (cpu), the encoders' device, or (auto) a GPU where workers are few (default: %(default)s)",
        group=SPEED,
        affects_scores=False,
        reason="views are the same whoever makes them",
        choices=("auto", "cpu", "device"),
    )
    memory: int | None = option(
        None,
        help="that pictures being decoded share over all workers, such as 8G (default: half of what is free)",
        group=SPEED,
        affects_scores=False,
        reason="photos wait for each other, and are decoded alike",
        metavar="SIZE",
        limits=at_least(1),
        type=size_in_bytes,
    )
    """In bytes."""
    verify_bytes: bool = option(
        False,
        help="read every photo again for the hash of its bytes, where the size, inode and times of a file may not "
        "show that it changed (a copied disk image, a network file system)",
        group=OUTPUT,
        affects_scores=False,
        reason="the keys hold the hash of the bytes, whenever they were read",
    )
    fresh: bool = option(
        False,
        help="compute embeddings again instead of reusing them",
        group=OUTPUT,
        affects_scores=False,
        reason="what is computed again is the same",
    )
    cache: Path = option(  # noqa: RUF009 (a declaration, as dataclasses.field is)
        default_cache,
        help="where embeddings are stored (default: %(default)s)",
        group=OUTPUT,
        affects_scores=False,
        reason="a folder",
        metavar="DIR",
        loads=True,
    )

    def checked(self) -> RunOptions:
        """These options, checked.

        Raises:
            UsageError: a value is out of its range.

        >>> RunOptions(mask_ratio=1.0).checked()
        Traceback (most recent call last):
        ...
        builders.errors.UsageError: mask ratio 1.0: give a share of at least 0 and less than 1
        """
        for declaration in OPTIONS:
            declaration.check(getattr(self, declaration.name))
        return self


OPTIONS = declared(RunOptions)
"""Every field with its role, in order."""
