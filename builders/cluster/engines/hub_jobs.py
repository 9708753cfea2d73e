"""Ranks as jobs of the Hugging Face Hub, which reach object stores but no disk of the user."""

from __future__ import annotations

import os

from builders.cluster.engines.executors import Submission, Task, executor, quietly, records
from builders.cluster.status import count_text
from builders.errors import UsageError


def on_jobs(submission: Submission) -> str:
    """Run jobs of the Hugging Face Hub. Waits for them, and starts a failed job once more.

    Raises:
        UsageError: the plan is on a disk, which a job cannot reach, or the user is not logged in.
    """
    from huggingface_hub import get_token

    options, place = submission.options, submission.place
    if place.folder is not None:
        raise UsageError(
            f"{place}: a job of the Hub reaches no disk of yours; plan with --plan hf://buckets/OWNER/NAME/..."
        )
    token = get_token()
    if token is None:
        raise UsageError("no account is logged in to the Hub: run 'hf auth login'")
    executor_class = executor("JobsPipelineExecutor")
    shares = submission.shares()
    with quietly():
        pipeline = executor_class(
            pipeline=[Task(place.address, tuple(shares))],
            tasks=len(shares),
            workers=options.at_once or -1,
            logging_dir=records(place),
            flavor=options.flavor,
            dependencies=[options.package or _this_version()],
            timeout=_seconds(options.time),
            namespace=options.namespace,
            token=token,
            job_name="camtrace",
            poll_interval=float(os.environ.get("CAMTRACE_POLL_S", "15")),
        )
        pipeline.run()
    return f"{count_text(len(shares), 'job')} for {count_text(len(submission.ranks), 'rank')}: ended"


def _this_version() -> str:
    from importlib import metadata

    return f"camtrace[cluster,encoders]=={metadata.version('camtrace')}"


def _seconds(text: str) -> int:
    """Seconds of a time in Slurm's notation. Raises ``UsageError`` for any other text.

    >>> _seconds("2:00:00"), _seconds("30"), _seconds("1-0:0:0"), _seconds("1-12")
    (7200, 1800, 86400, 129600)
    """
    days, dash, rest = text.rpartition("-")
    parts = rest.split(":")
    if len(parts) > 3 or not all(part.isdecimal() for part in (*parts, *([days] if dash else []))):
        raise UsageError(f"--time {text}: give hours, minutes and seconds, such as 2:00:00, or 1-12:00:00 with days")
    numbers = [int(part) for part in parts]
    if dash:  # after days come hours
        hours, minutes, seconds = [*numbers, 0, 0][:3]
    else:  # one number is minutes, two are minutes and seconds
        hours, minutes, seconds = [0, *numbers, 0] if len(numbers) == 1 else [0, 0, *numbers][-3:]
    return int(days or 0) * 86_400 + hours * 3600 + minutes * 60 + seconds
