"""What becomes known of one encoder while it is scored, and the result that is made of it."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from benchmark.bank import PassCost, PrecisionVerdict, RuntimeVerdict
from benchmark.encoders import Encoder, Output
from benchmark.erasing import Eraser
from benchmark.options import RunOptions
from benchmark.results import Failure, OutputScores, Result, Score, answer_key
from benchmark.scoring.reproduce import encoder_record, environment_record, peak_memory
from benchmark.scoring.tasks_run import Done, Job
from benchmark.scoring.trial import Trial
from builders.kernels import compiling_s
from builders.photos import SPLITS, PhotoSet


@dataclass
class EncoderRun:
    """What is known so far of one encoder."""

    seconds: dict[str, float]
    scores: list[Score] = field(default_factory=list)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    retried: dict[str, str] = field(default_factory=dict)
    """Reason of the first failure by task that succeeded when it was run once more."""
    answers: dict[str, np.ndarray] = field(default_factory=dict)
    source_jpeg: Mapping[str, int] = field(default_factory=dict)
    photos: int = 0
    views: int = 0
    embedding_s: float = 0.0
    encoders_in_pass: int = 1
    storage: str = ""
    gate: PrecisionVerdict | None = None
    trial: Trial = field(default_factory=Trial)
    runtime: RuntimeVerdict | None = None
    outputs: dict[str, OutputCollected] = field(default_factory=dict)
    """By name, in order; beside its embedding, of which all the rest is."""

    def add_seconds(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def add_compiling(self, seconds: float) -> None:
        """A stage where there was any."""
        if seconds:
            self.add_seconds("compiling kernels", seconds)

    def put_in_order(self, tasks: Sequence[str]) -> None:
        """Scores and answers in the order of tasks, whichever of them an earlier run had kept."""
        self.scores.sort(key=lambda score: tasks.index(score.task))
        keys = [key for task in tasks for key in self.answers if key.startswith(answer_key(task, ""))]
        self.answers = {key: self.answers[key] for key in keys}
        for output in self.outputs.values():
            output.got.put_in_order(tasks)


class Stopwatch:
    """Time of a stage from now on. What kernels' compiling took of it, once a machine, is a stage of its own."""

    def __init__(self) -> None:
        self._started, self._compiled = time.perf_counter(), compiling_s()

    def record(self, stage: str, got: EncoderRun, encoders: int = 1) -> None:
        """Until now, divided by the encoders that share it."""
        compiling = compiling_s() - self._compiled
        got.add_seconds(stage, (time.perf_counter() - self._started - compiling) / encoders)
        got.add_compiling(compiling / encoders)


@dataclass(frozen=True)
class OutputCollected:
    """What is known so far of an output beside the embedding. Its answers are not kept."""

    output: Output
    got: EncoderRun = field(default_factory=lambda: EncoderRun({}))

    def scores(self, photos: PhotoSet) -> OutputScores:
        """As a result has them."""
        output, scores = self.output, tuple(replace(s, data=photos.name) for s in self.got.scores)
        return OutputScores(
            name=output.name,
            title=output.title,
            layer=output.layer,
            layers=output.layers,
            pooling=output.pooling,
            dimension=output.dimension,
            read=output.read,
            scores=scores,
        )

    def failures(self) -> dict[tuple[str, str], str]:
        """Of the output; photos that fail do so in every output, and are told of once."""
        kinds = {"encoder": "output", "task": "task"}
        return {
            (kinds[kind], self.output.name if kind == "encoder" else f"{name} of {self.output.name}"): reason
            for (kind, name), reason in self.got.failures.items()
            if kind in kinds
        }


def record_pass(own: PassCost, encoders: int, got: EncoderRun) -> None:
    """Add what a pass of so many encoders cost this one (``PassOutcome.own``)."""
    got.photos = max(got.photos, own.photos)
    got.views += own.views
    got.embedding_s += own.wall_s
    got.encoders_in_pass = max(got.encoders_in_pass, encoders if own.views else 1)
    got.add_compiling(own.compiling_s)
    got.add_seconds("embedding", own.wall_s)
    got.add_seconds("of which waiting for views", own.waiting_s)
    got.add_seconds("of which forward", own.forward_s)


def record(job: Job, done: Done, got: EncoderRun) -> None:
    if done.outcome is None:
        got.failures["task", job.task.name] = done.reason
        return
    if done.retried:
        got.retried[job.task.name] = done.retried
    got.scores += done.outcome.scores
    got.answers.update({answer_key(job.task.name, name): kept for name, kept in done.outcome.answers.items()})
    got.add_seconds(job.task.name.split("/")[0], done.seconds)


def result_of(
    encoder: Encoder,
    photos: PhotoSet,
    bytes_hash: str,
    options: RunOptions,
    got: EncoderRun,
    eraser: Eraser | None = None,
) -> Result:
    failures, retried = dict(got.failures), dict(got.retried)
    for output in got.outputs.values():
        failures |= output.failures()
        retried |= {f"{task} of {output.output.name}": reason for task, reason in output.got.retried.items()}
    lost = sorted(failures.items(), key=lambda failure: failure[0][0] == "photo")  # of which there may be many
    return Result(
        encoder=encoder_record(encoder, eraser),
        data={
            "name": photos.name,
            "photos": {split: len(photos.indices(split)) for split in SPLITS},
            "classes": len(photos.labels.names),
            "question_hash": photos.question_hash(),
            "ids_hash": photos.ids_hash(),
            "bytes_hash": bytes_hash,
            "source_jpeg": dict(got.source_jpeg),
            "smoke_test": photos.smoke_test,
            "evidence": dict(photos.evidence),
        },
        environment={
            **environment_record(encoder, photos, options, got.gate, got.runtime),
            "trial": got.trial.record(),
            **({"retried": retried} if retried else {}),
        },
        scores=tuple(replace(s, data=photos.name) for s in got.scores),
        outputs=tuple(o.scores(photos) for o in got.outputs.values() if o.got.scores),
        failures=tuple(Failure(kind, name, reason) for (kind, name), reason in lost),
        cost={
            "photos": got.photos,
            "views": got.views,
            "encoders_in_pass": got.encoders_in_pass,
            "views_per_second": got.views / got.embedding_s if got.embedding_s else 0.0,
            "seconds": {stage: round(value, 3) for stage, value in got.seconds.items()},
            "peak_memory_bytes": peak_memory(encoder.device),
        },
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    )
