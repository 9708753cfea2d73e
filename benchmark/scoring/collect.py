"""The state of one encoder while it is scored, and its result."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from benchmark.bank import PassCost, PrecisionVerdict, RuntimeVerdict
from benchmark.encoders import Encoder, Output
from benchmark.erasing import Eraser
from benchmark.judgement import AGAINST_FINAL
from benchmark.options import RunOptions
from benchmark.results import Failure, OutputScores, PhotoValues, Result, Score, answer_key, read_answers
from benchmark.scoring.reproduce import encoder_record, environment_record, peak_memory
from benchmark.scoring.tasks_run import Done, Job
from benchmark.scoring.trial import Trial
from benchmark.stats import METHODS, paired_difference
from benchmark.tasks import all_tasks
from builders.kernels import compiling_s
from builders.photos import SPLITS, PhotoSet
from builders.untrusted import redacted


@dataclass
class EncoderRun:
    """The state of one encoder while it is scored: what is known so far."""

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
    """By name, in order. All other fields are of the embedding."""

    def add_seconds(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def add_compiling(self, seconds: float) -> None:
        """Add the stage, if kernels were compiled."""
        if seconds:
            self.add_seconds("compiling kernels", seconds)

    def put_in_order(self, tasks: Sequence[str]) -> None:
        """Bring scores and values into the order of tasks, whichever of them came from the cache."""
        self.scores.sort(key=lambda score: tasks.index(score.task))
        keys = [key for task in tasks for key in self.answers if key.startswith(answer_key(task, ""))]
        self.answers = {key: self.answers[key] for key in keys}
        for output in self.outputs.values():
            output.state.put_in_order(tasks)


class Stopwatch:
    """Time of a stage from now on. Compiling kernels, which a machine does once, is counted as another stage."""

    def __init__(self) -> None:
        self._started, self._compiled = time.perf_counter(), compiling_s()

    def record(self, stage: str, state: EncoderRun, encoders: int = 1) -> None:
        """Add the time until now, divided by the encoders that share it."""
        compiling = compiling_s() - self._compiled
        state.add_seconds(stage, (time.perf_counter() - self._started - compiling) / encoders)
        state.add_compiling(compiling / encoders)


@dataclass(frozen=True)
class OutputCollected:
    """The state of one output besides the embedding. Its values by photo are dropped."""

    output: Output
    state: EncoderRun = field(default_factory=lambda: EncoderRun({}))

    def scores(self, photos: PhotoSet) -> OutputScores:
        """The scores as a result holds them."""
        output, scores = self.output, tuple(replace(s, data=photos.name) for s in self.state.scores)
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
        """Failures of the output, without photos, which fail in every output and are recorded once."""
        kinds = {"encoder": "output", "task": "task"}
        return {
            (kinds[kind], self.output.name if kind == "encoder" else f"{name} of {self.output.name}"): reason
            for (kind, name), reason in self.state.failures.items()
            if kind in kinds
        }


def record_pass(cost: PassCost, encoders: int, state: EncoderRun) -> None:
    """Add the cost of a pass for one of its encoders (``PassOutcome.own``)."""
    state.photos = max(state.photos, cost.photos)
    state.views += cost.views
    state.embedding_s += cost.wall_s
    state.encoders_in_pass = max(state.encoders_in_pass, encoders if cost.views else 1)
    state.add_compiling(cost.compiling_s)
    state.add_seconds("embedding", cost.wall_s)
    state.add_seconds("of which waiting for views", cost.waiting_s)
    state.add_seconds("of which forward", cost.forward_s)


def record(job: Job, done: Done, state: EncoderRun) -> None:
    """Add the outcome of a job, or the reason of its failure."""
    if done.outcome is None:
        state.failures["task", job.task.name] = done.reason
        return
    if done.retried:
        state.retried[job.task.name] = done.retried
    state.scores += done.outcome.scores
    state.answers.update({answer_key(job.task.name, name): values for name, values in done.outcome.answers.items()})
    state.add_seconds(job.task.name.split("/")[0], done.seconds)


def compare_with_embedding(output: EncoderRun, final: Mapping[tuple[str, str], PhotoValues]) -> None:
    """Add to each score of an output how it differs from that of the embedding, paired by photo (``AGAINST_FINAL``).

    Args:
        output: state of the output, whose answers are still there.
        final: values by photo of the embedding, by task and metric.
    """
    of_output = read_answers(output.answers, all_tasks()).values
    for at, score in enumerate(output.scores):
        first, second = (values.get((score.task, score.metric)) for values in (of_output, final))
        if first is None or second is None or not np.array_equal(first.photos, second.photos):
            continue
        pair = paired_difference(first.values, second.values, **first.pairing)
        ends = {name: round(getattr(pair, name), 6) for name in ("value", "low", "high", "p_value")}
        output.scores[at] = replace(score, details={**score.details, AGAINST_FINAL: ends})


def result_of(
    encoder: Encoder,
    photos: PhotoSet,
    bytes_hash: str,
    options: RunOptions,
    state: EncoderRun,
    eraser: Eraser | None = None,
    *,
    bytes_read: int | None = None,
) -> Result:
    """The result of one encoder on one photo set.

    Args:
        encoder, photos, options, state, eraser: of the run.
        bytes_hash: of the photos' bytes.
        bytes_read: photos whose bytes the run has read for that hash; None if that is unknown.
    """
    failures, retried = dict(state.failures), dict(state.retried)
    for output in state.outputs.values():
        failures |= output.failures()
        retried |= {f"{task} of {output.output.name}": reason for task, reason in output.state.retried.items()}
    failed = sorted(failures.items(), key=lambda failure: failure[0][0] == "photo")  # photos last
    return Result(
        encoder=encoder_record(encoder, eraser),
        data={
            "name": photos.name,
            "photos": {split: len(photos.indices(split)) for split in SPLITS},
            "classes": len(photos.labels.names),
            "question_hash": photos.question_hash(),
            "ids_hash": photos.ids_hash(),
            "bytes_hash": bytes_hash,
            "source_jpeg": dict(state.source_jpeg),
            "smoke_test": photos.smoke_test,
            "evidence": dict(photos.evidence),
        },
        environment={
            **environment_record(encoder, photos, options, state.gate, state.runtime),
            "statistics": METHODS,
            "trial": state.trial.record(),
            **({"retried": retried} if retried else {}),
        },
        scores=tuple(replace(s, data=photos.name) for s in state.scores),
        outputs=tuple(o.scores(photos) for o in state.outputs.values() if o.state.scores),
        failures=tuple(Failure(kind, name, redacted(reason)) for (kind, name), reason in failed),
        cost={
            **({} if bytes_read is None else {"bytes_read": bytes_read}),
            "photos": state.photos,
            "views": state.views,
            "encoders_in_pass": state.encoders_in_pass,
            "views_per_second": state.views / state.embedding_s if state.embedding_s else 0.0,
            "seconds": {stage: round(value, 3) for stage, value in state.seconds.items()},
            "peak_memory_bytes": peak_memory(encoder.device),
        },
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    )
