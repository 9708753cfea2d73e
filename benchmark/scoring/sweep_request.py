"""The encoders and photo sets of a sweep, from the options of its command; imports no torch."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.options import STUDY_PRESET, checked_data
from builders.errors import DataError, UsageError
from builders.untrusted import UntrustedInputError, read_untrusted_text

if TYPE_CHECKING:  # the command line must answer --help before torch is imported
    from benchmark.scoring.sweep import SweepJob

ENCODERS_TOGETHER = 8
"""Encoders that share one pass over the photos, and the memory."""


def chosen_specs(args: argparse.Namespace) -> list[str]:
    """The encoders that were asked for, each once.

    Raises:
        UsageError: none, or the file cannot be read.
    """
    specs = list(args.model or [])
    if args.models:
        specs += read_specs(args.models)
    if args.published:
        from benchmark.encoders import STUDY

        specs += [row.spec for row in STUDY]
    if args.modern:
        from benchmark.encoders import MODERN

        specs += [row.spec for row in MODERN]
    if args.eraser:
        raise UsageError("--eraser goes with one encoder, which it was fitted on: use camtrace score")
    if not specs:
        raise UsageError("which encoders? give --models FILE, --published, --modern, or --model ID (repeatable)")
    if args.revision:
        raise UsageError("--revision goes with one encoder; write each as NAME@REVISION")
    return list(dict.fromkeys(specs))


def read_specs(path: Path) -> list[str]:
    """Encoders of a file, one on a line; ``#`` begins a comment.

    Raises:
        UsageError: it cannot be read, or names none.
    """
    try:
        lines = read_untrusted_text(path).splitlines()
    except UntrustedInputError as refused:
        raise UsageError(f"--models {path}: {refused.reason}") from None
    specs = [spec for line in lines if (spec := line.partition("#")[0].strip())]
    if not specs:
        raise UsageError(f"--models {path}: it names no encoder; write one on a line")
    return specs


def settle_preset(args: argparse.Namespace) -> None:
    """The encoders of the study are scored under its preset, unless another is asked for."""
    if args.preset is None and args.published:
        args.preset = STUDY_PRESET


def open_jobs(args: argparse.Namespace) -> list[SweepJob]:
    """The photo sets that were asked for, each with the tasks that it can answer.

    Raises:
        UsageError: a task or data specification is wrong.
        DataError: a set cannot be used, or two have one name.
    """
    from benchmark.scoring.sweep import SweepJob
    from benchmark.tasks import all_tasks, fitting_tasks, select_tasks
    from builders.data_specs import open_photos

    tasks = select_tasks(args.tasks or [], all_tasks())
    jobs = []
    for spec in checked_data(args):
        photos = open_photos(spec, seed=args.seed)
        limited = photos.limited(args.limit, args.seed) if args.limit else photos
        jobs.append(SweepJob(limited, tuple(fitting_tasks(tasks, limited, asked=bool(args.tasks))), spec))
    names = Counter(job.photos.name for job in jobs)
    if twice := [name for name, times in names.items() if times > 1]:
        raise DataError(f"two data sets are called {twice[0]}: give one another name (?name=...)")
    return jobs
